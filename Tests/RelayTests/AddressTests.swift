import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Whom the relay sends to")
struct AddressTests {
    @Test(
        "a relay with a public address refuses what only its own host or network reaches: 403",
        arguments: [
            "127.0.0.1:1", "127.255.0.9:1", "169.254.169.254:80", "169.254.1.1:1", "10.0.0.1:1",
            "172.31.255.1:1", "192.168.1.1:1", "100.64.0.1:1", "100.100.100.200:80",
            "168.63.129.16:80", "192.0.0.192:1", "0.0.0.0:1", "0.1.2.3:1", "224.0.0.251:5353",
            "239.1.1.1:1", "255.255.255.255:1", "240.0.0.1:1", "198.18.0.1:1", "[::1]:1",
            "[::]:1", "[::2]:1", "[fe80::1]:1", "[febf::1]:1", "[fec0::1]:1", "[fc00::1]:1",
            "[fd00:ec2::254]:80", "[ff02::1]:1", "[100::1]:1", "[64:ff9b::a00:1]:1",
            "[64:ff9b::7f00:1]:1", "[64:ff9b:1::1]:1", "[2002:a00:1::1]:1",
            "[2002:7f00:1::]:1",
        ]
    )
    func refused(peer: String) {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        #expect(visitor.permit(endpoint(peer))?.code == 403)
        #expect(visitor.bind(0x4000, endpoint(peer))?.code == 403)
        #expect(visitor.indicate([1], to: endpoint(peer)).isEmpty)
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        #expect(stage.counters.peersRefused == 2)
    }

    @Test(
        "what everybody reaches is permitted",
        arguments: [
            "8.8.8.8:53", "100.128.0.1:1", "172.32.0.1:1", "192.0.2.1:1", "[2001:db8::1]:1",
            "[2a00::1]:1", "[64:ff9b::808:808]:1", "[2002:808:808::1]:1",
        ]
    )
    func permitted(peer: String) {
        let visitor = Visitor(Stage())
        visitor.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        #expect(visitor.bind(0x4000, endpoint(peer))?.isSuccess == true)
        #expect(visitor.channel(0x4000, [1]).map(\.remote) == [endpoint(peer)])
    }

    @Test("an IPv4 address in IPv6 clothes is no address: 400")
    func mapped() {
        let visitor = Visitor(Stage())
        visitor.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        // 20 bytes of an IPv6 address that is ::ffff:10.0.0.1 when the transaction is taken off.
        let answer = visitor.ask(.createPermission) { writer in
            let transaction = writer.transaction
            var field: [UInt8] = [0, 2]
            field.append(bigEndian: UInt16(1) ^ 0x2112)
            let words: [UInt32] = [
                0x2112_a442, transaction.high, UInt32(transaction.low >> 32),
                UInt32(truncatingIfNeeded: transaction.low),
            ]
            for (word, mask) in zip([0, 0, 0xffff, 0x0a00_0001] as [UInt32], words) {
                field.append(bigEndian: word ^ mask)
            }
            writer.append(.xorPeerAddress, endpoint("8.8.8.8:1"))
            writer.append(.xorPeerAddress, field)
        }
        #expect(answer?.code == 400)
        #expect(visitor.permit(endpoint("8.8.8.8:1"))?.isSuccess == true)
    }

    @Test("the configuration permits networks, and no more than it names")
    func allowed() {
        let stage = Stage {
            $0.allowedPeers = ["10.1.0.0/16", "100.64.0.0/10"].compactMap(IPPrefix.init)
        }
        let visitor = Visitor(stage)
        visitor.allocate()
        #expect(visitor.permit(endpoint("10.1.2.3:1"))?.isSuccess == true)
        #expect(visitor.permit(endpoint("10.2.2.3:1"))?.code == 403)
        #expect(visitor.permit(endpoint("100.64.0.1:1"))?.isSuccess == true)
        #expect(visitor.permit(endpoint("100.100.100.200:80"))?.code == 403, "metadata")
    }

    @Test("a network that is no longer allowed is served no longer")
    func withdrawn() {
        let open: (inout Relay.Configuration) -> Void = {
            $0.allowedPeers = [IPPrefix("10.0.0.0/8")].compactMap(\.self)
        }
        let stage = Stage(open)
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        let (inside, other) = (endpoint("10.1.2.3:1"), endpoint("10.1.2.4:1"))
        let outside = endpoint("192.0.2.7:1")
        visitor.bind(0x4000, inside)
        visitor.permit(other)
        visitor.bind(0x4001, outside)
        #expect(visitor.channel(0x4000, [1]).count == 1)
        #expect(visitor.indicate([1], to: other).count == 1)
        stage.handle(.configure(Stage.configuration()))
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        #expect(visitor.indicate([1], to: other).isEmpty)
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(stage.receive([1], from: inside, to: lent).isEmpty)
        #expect(visitor.channel(0x4001, [1]).count == 1, "the rest goes on")
    }

    @Test("a relay with a private address relays to private networks, not to itself or its link")
    func privateRelay() {
        let stage = Stage {
            $0.ipv4 = IPAddress("10.0.0.1").map { Relay.LentAddress($0) }
        }
        let visitor = Visitor(stage)
        visitor.allocate()
        #expect(visitor.permit(endpoint("192.168.1.1:1"))?.isSuccess == true)
        #expect(visitor.permit(endpoint("127.0.0.1:1"))?.code == 403)
        #expect(visitor.permit(endpoint("169.254.169.254:80"))?.code == 403)
        #expect(visitor.permit(endpoint("100.100.100.200:80"))?.code == 403)
    }

    @Test("the relay's own ports are no peers, unless lent or allowed by name")
    func own() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        for place in [Stage.main, endpoint("198.51.100.1:22")] {
            #expect(visitor.permit(place)?.isSuccess == true)
            #expect(visitor.indicate([1], to: place).isEmpty)
        }
        #expect(stage.counters.ownAddress == 2)
        // To oneself: round once, no further.
        let own = Endpoint(Stage.main.address, port: port)
        #expect(Indication(visitor.indicate([1], to: own).last)?.peer == own)
        let allowed = Stage { $0.allowedPeers = [IPPrefix(host: Stage.main.address)] }
        let other = Visitor(allowed)
        other.allocate()
        other.permit(Stage.main)
        #expect(other.indicate([1], to: endpoint("198.51.100.1:22")).count == 1)
        #expect(other.indicate([1], to: Stage.main).isEmpty, "the main port never")
    }

    @Test("what claims to come from a lent port is not answered")
    func loop() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        let lent = Endpoint(Stage.main.address, port: port)
        let request = visitor.bare(.binding)
        #expect(stage.receive(request.bytes, from: lent).isEmpty)
        #expect(stage.receive(request.bytes, from: endpoint("203.0.113.9:0")).isEmpty)
        #expect(stage.counters.unanswerable == 2)
    }

    @Test("an address that is no longer ours ends its allocations")
    func renumbered() {
        let stage = Stage()
        let (one, other) = (Visitor(stage), Visitor(stage, at: "203.0.113.9:5001"))
        one.allocate()
        other.allocate { $0.append(.requestedAddressFamily, IPFamily.ipv6) }
        stage.handle(
            .configure(
                Stage.configuration {
                    $0.ipv4 = IPAddress("198.51.100.77").map { Relay.LentAddress($0) }
                }
            )
        )
        #expect(one.refresh()?.code == 437)
        #expect(other.refresh()?.isSuccess == true)
        #expect(one.allocate()?.relayed.first?.address == IPAddress("198.51.100.77"))
    }
}
