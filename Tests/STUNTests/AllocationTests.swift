internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import Testing

@Suite struct AllocationTests {
    @Test func `the first Allocate is not signed, the second is, RFC 8656 7_1`() {
        var play = Play()
        play.run(.seconds(1))
        #expect(play.takeLog() == ["binding", "allocate 401", "allocate"])
        let events = play.takeEvents()
        #expect(events == [.mapped(endpoint("203.0.113.5:4500")), .allocated(play.relay.relayed)])
        #expect(play.client.relayedAddresses == play.relay.relayed)
        #expect(play.client.serverEndpoint == Play.ipv4)
        #expect(play.client.roundTrip == .milliseconds(40))
        #expect(play.client.isAllocated)
    }

    @Test func `SHA-256 is used where the relay offers it, RFC 8489 9_2_5`() {
        var play = Play()
        play.relay.offered = [.sha256, .md5]
        play.run(.seconds(1))
        #expect(play.takeLog() == ["binding", "allocate 401", "allocate"])
        #expect(play.client.isAllocated)
    }

    @Test func `a challenge whose offer was taken out is not believed`() {
        var play = Play()
        // The nonce tells of algorithms, the list is missing.
        play.relay.nonce = SecurityFeatures.passwordAlgorithms.noncePrefix + "x"
        play.run(.seconds(5))
        #expect(!play.client.isAllocated)
        #expect(play.relay.log.filter { $0 == "allocate" }.isEmpty)
        #expect(play.client.counters.unverified > 0)
    }

    @Test func `of two families the first to answer is the way, both tell an address`() {
        var play = Play([Play.ipv4, Play.ipv6])
        play.run(.seconds(1))
        #expect(play.client.mappedAddresses.count == 2)
        #expect(play.client.serverEndpoint == Play.ipv4)
        #expect(play.relay.log.filter { $0 == "binding" }.count == 2)
        var other = Play([Play.ipv4, Play.ipv6])
        other.cut = [Play.ipv4]
        other.run(.seconds(1))
        #expect(other.client.serverEndpoint == Play.ipv6)
        #expect(other.client.isAllocated)
        #expect(other.client.mappedAddresses == [endpoint("[2001:db8:113::5]:4500")])
    }

    @Test func `a relay of one family gives what it has, RFC 8656 7_2`() {
        var four = Play()
        four.relay.relayed.removeLast()
        four.run(.seconds(1))
        #expect(four.client.relayedAddresses == four.relay.relayed)
        var six = Play()
        six.relay.relayed.removeFirst()
        six.run(.seconds(1))
        #expect(six.client.relayedAddresses == six.relay.relayed)
        #expect(six.relay.log.suffix(2) == ["allocate 440", "allocate ipv6"])
    }

    @Test func `a relay that knows no additional family is asked for IPv4`() {
        for code: STUNErrorCode in [.unknownAttribute, .badRequest] {
            var play = Play()
            play.relay.rules[.allocate] = [.error(code), .error(code)]
            // The first Allocate is challenged before the rule is looked at.
            play.run(.seconds(1))
            #expect(play.client.isAllocated)
            #expect(play.relay.log.last == "allocate ipv4")
        }
    }

    @Test func `a lifetime is refreshed at its half, RFC 8656 8_1`() {
        var play = Play.standing()
        play.run(.seconds(298))
        #expect(!play.takeLog().contains("refresh"))
        play.run(.seconds(2))
        #expect(play.takeLog().filter { $0 == "refresh" }.count == 1)
        play.run(.seconds(3600))
        #expect(play.takeEvents().isEmpty)
        let refreshes = play.takeLog().filter { $0 == "refresh" }.count
        #expect(refreshes == 12)
    }

    @Test func `a short lifetime is kept too`() {
        var play = Play()
        play.relay.lifetime = 60
        play.run(.seconds(1))
        _ = play.takeLog()
        play.run(.seconds(120))
        #expect((3...5).contains(play.takeLog().filter { $0 == "refresh" }.count))
    }

