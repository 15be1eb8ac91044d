internal import Control
internal import Foundation
internal import IP
@testable internal import Portal
internal import Testing

/// Who is dealt which relay, and with which password: values, no connection.
@Suite struct RelayDealingTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var region: String?
        var times: [RelayID: UInt32] = [:]
        var held: [RelayID] = []
        let relays: [(RelayID, String?)]
        let chosen: [RelayID]
    }

    static let rows = [
        Row(testDescription: "there is none", relays: [], chosen: []),
        Row(testDescription: "there is one", relays: [("a", nil)], chosen: ["a"]),
        Row(
            testDescription: "the nearer two of three",
            times: ["a": 90, "b": 10, "c": 40],
            relays: [("a", nil), ("b", nil), ("c", nil)],
            chosen: ["b", "c"]
        ),
        Row(
            testDescription: "the region before the nearest",
            region: "eu",
            times: ["a": 5, "b": 100, "c": 200],
            relays: [("a", "us"), ("b", "eu"), ("c", "eu")],
            chosen: ["b", "c"]
        ),
        Row(
            testDescription: "one of the region, then the nearest elsewhere",
            region: "eu",
            times: ["a": 150, "b": 100, "c": 20],
            relays: [("a", "us"), ("b", "eu"), ("c", nil)],
            chosen: ["b", "c"]
        ),
        Row(
            testDescription: "no region of one's own: all alike",
            times: ["a": 10, "b": 100, "c": 60],
            relays: [("a", "us"), ("b", "eu"), ("c", nil)],
            chosen: ["a", "c"]
        ),
        Row(
            testDescription: "what it has stays, when another is a little nearer",
            times: ["a": 60, "b": 70, "c": 30],
            held: ["a", "b"],
            relays: [("a", nil), ("b", nil), ("c", nil)],
            chosen: ["a", "b"]
        ),
        Row(
            testDescription: "what it has goes, when another is much nearer",
            times: ["a": 60, "b": 190, "c": 30],
            held: ["a", "b"],
            relays: [("a", nil), ("b", nil), ("c", nil)],
            chosen: ["a", "c"]
        ),
        Row(
            testDescription: "one that was never measured is tried before a far one",
            times: ["a": 20, "b": 400],
            held: ["a", "b"],
            relays: [("a", nil), ("b", nil), ("c", nil)],
            chosen: ["a", "c"]
        ),
        Row(
            testDescription: "one that was never measured does not displace a near one",
            times: ["a": 20, "b": 60],
            held: ["a", "b"],
            relays: [("a", nil), ("b", nil), ("c", nil)],
            chosen: ["a", "b"]
        ),
    ]

    @Test(arguments: rows)
    func `relays are chosen by region, time and what is held`(row: Row) {
        let options = row.relays.map { RelayChoice.Option(id: $0.0, region: $0.1) }
        for options in [options, options.reversed()] {
            let chosen = RelayChoice.choose(
                among: options,
                for: "client-1",
                in: row.region,
                times: row.times,
                held: row.held
            )
            #expect(chosen == row.chosen)
        }
    }

    @Test func `relays that are alike share the load`() {
        let options = (0..<5).map { RelayChoice.Option(id: RelayID("relay-\($0)"), region: nil) }
        var counts: [RelayID: Int] = [:]
        for number in 0..<1_000 {
            let role = "client-\(number)"
            for id in RelayChoice.choose(among: options, for: role, in: nil, times: [:], held: []) {
                counts[id, default: 0] += 1
            }
        }
        #expect(counts.values.reduce(0, +) == 2_000)
        #expect(counts.count == 5)
        #expect(counts.values.allSatisfy { (320...480).contains($0) }, "\(counts)")
    }

    // MARK: - Passwords

    private static let keys = RelayKeys(secret: Array(repeating: 7, count: 32), account: "a")
    private static let start = Date(timeIntervalSince1970: 1_780_000_000)

    @Test func `a password is what stock servers expect of its name`() {
        let credentials = RelayKeys.credentials(
            of: "client-1",
            until: Self.start,
            secret: "north"
        )
        #expect(credentials.username == "1780000000:client-1")
        #expect(credentials.password == "T+oHhwwHNkDcr8hRbG1Jm+BKyno=")
    }

    @Test func `every password is made with a secret that its relay knows until it ends`() {
        let week = RelayKeys.Limits.rotation
        for offset in stride(from: -2 * week, through: 2 * week, by: 1_799) {
            let now = Self.start.addingTimeInterval(offset)
            let secret = Self.keys.secret(of: "relay-1", at: now)
            #expect(Self.keys.secrets(of: "relay-1", at: now).contains(secret))
            let end = now.addingTimeInterval(RelayDesk.Limits.lifetime)
            #expect(Self.keys.secrets(of: "relay-1", at: end).contains(secret))
            // What the relay was told an hour ago is enough.
            let told = now.addingTimeInterval(-RelayKeys.Limits.headStart)
            #expect(Self.keys.secrets(of: "relay-1", at: told).contains(secret))
        }
        let next = RelayKeys.nextRotation(after: Self.start)
        #expect(next > Self.start && next <= Self.start.addingTimeInterval(week))
        let before = Self.keys.secrets(of: "relay-1", at: Self.start)
        let after = Self.keys.secrets(of: "relay-1", at: next)
        #expect(before.count == 2 && after[1] == before[0] && after[0] != before[0])
        #expect(Self.keys.secrets(of: "relay-2", at: Self.start) != before)
    }

    // MARK: - The desk

    private func facts(_ id: RelayID, _ address: String = "203.0.113.20:3478") throws -> RelayFacts
    {
        RelayFacts(
            id: id,
            udp: [try #require(.init(address))],
            tcp: [],
            tls: [],
            secret: .derived
        )
    }

    private func desk() -> RelayDesk { RelayDesk(keys: Self.keys, startedAt: Self.start) }

    private func sit(
        _ desk: inout RelayDesk,
        _ role: String,
        isReturning: Bool = false,
        at now: Date = Self.start
    ) {
        desk.seat(role, region: nil, isReturning: isReturning, at: now)
    }

    @Test func `passwords are renewed after half of their life, and not before`() throws {
        var desk = desk()
        desk.set(try facts("a"))
        sit(&desk, "client-1")
        let first = try #require(desk.list(for: "client-1", at: Self.start)?.first)
        #expect(first.lifetimeSeconds == 43_200)
        #expect(first.username == "1780043200:client-1")
        let half = Self.start.addingTimeInterval(21_600)
        #expect(desk.nextRenewal == half)
        #expect(desk.news(for: "client-1", at: half.addingTimeInterval(-1)) == nil)
        let second = try #require(desk.news(for: "client-1", at: half)?.first)
        #expect(second.username == "1780064800:client-1")
        #expect(second.password != first.password)
        #expect(desk.news(for: "client-1", at: half) == nil)
        #expect(desk.nextRenewal == half.addingTimeInterval(21_600))
    }

    @Test func `a relay that stays keeps its password, whatever else changes`() throws {
        var desk = desk()
        desk.set(try facts("a"))
        sit(&desk, "client-1")
        let first = try #require(desk.list(for: "client-1", at: Self.start)?.first)
        let later = Self.start.addingTimeInterval(3_600)
        // A welcome again, after a resync or a new connection.
        desk.rise("client-1")
        sit(&desk, "client-1", at: later)
        let again = try #require(desk.list(for: "client-1", at: later)?.first)
        #expect(again.username == first.username && again.password == first.password)
        #expect(again.lifetimeSeconds == 39_600)
        desk.set(try facts("b"))
        let both = desk.news(for: "client-1", at: later) ?? []
        #expect(both.first { $0.id == "a" }?.username == first.username)
        #expect(both.first { $0.id == "b" }?.lifetimeSeconds == 43_200)
        var changed = try facts("a")
        changed.secret = .own("north")
        desk.set(changed)
        let last = desk.news(for: "client-1", at: later) ?? []
        #expect(last.contains { $0.id == "a" && $0.password != first.password })
    }

    @Test func `only those are told whom a relay's going touches`() throws {
        var desk = desk()
        for id: RelayID in ["a", "b", "c", "d"] { desk.set(try facts(id)) }
        let roles = (0..<20).map { "client-\($0)" }
        var had: [String: [RelayID]] = [:]
        for role in roles {
            sit(&desk, role)
            had[role] = desk.list(for: role, at: Self.start)?.map(\.id)
        }
        desk.remove("a")
        for role in desk.seated {
            let news = desk.news(for: role, at: Self.start)?.map(\.id)
            let old = had[role] ?? []
            #expect((news != nil) == old.contains("a"))
            // The other relay of the two stays.
            if let news { #expect(Set(news).isSuperset(of: old.filter { $0 != "a" })) }
        }
        // One that comes takes nobody's place.
        desk.set(try facts("e"))
        #expect(roles.allSatisfy { desk.news(for: $0, at: Self.start) == nil })
        desk.set(try facts("b", "203.0.113.99:3478"))
        let moved = roles.filter { role in desk.news(for: role, at: Self.start) != nil }
        #expect(!moved.isEmpty && moved.allSatisfy { had[$0] != nil })
    }

    @Test func `who comes back to a portal that started keeps what it has for a while`() throws {
        var desk = desk()
        sit(&desk, "old", isReturning: true)
        sit(&desk, "new")
        #expect(desk.list(for: "old", at: Self.start) == nil)
        #expect(desk.list(for: "new", at: Self.start) == [])
        desk.set(try facts("a"))
        #expect(desk.news(for: "new", at: Self.start)?.map(\.id) == ["a"])
        #expect(desk.news(for: "old", at: Self.start) == nil)
        #expect(desk.news(for: "old", at: desk.settledAt)?.map(\.id) == ["a"])
    }

    @Test func `the round trip of a relay is the middle of what its users measured`() throws {
        var desk = desk()
        desk.set(try facts("a"))
        for (number, time) in [90, 10, 20].enumerated() {
            sit(&desk, "client-\(number)")
            _ = desk.list(for: "client-\(number)", at: Self.start)
            let times = [
                RelayTime(relay: "a", milliseconds: UInt32(time)),
                RelayTime(relay: "nobody", milliseconds: 1),
            ]
            desk.heard(times, from: "client-\(number)")
        }
        #expect(desk.roundTrip(of: "a") == 20)
        #expect(desk.roundTrip(of: "nobody") == nil)
        #expect(desk.userCount(of: "a") == 3)
        desk.rise("client-1")
        #expect(desk.userCount(of: "a") == 2)
        #expect(desk.seated == ["client-0", "client-2"])
    }

    @Test func `no description of a relay's facts shows its secret`() throws {
        var facts = try facts("a")
        facts.secret = .own("north-by-northwest")
        #expect(!"\(facts)".contains("north") && !String(reflecting: facts).contains("north"))
    }
}
