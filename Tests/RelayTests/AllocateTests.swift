import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Allocate, RFC 8656 section 7")
struct AllocateTests {
    @Test("7.2: an allocation is answered with its address, its life and the client's address")
    func success() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let answer = visitor.allocate()
        #expect(answer?.isSuccess == true)
        #expect(answer?.lifetime == 600)
        #expect(answer?.mapped == visitor.endpoint)
        #expect(answer?.relayed.count == 1)
        let relayed = answer?.relayed.first ?? .unspecified
        #expect(relayed.address == Stage.main.address)
        #expect((49_152...65_535).contains(relayed.port))
        #expect(stage.requested == [.open(relayed.port, ipv4: true, ipv6: false)])
        #expect(stage.ports == [relayed.port])
        #expect(answer?.hasSHA1 == true, "a request of RFC 5389 is answered in kind")
    }

    @Test("7.2: IPv4 and IPv6 share one port number")
    func twoFamilies() {
        let stage = Stage()
        let answer = Visitor(stage).allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        let port = answer?.relayed.first?.port ?? 0
        #expect(
            answer?.relayed == [
                Endpoint(Stage.main.address, port: port),
                Endpoint(Stage.mainIPv6.address, port: port),
            ]
        )
        #expect(stage.requested == [.open(port, ipv4: true, ipv6: true)])
        #expect(answer?.missing == nil)
    }

    @Test("7.2: a family that cannot be had besides is told with ADDRESS-ERROR-CODE")
    func partial() {
        let onlyIPv4 = Visitor(Stage { $0.ipv6 = nil })
        let answer = onlyIPv4.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        #expect(answer?.relayed.map(\.address) == [Stage.main.address])
        #expect(answer?.missing?.family == .ipv6)
        let onlyIPv6 = Visitor(Stage { $0.ipv4 = nil })
        let other = onlyIPv6.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        #expect(other?.relayed.map(\.address) == [Stage.mainIPv6.address])
        #expect(other?.missing?.family == .ipv4)
    }

    @Test("7.2: a family that is not there is refused with 440")
    func noFamily() {
        let visitor = Visitor(Stage { $0.ipv6 = nil })
        let answer = visitor.allocate { $0.append(.requestedAddressFamily, IPFamily.ipv6) }
        #expect(answer?.code == 440)
        let unknown = visitor.allocate { $0.append(.requestedAddressFamily, UInt32(9) << 24) }
        #expect(unknown?.code == 440)
        #expect(Visitor(Stage { $0.ipv4 = nil }).allocate()?.code == 440)
        let only = Visitor(Stage()).allocate { $0.append(.requestedAddressFamily, IPFamily.ipv6) }
        #expect(only?.relayed.map(\.address) == [Stage.mainIPv6.address])
    }

    @Test("7.2: wishes that exclude each other are refused with 400")
    func badWishes() {
        let visitor = Visitor(Stage())
        #expect(visitor.ask(.allocate)?.code == 400, "no REQUESTED-TRANSPORT")
        func refused(_ fill: (inout STUNWriter) -> Void) -> UInt16? { visitor.allocate(fill)?.code }
        #expect(
            refused {
                $0.append(.requestedAddressFamily, IPFamily.ipv4)
                $0.append(.additionalAddressFamily, IPFamily.ipv6)
            } == 400
        )
        #expect(refused { $0.append(.additionalAddressFamily, IPFamily.ipv4) } == 400)
        let token = [UInt8](repeating: 1, count: 8)
        #expect(
            refused {
                $0.append(.reservationToken, token)
                $0.append(.evenPort, [0])
            } == 400
        )
        #expect(
            refused {
                $0.append(.reservationToken, token)
                $0.append(.requestedAddressFamily, IPFamily.ipv4)
            } == 400
        )
        #expect(
            refused {
                $0.append(.evenPort, [0x80])
                $0.append(.additionalAddressFamily, IPFamily.ipv6)
            } == 400
        )
    }

    @Test("7.2: another transport than UDP is refused with 442")
    func transport() {
        let visitor = Visitor(Stage())
        #expect(visitor.ask(.allocate) { $0.append(requestedTransport: 6) }?.code == 442)
    }

    @Test("7.2: DONT-FRAGMENT is refused with 420, and named")
    func dontFragment() {
        let answer = Visitor(Stage()).allocate { $0.append(.dontFragment, []) }
        #expect(answer?.code == 420)
        #expect(answer?.unknown == [0x00, 0x1a])
    }

    @Test("RFC 8489 6.3.1: unknown attributes below 0x8000 are refused, others overlooked")
    func unknown() {
        let visitor = Visitor(Stage())
        let strange = STUNAttributeType(rawValue: 0x7abc)
        let answer = visitor.allocate { $0.append(strange, [1, 2, 3, 4]) }
        #expect(answer?.code == 420)
        #expect(answer?.unknown == [0x7a, 0xbc])
        let optional = STUNAttributeType(rawValue: 0xfabc)
        #expect(visitor.allocate { $0.append(optional, [1, 2, 3, 4]) }?.isSuccess == true)
    }

    @Test(
        "7.2: life is ten minutes at least and an hour at most",
        arguments: [(nil, 600), (0, 600), (1, 600), (601, 601), (3_600, 3_600), (.max, 3_600)]
            as [(UInt32?, UInt32)]
    )
    func lifetime(wanted: UInt32?, given: UInt32) {
        let stage = Stage()
        let visitor = Visitor(stage)
        let answer = visitor.allocate { if let wanted { $0.append(.lifetime, wanted) } }
        #expect(answer?.lifetime == given)
        stage.pass(.seconds(Int64(given)) - .nanoseconds(1))
        #expect(stage.allocationCount == 1)
        stage.pass(.nanoseconds(1))
        #expect(stage.allocationCount == 0)
        #expect(stage.ports.isEmpty)
    }

    @Test("7.2: the same request again has the same answer, another one 437")
    func again() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        let request = visitor.signed(visitor.bare(.allocate) { $0.append(requestedTransport: 17) })
        let first = visitor.send(request)
        stage.pass(.seconds(3))
        #expect(visitor.send(request) == first)
        #expect(visitor.allocate()?.code == 437)
        #expect(stage.requested.count == 1)
    }

    @Test("a request that comes again while its port is being opened is answered once")
    func againWhileOpening() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        stage.answersPorts = false
        let request = visitor.signed(visitor.bare(.allocate) { $0.append(requestedTransport: 17) })
        #expect(visitor.send(request).isEmpty)
        #expect(visitor.send(request).isEmpty)
        guard case .open(let port, ipv4: true, ipv6: false) = stage.requested.first else {
            Issue.record("no port was asked for")
            return
        }
        #expect(stage.handle(.portOpened(port)).count == 1)
        #expect(stage.handle(.portOpened(port)).isEmpty)
        #expect(stage.requested.count == 1)
    }

    @Test("a port that the host refuses is replaced, up to eight times")
    func portRefused() {
        let stage = Stage()
        let visitor = Visitor(stage)
        stage.portsToRefuse = 7
        #expect(visitor.allocate()?.isSuccess == true)
        #expect(stage.requested.count == 8)
        let other = Visitor(stage, at: "203.0.113.9:5001")
        stage.portsToRefuse = 8
        #expect(other.allocate()?.code == 508)
        #expect(stage.allocationCount == 1)
        #expect(other.allocate()?.isSuccess == true, "and the next try begins anew")
    }

    @Test("a host that does not answer makes it 508 after five seconds")
    func hostSilent() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        stage.answersPorts = false
        visitor.allocate()
        #expect(stage.pass(.seconds(5) - .nanoseconds(1)).isEmpty)
        #expect(Answer(stage.pass(.nanoseconds(1)).first)?.code == 508)
        // Then the answer comes: the port is given back.
        guard case .open(let port, ipv4: _, ipv6: _) = stage.requested.first else { return }
        stage.handle(.portOpened(port))
        #expect(stage.requested.last == .close(port))
    }

    @Test("7.2: 508 when all ports are lent, and a port again when one is given back")
    func exhausted() {
        let stage = Stage {
            $0.ports = 50_000...50_003
            $0.port = 50_001
        }
        let visitors = (0..<4).map { Visitor(stage, at: "203.0.113.9:\(6_000 + $0)") }
        for visitor in visitors { visitor.local.port = 50_001 }
        let answers = visitors.map { $0.allocate() }
        #expect(answers.prefix(3).allSatisfy { $0?.isSuccess == true })
        #expect(stage.ports == [50_000, 50_002, 50_003], "the main port is not lent")
        #expect(answers[3]?.code == 508)
        #expect(visitors[1].refresh(0)?.isSuccess == true)
        #expect(visitors[3].allocate()?.isSuccess == true)
    }

    @Test("7.2: EVEN-PORT has an even port, and the next one reserved for half a minute")
    func evenPort() throws {
        let stage = Stage()
        let visitor = Visitor(stage)
        let answer = visitor.allocate { $0.append(.evenPort, [0x80]) }
        let port = try #require(answer?.relayed.first?.port)
        let token = try #require(answer?.token)
        #expect(port % 2 == 0)
        var field: [UInt8] = []
        field.append(bigEndian: token)
        let stranger = Visitor(stage, at: "203.0.113.9:5001", name: "eve")
        #expect(stranger.allocate { $0.append(.reservationToken, field) }?.code == 508)
        let other = Visitor(stage, at: "203.0.113.9:5002")
        let second = other.allocate { $0.append(.reservationToken, field) }
        #expect(second?.relayed.first?.port == port + 1)
        let late = Visitor(stage, at: "203.0.113.9:5003")
        #expect(late.allocate { $0.append(.reservationToken, field) }?.code == 508, "used up")
    }

    @Test("7.2: a reservation ends after thirty seconds")
    func reservationEnds() throws {
        let stage = Stage { $0.ports = 50_000...50_001 }
        let visitor = Visitor(stage)
        #expect(visitor.allocate { $0.append(.evenPort, [0x80]) }?.isSuccess == true)
        let other = Visitor(stage, at: "203.0.113.9:5002")
        stage.pass(.seconds(30) - .nanoseconds(1))
        #expect(other.allocate()?.code == 508)
        stage.pass(.nanoseconds(1))
        #expect(other.allocate()?.relayed.first?.port == 50_001)
    }

    @Test("a cloud's translated address is told, and the local one sent from")
    func mappedPublicAddress() throws {
        let local = try #require(IPAddress("10.9.9.9"))
        let stage = Stage { $0.ipv4?.localAddress = local }
        let visitor = Visitor(stage)
        let relayed = try #require(visitor.allocate()?.relayed.first)
        #expect(relayed.address == Stage.main.address)
        let peer = endpoint("192.0.2.7:700")
        visitor.permit(peer)
        let sent = visitor.indicate([1, 2, 3], to: peer)
        #expect(sent.map(\.local) == [Endpoint(local, port: relayed.port)])
        #expect(visitor.permit(endpoint("10.9.9.9:700"))?.code == 403, "it is nobody's peer")
    }

    @Test("two clients, and two addresses of the relay, are different 5-tuples")
    func tuples() {
        let stage = Stage()
        let (one, other) = (Visitor(stage), Visitor(stage))
        other.local = endpoint("198.51.100.2:3478")
        #expect(one.allocate()?.isSuccess == true)
        #expect(other.allocate()?.isSuccess == true)
        #expect(stage.allocationCount == 2)
    }
}