    @Test func `a stale nonce costs one more request, RFC 8489 9_2_5`() {
        var play = Play.standing()
        play.relay.nonce = "nonce-2"
        play.run(.seconds(301))
        let log = play.takeLog().filter { $0.hasPrefix("refresh") }
        #expect(log == ["refresh 438", "refresh"])
        #expect(play.takeEvents().isEmpty)
    }

    @Test func `challenges without end are not followed without end`() {
        var play = Play()
        play.relay.rules[.allocate] = Array(repeating: .unsignedError(.staleNonce), count: 100)
        play.run(.seconds(30))
        #expect(play.relay.log.count < 18)
        #expect(play.takeEvents().contains(.failed(.unauthorized)))
    }

    @Test func `an allocation of a former life is ended first, RFC 8656 7_4`() {
        var play = Play()
        play.relay.isAllocated = true
        play.run(.seconds(1))
        let expected = [
            "binding", "allocate 401", "allocate 437", "release", "allocate",
        ]
        #expect(play.takeLog() == expected)
        #expect(play.client.isAllocated)
    }

    @Test func `one that cannot be ended is waited for`() {
        var play = Play()
        play.relay.isAllocated = true
        play.relay.rules[.refresh] = [.error(.wrongCredentials), .error(.wrongCredentials)]
        play.run(.milliseconds(300))
        #expect(play.takeEvents().contains(.failed(.mismatch)))
        play.relay.isAllocated = false
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
    }

    @Test func `an allocation that the relay forgot is got anew at once, with all peers`() {
        var play = Play.standing()
        play.client.permit(address("192.0.2.77"), at: play.now)
        play.client.bind(endpoint("192.0.2.78:9"), at: play.now)
        play.run(.seconds(1))
        _ = play.takeLog()
        play.relay.isAllocated = false
        play.client.renew(at: play.now)
        play.run(.seconds(1))
        let first: [TURNEvent] = [.lost(.mismatch), .allocated(play.relay.relayed)]
        #expect(play.takeEvents() == first)
        #expect(play.relay.permitted.contains(address("192.0.2.77")))
        #expect(play.relay.bound == [0x4000: endpoint("192.0.2.78:9")])
        #expect(play.client.framing(to: endpoint("192.0.2.78:9")) == .channel(0x4000))
    }

    @Test(arguments: [
        (STUNErrorCode.allocationQuotaReached, TURNFailure.quota, 3...7),
        (.insufficientCapacity, .capacity, 3...7), (.wrongCredentials, .unauthorized, 3...7),
        (.serverError, .refused(.serverError), 0...1),
        (.forbidden, .forbidden, 40...80), (.unsupportedTransport, .unsupported, 40...80),
    ])
    func `what an Allocate is refused for decides when it is tried again`(
        code: STUNErrorCode,
        failure: TURNFailure,
        seconds: ClosedRange<Int>
    ) {
        var play = Play()
        // One rule goes with the challenge.
        play.relay.rules[.allocate] = [.error(code), .error(code)]
        play.run(.seconds(100))
        #expect(play.events.contains(.failed(failure)))
        #expect(play.client.isAllocated)
        let failed = play.times.first { $0.event == .failed(failure) }?.at ?? .zero
        let stood = play.times.first { $0.event == .allocated(play.relay.relayed) }?.at ?? .zero
        #expect(seconds.contains(Int((stood - failed).components.seconds)))
    }

    @Test func `pauses grow to a minute and no further, and a failure is said once`() {
        var play = Play()
        play.relay.rules[.allocate] = Array(repeating: .error(.serverError), count: 1_000)
        play.run(.seconds(600))
        let attempts = play.takeLog().filter { $0 == "allocate 500" }.count
        #expect((12...22).contains(attempts))
        #expect(play.takeEvents().filter { $0 == .failed(.refused(.serverError)) }.count == 1)
    }

