internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import Testing

@Suite struct WayTests {
    private let peer = endpoint("198.51.100.77:51820")

    @Test func `a request is repeated at growing intervals, and not for ever`() {
        var client = TURNClient(
            server: Play.server(),
            random: RandomSource(seed: 1),
            at: .start
        )
        var times: [Int] = []
        var first: [UInt8]?
        for step in 0...5_700 {
            let now = Instant.start + .milliseconds(step)
            client.advance(to: now)
            while let output = client.pollOutput() {
                guard case .send(let bytes, _) = output else { continue }
                #expect(bytes == first ?? bytes, "a repeated request is the same")
                first = bytes
                times.append(step)
            }
        }
        #expect(times == [0, 250, 750, 1750, 3750])
    }

    @Test func `no answer for 750 ms is said once, and the search goes on`() {
        var play = Play([Play.ipv4, Play.ipv6])
        play.cut = [Play.ipv4, Play.ipv6]
        play.run(.seconds(600))
        #expect(play.times.map(\.event) == [.unreachable])
        #expect(play.times.map(\.at) == [.milliseconds(750)])
        play.cut = []
        play.run(.seconds(61))
        #expect(play.client.isAllocated)
    }

    @Test func `a way that never answers is asked less and less, where another one does`() {
        var play = Play([Play.ipv4, Play.ipv6])
        play.cut = [Play.ipv6]
        play.run(.seconds(600))
        var count = 0
        let end = play.now + .seconds(3600)
        while play.now < end, let next = play.client.nextDeadline {
            play.run(play.now.duration(to: next))
            count += 1
        }
        // Each 25 s a Binding, each 300 s a Refresh, answered; each 300 s three that are not.
        #expect(count < 2 * (144 + 12) + 12 * 4)
        play.cut = []
        play.run(.seconds(301))
        #expect(play.client.mappedAddresses.count == 2)
    }

    @Test func `a relay without endpoints wants a stream at once`() {
        var play = Play([])
        play.run(.seconds(1))
        #expect(play.times.map(\.event) == [.unreachable])
        #expect(play.times.map(\.at) == [.zero])
        #expect(play.client.nextDeadline == nil)
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
        #expect(play.client.isStream)
    }

    @Test func `a stream that died is known in 3 s, however often that is asked`() {
        for interval in [200, 500, 1_000, 2_000] {
            var play = Play([])
            play.client.useStream(Play.bridge, at: play.now)
            play.run(.seconds(1))
            #expect(play.client.isAllocated)
            _ = play.takeEvents()
            play.cut = [Play.bridge]
            for _ in 0...3_000 / interval {
                play.client.renew(at: play.now)
                play.run(.milliseconds(interval))
            }
            let events = play.takeEvents()
            #expect(events.contains(.lost(.noAnswer)), "\(interval) ms")
            #expect(events.contains(.unreachable), "\(interval) ms")
        }
    }

    @Test func `bindings keep the way open every 25 s`() {
        var play = Play.standing()
        play.run(.seconds(249))
        #expect(play.takeLog() == Array(repeating: "binding", count: 9))
        #expect(play.takeEvents().isEmpty)
    }

    @Test func `both families are kept open`() {
        var play = Play.standing([Play.ipv4, Play.ipv6])
        play.run(.seconds(99))
        #expect(play.takeLog() == Array(repeating: "binding", count: 6))
        play.cut = [Play.ipv6]
        play.run(.seconds(60))
        #expect(play.client.isAllocated)
        play.cut = []
        play.relay.mapped[.ipv6] = endpoint("[2001:db8:113::5]:4501")
        play.run(.seconds(60))
        #expect(play.takeEvents() == [.mapped(endpoint("[2001:db8:113::5]:4501"))])
    }

    @Test func `where the relay saw us last is offered although it does not answer any more`() {
        var play = Play.standing([Play.ipv4, Play.ipv6])
        let mapped = play.client.mappedAddresses
        #expect(mapped.count == 2)
        play.cut = [Play.ipv4, Play.ipv6]
        play.run(.seconds(600))
        #expect(!play.client.isAllocated)
        #expect(play.client.mappedAddresses == mapped)
        // Behind a stream datagrams do not get out: nobody reaches us there.
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        #expect(play.client.mappedAddresses.isEmpty)
    }

