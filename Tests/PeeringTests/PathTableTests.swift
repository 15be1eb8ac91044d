import Bytes
import IP
import SansIO
import Testing

@testable import Peering

@Suite("Choice of a path")
struct PathTableTests {
    static let direct = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830)
    static let lent = Endpoint(IPAddress(ipv4: 0x0808_0801), port: 50_000)
    static let chosen = Path(local: .unspecified, remote: direct)
    static let spare = Path(local: .unspecified, remote: lent)

    static func time(_ milliseconds: Int) -> Instant {
        Instant(nanoseconds: 1_000_000_000).advanced(by: .milliseconds(milliseconds))
    }

    /// A client's table with a direct path, chosen, and a relayed one, both proven.
    static func make() -> PathTable {
        var paths = PathTable(firstNumber: 1, triesSources: true)
        paths.setRemotes([Candidate(.host, direct), Candidate(.relayed, lent)])
        for path in [chosen, spare] {
            let number = paths.sendProbe(on: path, at: time(0))
            _ = paths.answered(number, from: source(of: path), at: time(20))
        }
        paths.choose(chosen, at: time(20))
        return paths
    }

    static func source(of path: Path) -> PathTable.Source {
        PathTable.Source(endpoint: path.remote, relay: path.relay)
    }

    /// Whether the chosen path is dead at that time, and what is better then.
    static func judge(_ paths: PathTable, _ milliseconds: Int) -> (isDead: Bool, better: Path?) {
        let isDead = paths.isChosenDead(at: time(milliseconds))
        return (isDead, paths.better(at: time(milliseconds), isChosenDead: isDead))
    }

    @Test("two answers lost, five seconds apart, do not make a path dead; two of a burst do")
    func bursts() {
        var paths = Self.make()
        _ = paths.sendProbe(on: Self.chosen, at: Self.time(1_000))
        _ = paths.sendProbe(on: Self.chosen, at: Self.time(6_000))
        for moment in [6_000, 6_400] {
            let found = Self.judge(paths, moment)
            #expect(!found.isDead)
            #expect(found.better == nil)
        }
        _ = paths.sendProbe(on: Self.chosen, at: Self.time(6_500))
        let found = Self.judge(paths, 6_500)
        #expect(found.isDead)
        #expect(found.better == nil, "what killed the one may have killed the other")
        let number = paths.sendProbe(on: Self.spare, at: Self.time(6_510))
        _ = paths.answered(number, from: Self.source(of: Self.spare), at: Self.time(6_530))
        #expect(Self.judge(paths, 6_530).better == Self.spare)
    }

    @Test("a way that is answered from elsewhere is left for one that is answered straight")
    func straight() {
        var paths = Self.make()
        let seen = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 40_000)
        let isNew = paths.learn(seen)
        #expect(isNew)
        let straight = Path(local: .unspecified, remote: seen)
        for path in [Self.chosen, straight] {
            let number = paths.sendProbe(on: path, at: Self.time(1_000))
            let source = PathTable.Source(endpoint: seen, relay: 0)
            _ = paths.answered(number, from: source, at: Self.time(1_020))
        }
        #expect(Self.judge(paths, 1_020).better == straight)
        paths.choose(straight, at: Self.time(1_020))
        #expect(Self.judge(paths, 1_020).better == nil)
        // Its speed does not bring the first one back.
        let number = paths.sendProbe(on: straight, at: Self.time(1_030))
        let source = Self.source(of: straight)
        _ = paths.answered(number, from: source, at: Self.time(1_300))
        #expect(Self.judge(paths, 1_300).better == nil)
    }

    @Test("of two ways that are answered from elsewhere the announced one is taken, not the faster")
    func announced() {
        var paths = Self.make()
        let seen = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 40_000)
        let isNew = paths.learn(seen)
        #expect(isNew)
        let learnt = Path(local: .unspecified, remote: seen)
        paths.choose(learnt, at: Self.time(900))
        for (path, milliseconds) in [(Self.chosen, 1_100), (learnt, 1_010)] {
            let number = paths.sendProbe(on: path, at: Self.time(1_000))
            let port = UInt16(40_000 + milliseconds)
            let source = PathTable.Source(endpoint: Endpoint(seen.address, port: port), relay: 0)
            _ = paths.answered(number, from: source, at: Self.time(milliseconds))
        }
        #expect(Self.judge(paths, 1_100).better == Self.chosen)
        paths.choose(Self.chosen, at: Self.time(1_100))
        #expect(Self.judge(paths, 1_100).better == nil)
    }

    @Test("a gateway that hears nothing asks where it sent last through its own relays, too")
    func huntedByRelay() {
        var paths = PathTable(firstNumber: 1, triesSources: false)
        let other = Endpoint(IPAddress(ipv4: 0x0808_0802), port: 50_000)
        paths.setRemotes([Candidate(.relayed, other), Candidate(.relayed, Self.lent)])
        for port in UInt16(1)...4 {
            let isNew = paths.learn(Endpoint(Self.direct.address, port: 40_000 + port))
            #expect(isNew)
        }
        let end = RelayEnd(
            number: 7,
            hasIPv4: true,
            hasIPv6: false,
            isPrivate: false,
            isLeaving: false
        )
        _ = paths.setRelays([end], probing: nil, at: Self.time(0))
        paths.choose(Self.spare, at: Self.time(0))
        let hunted = paths.relayedPaths
        #expect(hunted.count == PathTable.Limits.huntedOfRelay)
        #expect(hunted.first == Path(local: .unspecified, remote: Self.lent, relay: 7))
    }

    @Test("an answer ends the burst")
    func answered() {
        var paths = Self.make()
        _ = paths.sendProbe(on: Self.chosen, at: Self.time(1_000))
        let number = paths.sendProbe(on: Self.chosen, at: Self.time(1_500))
        let path = paths.answered(number, from: Self.source(of: Self.chosen), at: Self.time(1_520))
        #expect(path == Self.chosen)
        _ = paths.sendProbe(on: Self.chosen, at: Self.time(2_000))
        let found = Self.judge(paths, 2_400)
        #expect(!found.isDead)
    }

    @Test("while traffic flows a chosen path is measured each 5 s, after a lost answer sooner")
    func measured() {
        var paths = Self.make()
        for (now, next) in [(1_000, 6_000), (6_000, 6_500), (6_500, 7_000)] {
            paths.pairs[0].nextProbe = Self.time(now)
            let due = paths.popDue(at: Self.time(now), isActive: true)
            #expect(due == Self.chosen)
            #expect(paths.pairs[0].nextProbe == Self.time(next))
            _ = paths.sendProbe(on: Self.chosen, at: Self.time(now))
        }
    }

    @Test("what is not urgent is due together")
    func beat() {
        var paths = Self.make()
        for (index, now) in [(0, 30_000), (1, 37_000)] {
            paths.pairs[index].nextProbe = Self.time(now)
            let due = paths.popDue(at: Self.time(now), isActive: false)
            #expect(due == paths.pairs[index].path)
        }
        #expect(paths.pairs[0].nextProbe == paths.pairs[1].nextProbe)
        #expect(paths.pairs[0].nextProbe == Self.time(54_000))
    }
}
