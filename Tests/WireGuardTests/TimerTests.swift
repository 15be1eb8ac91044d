internal import Bytes
internal import SansIO
internal import Testing
internal import WireGuard

/// Section 6 of the paper, timer by timer.
@Suite struct TimerTests {
    @Test func `the first packet after 120 s makes the initiator begin anew`() throws {
        var pair = try Pair()
        try pair.connect()
        try pair.exchange(at: at(119.999))
        let before = pair.client.actions(at: at(119.999))
        #expect(before == [])
        try pair.exchange(at: at(120))
        let deadline = pair.client.tunnel.nextDeadline
        let after = pair.client.actions(at: at(120))
        #expect(deadline == at(120))
        #expect(after == [.initiate])
    }

    @Test func `age alone makes nobody begin`() throws {
        var pair = try Pair()
        try pair.connect()
        try pair.exchange(at: at(1))
        let client = pair.client.actions(at: at(200))
        #expect(client == [.keepalive])
    }

    @Test func `a responder never begins by age`() throws {
        var pair = try Pair()
        try pair.connect()
        try pair.exchange(at: at(179))
        let actions = pair.gateway.actions(at: at(179))
        #expect(actions == [])
    }

    @Test func `after 165 s receiving makes the initiator begin anew, once`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = try pair.client.open(pair.gateway.seal([], at: at(164.999)) ?? [], at: at(164.999))
        let before = pair.client.actions(at: at(164.999))
        _ = try pair.client.open(pair.gateway.seal([], at: at(165)) ?? [], at: at(165))
        let after = pair.client.actions(at: at(165))
        _ = try pair.client.open(pair.gateway.seal([], at: at(166)) ?? [], at: at(166))
        let later = pair.client.actions(at: at(166))
        #expect(before == [])
        #expect(after == [.initiate])
        #expect(later == [])
    }

    @Test func `after 180 s nothing is sealed or opened`() throws {
        var pair = try Pair()
        try pair.connect()
        let early = pair.client.seal(counting(20), at: at(179.999)) ?? []
        let second = pair.client.seal(counting(20), at: at(179.999)) ?? []
        _ = try pair.gateway.open(early, at: at(179.999))
        expect(.expired) { () throws(OpenError) in _ = try pair.gateway.open(second, at: at(180)) }
        let late = pair.client.seal(counting(20), at: at(180))
        let canSeal = pair.client.tunnel.canSeal(at: at(180))
        #expect(late == nil)
        #expect(!canSeal)
        let actions = pair.client.actions(at: at(180))
        #expect(actions == [.initiate])
    }

    @Test func `10 s after data without an answer of ours, a keepalive is due`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = try pair.gateway.open(pair.client.seal(counting(20), at: at(1)) ?? [], at: at(1))
        let before = pair.gateway.actions(at: at(10.999))
        let after = pair.gateway.actions(at: at(11))
        _ = pair.gateway.seal([], at: at(11))
        let later = pair.gateway.actions(at: at(60))
        #expect(before == [])
        #expect(after == [.keepalive])
        #expect(later == [])
    }

    @Test func `data that goes back makes the keepalive needless`() throws {
        var pair = try Pair()
        try pair.connect()
        try pair.exchange(at: at(1))
        let actions = pair.gateway.actions(at: at(12))
        #expect(actions == [])
    }

    @Test func `a keepalive is not answered`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = try pair.gateway.open(pair.client.seal([], at: at(1)) ?? [], at: at(1))
        let actions = pair.gateway.actions(at: at(60))
        #expect(actions == [])
    }

    @Test func `while data keeps coming, keepalives follow each other`() throws {
        var pair = try Pair()
        try pair.connect()
        var keepalives: [Double] = []
        for second in 1...40 {
            let now = at(Double(second))
            _ = try pair.gateway.open(pair.client.seal(counting(20), at: now) ?? [], at: now)
            for action in pair.gateway.actions(at: now) where action == .keepalive {
                keepalives.append(Double(second))
                _ = pair.gateway.seal([], at: now)
            }
        }
        // A keepalive stops the timer; the next data starts it again.
        #expect(keepalives == [11, 22, 33])
    }

    @Test func `15 s after data without anything back, a handshake is due`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = pair.client.seal(counting(20), at: at(1))
        _ = pair.client.seal(counting(20), at: at(9))
        let before = pair.client.actions(at: at(15.999))
        let after = pair.client.actions(at: at(16))
        #expect(before == [])
        #expect(after == [.initiate])
    }

    @Test func `whatever comes back makes that handshake needless`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = pair.client.seal(counting(20), at: at(1))
        _ = try pair.client.open(pair.gateway.seal([], at: at(15)) ?? [], at: at(15))
        let actions = pair.client.actions(at: at(60))
        #expect(actions == [])
    }

    @Test func `an initiation is renewed each 5 s, for 90 s`() throws {
        var pair = try Pair()
        var seen: Set<[UInt8]> = [try pair.client.initiate(at: at(0))]
        for round in 1..<18 {
            let early = pair.client.actions(at: at(Double(5 * round) - 0.001))
            let due = pair.client.actions(at: at(Double(5 * round)))
            #expect(early == [])
            #expect(due == [.initiate])
            seen.insert(try pair.client.initiate(at: at(Double(5 * round))))
        }
        #expect(seen.count == 18)
        let last = pair.client.actions(at: at(90))
        #expect(last.contains(.gaveUp))
        let isHandshaking = pair.client.tunnel.isHandshaking
        #expect(!isHandshaking)
        let later = pair.client.actions(at: at(500))
        #expect(later == [])
    }

    @Test func `a packet that wants to go makes it try for 90 s more`() throws {
        var pair = try Pair()
        _ = try pair.client.initiate(at: at(0))
        let waiting = pair.client.seal(counting(20), at: at(60))
        #expect(waiting == nil)
        let first = pair.client.actions(at: at(90))
        #expect(first == [.initiate])
        let last = pair.client.actions(at: at(150))
        #expect(last == [.gaveUp])
    }

    @Test func `after giving up the next packet begins anew`() throws {
        var pair = try Pair()
        _ = try pair.client.initiate(at: at(0))
        _ = pair.client.actions(at: at(90))
        _ = pair.client.seal(counting(20), at: at(91))
        let actions = pair.client.actions(at: at(91))
        #expect(actions == [.initiate])
    }

    @Test func `how often an initiation is renewed can be chosen`() throws {
        var timing = Timing.exact
        timing.retransmit = .seconds(2)
        var pair = try Pair(timing: timing)
        _ = try pair.client.initiate(at: at(0))
        let deadline = pair.client.tunnel.nextDeadline
        #expect(deadline == at(2))
    }

    @Test func `the paper's renewal has a random part`() throws {
        var deadlines: Set<Instant> = []
        for round in 0..<5 {
            var pair = try Pair(timing: .paper)
            pair.client.random = RandomSource(seed: UInt64(round))
            _ = try pair.client.initiate(at: at(0))
            let deadline = pair.client.tunnel.nextDeadline ?? at(0)
            #expect((at(5)...at(5.333)).contains(deadline))
            deadlines.insert(deadline)
        }
        #expect(deadlines.count > 1)
    }

    @Test func `a handshake does not follow another within 5 s`() throws {
        var pair = try Pair()
        try pair.connect()
        _ = pair.client.seal(counting(20), at: at(1))
        try pair.connect(at: at(15))
        // The gateway has forgotten everything: nothing comes back any more.
        _ = pair.client.seal(counting(20), at: at(15))
        pair.client.tunnel.abandonHandshake()
        let early = pair.client.actions(at: at(29.999))
        let due = pair.client.actions(at: at(30))
        #expect(early == [])
        #expect(due == [.initiate])
    }

    @Test func `giving up by the caller's word stops everything`() throws {
        var pair = try Pair()
        _ = try pair.client.initiate(at: at(0))
        pair.client.tunnel.abandonHandshake()
        let deadline = pair.client.tunnel.nextDeadline
        #expect(deadline == nil)
        _ = pair.client.seal(counting(20), at: at(1))
        let again = pair.client.tunnel.nextDeadline
        #expect(again == at(5))
    }

    @Test func `a session that we began is confirmed at once`() throws {
        var pair = try Pair()
        let response = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        try pair.client.finish(with: response, at: at(0))
        let deadline = pair.client.tunnel.nextDeadline
        let actions = pair.client.actions(at: at(0))
        #expect(deadline == at(0))
        #expect(actions == [.keepalive])
    }

    @Test func `data confirms it as well`() throws {
        var pair = try Pair()
        let response = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        try pair.client.finish(with: response, at: at(0))
        _ = pair.client.seal(counting(20), at: at(0))
        let actions = pair.client.actions(at: at(0))
        #expect(actions == [])
    }

    @Test func `a persistent keepalive is off unless asked for`() throws {
        var timing = Timing.exact
        timing.persistentKeepalive = .seconds(25)
        var pair = try Pair(timing: timing)
        try pair.connect()
        let early = pair.client.actions(at: at(24.999))
        let due = pair.client.actions(at: at(25))
        _ = pair.client.seal([], at: at(25))
        let next = pair.client.tunnel.nextDeadline
        #expect(early == [])
        #expect(due == [.keepalive])
        #expect(next == at(50))

        var plain = try Pair()
        try plain.connect()
        let none = plain.client.actions(at: at(100))
        #expect(none == [])
    }

    @Test func `after 540 s without a new session all keys are wiped`() throws {
        var pair = try Pair()
        try pair.connect()
        let early = pair.gateway.actions(at: at(539.999))
        let due = pair.gateway.actions(at: at(540))
        let deadline = pair.gateway.tunnel.nextDeadline
        #expect(early == [])
        #expect(due == [.expired])
        #expect(deadline == nil)
        var owned = false
        for index in 0..<40 as Range<UInt32> where pair.gateway.tunnel.owns(33 << 24 + index) {
            owned = true
        }
        #expect(!owned)
    }

    @Test func `who may not begin never asks to`() throws {
        var pair = try Pair(gatewayInitiates: false)
        let waiting = pair.gateway.seal(counting(20), at: at(0))
        #expect(waiting == nil)
        try pair.connect()
        _ = pair.gateway.seal(counting(20), at: at(1))
        _ = pair.gateway.seal(counting(20), at: at(179))
        _ = pair.gateway.seal(counting(20), at: at(181))
        let actions = pair.gateway.actions(at: at(400))
        #expect(actions == [])
    }
}