    @Test func `a relay that died is found out within a second of a renewal`() {
        var play = Play.standing()
        play.run(.seconds(10))
        play.cut = [Play.ipv4]
        play.client.renew(at: play.now)
        let before = play.now
        play.run(.seconds(1))
        let lost = play.times.first { $0.event == .lost(.noAnswer) }?.at
        #expect(lost == Instant.start.duration(to: before) + .milliseconds(750))
        #expect(play.client.relayedAddresses.isEmpty)
        #expect(play.client.framing(to: peer) == .unavailable)
    }

    @Test func `a relay that comes back with the allocation has the same addresses`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        play.cut = [Play.ipv4]
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        #expect(play.client.framing(to: peer) == .unavailable)
        play.cut = []
        _ = play.takeLog()
        play.run(.seconds(3))
        let expected: [TURNEvent] = [
            .lost(.noAnswer), .unreachable, .allocated(play.relay.relayed),
        ]
        #expect(play.takeEvents() == expected)
        #expect(play.takeLog() == ["binding", "refresh"])
        #expect(play.client.framing(to: peer) == .channel(0x4000))
    }

    @Test func `a relay that comes back without it gives another one`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        play.cut = [Play.ipv4]
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        play.cut = []
        play.relay.isAllocated = false
        play.relay.nonce = "another life"
        _ = play.takeLog()
        play.run(.seconds(3))
        let log = play.takeLog()
        #expect(log.prefix(4) == ["binding", "refresh 438", "refresh 437", "allocate"])
        #expect(log.dropFirst(4).sorted() == ["bind 4000", "permit 1"])
        #expect(play.client.framing(to: peer) == .channel(0x4000))
    }

    @Test func `one family dies and the other takes over`() {
        var play = Play.standing([Play.ipv4, Play.ipv6])
        play.cut = [Play.ipv4]
        play.client.renew(at: play.now)
        play.relay.isAllocated = false
        play.run(.seconds(1))
        #expect(play.client.serverEndpoint == Play.ipv6)
        #expect(play.client.isAllocated)
    }

    @Test func `a renewal of a good way changes nothing, and many at once are one`() {
        var play = Play.standing()
        for _ in 0..<100 { play.client.renew(at: play.now) }
        play.run(.milliseconds(100))
        #expect(play.takeLog() == ["binding", "refresh"])
        play.run(.milliseconds(100))
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        #expect(play.takeLog() == ["binding", "refresh"])
        #expect(play.takeEvents().isEmpty)
    }

    @Test func `another mapped address makes a new allocation, whatever a Refresh finds there`() {
        var play = Play.standing()
        play.relay.mapped[.ipv4] = endpoint("203.0.113.5:4501")
        play.relay.relayed = [endpoint("198.51.100.1:50001")]
        // An allocation of a former life stands there, and is refreshed as well as ours was.
        play.client.renew(at: play.now)
        play.run(.seconds(1))
        #expect(play.client.relayedAddresses == [endpoint("198.51.100.1:50001")])
        #expect(play.takeEvents().contains(.lost(.mismatch)))
        // The same while no way was known.
        play.cut = [Play.ipv4]
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        play.cut = []
        play.relay.mapped[.ipv4] = endpoint("203.0.113.5:4502")
        play.relay.relayed = [endpoint("198.51.100.1:50002")]
        play.run(.seconds(10))
        #expect(play.client.relayedAddresses == [endpoint("198.51.100.1:50002")])
    }

    @Test func `another mapped address makes the allocation be looked after`() {
        var play = Play.standing()
        play.relay.mapped[.ipv4] = endpoint("203.0.113.5:4501")
        // The relay knows allocations by where they come from.
        play.relay.isAllocated = false
        play.run(.seconds(25))
        let expected: [TURNEvent] = [
            .mapped(endpoint("203.0.113.5:4501")), .lost(.mismatch),
            .allocated(play.relay.relayed),
        ]
        #expect(play.takeEvents() == expected)
    }

    @Test func `data count as an answer when the answers get lost`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        play.relay.rules[.binding] = Array(repeating: .silence, count: 40)
        for _ in 0..<300 {
            play.run(.milliseconds(100))
            let data: [UInt8] = [0x40, 0, 0, 1, 9, 0, 0, 0]
            let got = play.client.receive(data.rawSpan, from: Play.ipv4, at: play.now)
            #expect(got == .data(from: peer, 4..<5))
        }
        #expect(play.client.isAllocated)
        #expect(play.takeEvents().isEmpty)
        play.run(.seconds(60))
        #expect(play.takeEvents().contains(.lost(.noAnswer)))
    }

    @Test func `a stream takes over, and is left when datagrams get through again`() {
        var play = Play()
        play.cut = [Play.ipv4]
        play.run(.seconds(1))
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        #expect(play.takeEvents() == [.unreachable, .allocated(play.relay.relayed)])
        #expect(play.client.isStream)
        #expect(play.client.serverEndpoint == Play.bridge)
        #expect(play.client.mappedAddresses.isEmpty, "a stream's address is no candidate")
        play.cut = []
        play.run(.seconds(60))
        let events = play.takeEvents()
        #expect(events.prefix(2) == [.mapped(endpoint("203.0.113.5:4500")), .reachable])
        // Said again at each keepalive: the first attempt to do without the stream may fail.
        #expect(events.dropFirst(2).allSatisfy { $0 == .reachable })
        play.client.useStream(nil, at: play.now)
        play.relay.isAllocated = false
        play.run(.seconds(1))
        #expect(play.takeEvents() == [.lost(.moved), .allocated(play.relay.relayed)])
        #expect(!play.client.isStream)
    }

    @Test func `on a stream nothing is repeated`() {
        var play = Play([])
        play.client.useStream(Play.bridge, at: play.now)
        play.relay.rules[.allocate] = [.silence]
        play.run(.milliseconds(4_900))
        #expect(play.takeLog() == ["binding", "allocate silence"])
    }

    @Test func `a stream that died is found out too`() {
        var play = Play([])
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        _ = play.takeEvents()
        play.cut = [Play.bridge]
        play.client.renew(at: play.now)
        play.run(.seconds(3))
        #expect(play.takeEvents() == [.lost(.noAnswer), .unreachable])
        play.client.useStream(endpoint("127.0.0.1:40001"), at: play.now)
        play.run(.seconds(1))
        #expect(play.client.serverEndpoint == endpoint("127.0.0.1:40001"))
    }

    @Test func `the same bridge again changes nothing, nor does no bridge`() {
        var play = Play.standing()
        play.client.useStream(nil, at: play.now)
        #expect(play.client.isAllocated)
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        _ = play.takeLog()
        play.client.useStream(Play.bridge, at: play.now)
        play.run(.seconds(1))
        #expect(play.takeLog().isEmpty)
    }

    @Test func `endpoints that come and go are taken up and left`() {
        var play = Play.standing()
        play.client.update(Play.server([Play.ipv4, Play.ipv6]), at: play.now)
        play.run(.seconds(1))
        #expect(play.client.serverEndpoint == Play.ipv4)
        #expect(play.client.mappedAddresses.count == 2)
        _ = play.takeEvents()
        play.client.update(Play.server([Play.ipv6]), at: play.now)
        play.relay.isAllocated = false
        play.run(.seconds(1))
        #expect(play.client.serverEndpoint == Play.ipv6)
        #expect(play.takeEvents() == [.lost(.moved), .allocated(play.relay.relayed)])
        #expect(!play.client.isServer(Play.ipv4))
    }

    @Test func `round-trip times are smoothed, and repeated requests do not count`() {
        var play = Play.standing()
        #expect(play.client.roundTrip == .milliseconds(40))
        play.delay = .milliseconds(60)
        play.run(.seconds(26))
        #expect(play.client.roundTrip == .milliseconds(50))
        play.relay.rules[.binding] = [.silence]
        play.run(.seconds(26))
        #expect(play.client.roundTrip == .milliseconds(50))
    }
}