    @Test func `wrong credentials are said, and tried again when there are others`() {
        var play = Play()
        play.relay.password = "other"
        play.run(.seconds(2))
        #expect(play.takeEvents().last == .failed(.unauthorized))
        #expect(play.takeLog().filter { $0 == "allocate 401" }.count == 2)
        var server = Play.server()
        server.password = "other"
        play.client.update(server, at: play.now)
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
    }

    @Test func `new credentials keep the allocation, and serve when the old ones end`() {
        var play = Play.standing()
        var server = Play.server()
        server.username = "99999999999:me"
        server.password = "newer"
        play.client.update(server, at: play.now)
        play.run(.seconds(300))
        #expect(play.takeLog().filter { $0 != "binding" } == ["refresh"])
        (play.relay.username, play.relay.password) = (server.username, server.password)
        play.run(.seconds(300))
        #expect(play.takeLog().filter { $0 != "binding" } == ["refresh 401", "refresh"])
        #expect(play.takeEvents().isEmpty)
    }

    @Test func `an alternate server is followed, never in a circle, RFC 8489 10`() {
        let other = endpoint("192.0.2.2:3478")
        var play = Play()
        play.relay.rules[.allocate] = [.error(.serverError), .alternate(other)]
        play.run(.seconds(1))
        #expect(play.client.serverEndpoint == other)
        #expect(play.client.isAllocated)
        var circle = Play()
        let hops: [ScriptedRelay.Rule] = [.alternate(other), .alternate(Play.ipv4)]
        circle.relay.rules[.allocate] = Array(repeating: hops, count: 50).flatMap { $0 }
        circle.run(.seconds(2))
        #expect(circle.takeEvents().contains(.failed(.redirected)))
        #expect(circle.relay.log.filter { $0 == "allocate 300" }.count <= 8)
    }

    @Test func `an alternate server that does not answer is left again`() {
        let other = endpoint("192.0.2.2:3478")
        var play = Play()
        play.cut = [other]
        play.relay.rules[.allocate] = [.error(.serverError), .alternate(other)]
        play.run(.seconds(10))
        #expect(play.client.serverEndpoint == Play.ipv4)
        #expect(play.client.isAllocated)
    }

    @Test func `a relayed address that nobody can send to is none`() {
        var play = Play()
        play.relay.relayed = [endpoint("198.51.100.1:0"), endpoint("[2001:db8:51::1]:7")]
        play.run(.seconds(1))
        #expect(play.client.relayedAddresses == [endpoint("[2001:db8:51::1]:7")])
    }

    @Test func `closing gives the allocation back and ends everything`() {
        var play = Play.standing()
        play.client.permit(address("192.0.2.77"), at: play.now)
        play.run(.seconds(1))
        _ = play.takeLog()
        play.relay.nonce = "nonce-2"
        play.client.close(at: play.now)
        play.run(.seconds(60))
        #expect(play.takeLog() == ["release 438", "release"])
        #expect(!play.relay.isAllocated)
        #expect(play.client.nextDeadline == nil)
        #expect(play.client.framing(to: endpoint("192.0.2.77:1")) == .unavailable)
        play.client.renew(at: play.now)
        play.client.useStream(Play.bridge, at: play.now)
        #expect(play.client.pollOutput() == nil)
    }

    @Test func `hours of sleep cost one new allocation`() {
        var play = Play.standing()
        play.client.bind(endpoint("192.0.2.78:9"), at: play.now)
        play.run(.seconds(1))
        _ = play.takeLog()
        play.relay.isAllocated = false
        play.now = play.now + .seconds(7200)
        play.run(.seconds(2))
        #expect(play.takeEvents() == [.lost(.expired), .allocated(play.relay.relayed)])
        #expect(play.relay.bound == [0x4000: endpoint("192.0.2.78:9")])
        #expect(play.takeLog().count < 8)
    }
}
