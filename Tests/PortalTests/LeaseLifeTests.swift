internal import Control
internal import Foundation
internal import Logging
internal import NIOEmbedded
internal import Policy
@testable internal import Portal
internal import Testing

/// How leases live by the clock: a switchboard without a network, at times that the test chooses.
@Suite struct LeaseLifeTests {
    /// A switchboard with one gateway and one client, who holds a lease for the one resource.
    private func start(_ conditions: Conditions = Conditions()) async throws -> Switchboard {
        var directory = Directory(portal: nil)
        let prefix = try ResourceAddress(parsing: "10.7.0.0/16")
        try directory.apply(contentsOf: [
            .upsertActor(Directory.Actor(id: "ada", name: "ada@example.com")),
            .upsertSite(Directory.Site(id: "site", name: "headquarters")),
            .upsertGroup(Directory.Group(id: "group", name: "Engineering", members: ["ada"])),
            .upsertResource(
                Directory.Resource(id: "lab", name: "Lab", address: prefix, site: "site")
            ),
            .upsertPolicy(
                Directory.Policy(
                    id: "policy",
                    group: "group",
                    resource: "lab",
                    conditions: conditions
                )
            ),
            .upsertClient(Directory.Client(id: "client", actor: "ada", name: "laptop")),
            .upsertGateway(Directory.Gateway(id: "gateway", name: "gw", site: "site")),
        ])
        let folder = try StateFolder(path: PortalUnderTest.freshFolder())
        let store = try Store(path: folder.path(of: "portal.sqlite"))
        let switchboard = Switchboard(
            Switchboard.Start(
                directory: directory,
                revision: 1,
                snapshot: 0,
                tokens: [],
                devices: [],
                leases: [],
                settings: Settings(secret: Array(repeating: 1, count: 32), account: "a"),
                url: try #require(PortalURL("https://localhost")),
                fingerprint: nil,
                heartbeat: .seconds(10),
                busyHeartbeat: .seconds(3)
            ),
            store: store,
            writeBehind: WriteBehind(store: store, logger: PortalUnderTest.logger),
            metrics: PortalMetrics(),
            logger: PortalUnderTest.logger
        )
        let gateway = try device("gateway", .gateway, 2)
        await switchboard.arrive(gateway: gateway, [], .current, on: connection(1))
        await switchboard.arrive(client: try device("client", .client, 1), [], on: connection(2))
        await switchboard.authorize(FromRole.Authorize(id: "r1", resource: "lab"), for: "client")
        return switchboard
    }

    private func device(_ id: String, _ role: Role, _ key: UInt8) throws -> EnrolledDevice {
        EnrolledDevice(
            id: id,
            role: role,
            token: "token",
            name: id,
            software: "1.1.0",
            firstSeen: .now,
            lastSeen: .now,
            publicKey: try RoleTester.key(key),
            candidates: []
        )
    }

    private func connection(_ number: UInt64) -> ControlConnection {
        ControlConnection(
            number: number,
            remote: nil,
            channel: EmbeddedChannel(),
            heartbeat: .seconds(10)
        )
    }

    @Test func `a lease is extended before its end while its client is there`() async throws {
        let switchboard = try await start()
        var lease = try #require(await switchboard.leases.leases(of: "client").first)
        let begin = lease.begunAt
        #expect(abs(lease.endsAt.timeIntervalSince(begin) - 86_400) < 1)
        for days in 1...3 {
            #expect(lease.reviewAt < lease.endsAt)
            let review = lease.reviewAt.addingTimeInterval(1)
            await switchboard.review([lease], at: review)
            lease = try #require(await switchboard.leases[lease.id])
            #expect(lease.endsAt >= review.addingTimeInterval(86_399), "\(days)")
        }
    }

    @Test func `a lease whose client is away ends when it ends`() async throws {
        let switchboard = try await start()
        let lease = try #require(await switchboard.leases.leases(of: "client").first)
        if let live = await switchboard.clients["client"] {
            await switchboard.ended(live.connection, .lost)
        }
        await switchboard.review([lease], at: lease.reviewAt.addingTimeInterval(1))
        #expect(await switchboard.leases[lease.id]?.endsAt == lease.endsAt)
        await switchboard.review([lease], at: lease.endsAt.addingTimeInterval(1))
        #expect(await switchboard.leases[lease.id] == nil)
        #expect(await switchboard.missed["client"]?.first?.code == "expired")
    }

    @Test func `a lease whose gateway is away is extended only when it is back`() async throws {
        let switchboard = try await start()
        let lease = try #require(await switchboard.leases.leases(of: "client").first)
        if let live = await switchboard.gateways["gateway"] {
            await switchboard.ended(live.connection, .lost)
        }
        let late = lease.endsAt.addingTimeInterval(-60)
        await switchboard.review([lease], at: late)
        #expect(await switchboard.leases[lease.id]?.endsAt == lease.endsAt)
        let gateway = try device("gateway", .gateway, 2)
        await switchboard.arrive(gateway: gateway, [], .current, on: connection(3))
        await switchboard.review([lease], at: late)
        #expect(await switchboard.leases[lease.id]?.endsAt == late.addingTimeInterval(86_400))
    }

    @Test func `a stand-by lease ends after ten minutes, unless it is used`() async throws {
        for isUsed in [false, true] {
            let switchboard = try await start()
            let first = try #require(await switchboard.leases.leases(of: "client").first)
            let entry = Directory.Gateway(id: "second", name: "second", site: "site")
            try await switchboard.commit([.upsertGateway(entry)], by: "test", why: "")
            let gateway = try device("second", .gateway, 3)
            await switchboard.arrive(gateway: gateway, [], .current, on: connection(3))
            var request = FromRole.Authorize(id: "r2", resource: "lab", standBy: true)
            await switchboard.authorize(request, for: "client")
            let standBy = try #require(await switchboard.leases.leases(of: "client").last)
            #expect(standBy.gateway == "second")
            #expect(abs(standBy.endsAt.timeIntervalSince(standBy.begunAt) - 600) < 1)
            if isUsed {
                request = FromRole.Authorize(id: "r3", resource: "lab", connected: ["second"])
                await switchboard.authorize(request, for: "client")
            }
            for lease in [first, standBy] {
                await switchboard.review([lease], at: standBy.endsAt.addingTimeInterval(1))
            }
            #expect(await switchboard.leases[first.id] != nil)
            #expect(await (switchboard.leases[standBy.id] != nil) == isUsed)
        }
    }

    @Test func `a lease ends with the hours that allow it`() async throws {
        var conditions = Conditions()
        let now = Date.now
        let midnight = (now.timeIntervalSince1970 / 86_400).rounded(.down) * 86_400
        let minute = Int((now.timeIntervalSince1970 - midnight) / 60)
        // From a minute ago to two minutes from now, whatever the time.
        let range = Hours.TimeRange(start: (minute + 1_439) % 1_440, end: (minute + 2) % 1_440 + 1)
        conditions.hours = Hours(zone: "UTC", times: [try #require(range)])
        let switchboard = try await start(conditions)
        let lease = try #require(await switchboard.leases.leases(of: "client").first)
        #expect(lease.endsAt.timeIntervalSince(now) <= 181)
        #expect(lease.reviewAt == lease.endsAt)
        await switchboard.review([lease], at: lease.endsAt)
        #expect(await switchboard.leases[lease.id] == nil)
    }
}
