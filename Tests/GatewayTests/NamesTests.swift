import Bytes
import Control
import DNS
import Gateway
import IP
import Peering
import SansIO
import Testing

@Suite struct FirstPackets {
    @Test func `packets that come before the name is resolved are kept and then sent in order`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1], isSilent: true)
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, 1_111, to: Address.proxy1), by: client)
        world.send(Packet.udp(from: client.address, 2_222, to: Address.proxy1), by: client)
        world.send(Packet.udp(from: client.address, 3_333, to: Address.proxy2), by: client)
        #expect(world.forwarded.isEmpty)
        world.zones["app.example.com"]?.isSilent = false
        world.run(for: .seconds(1))
        #expect(
            world.forwarded.compactMap { Packet.header($0)?.sourcePort } == [1_111, 2_222, 3_333]
        )
        #expect(client.received.isEmpty)
    }

    @Test func `a repeated SYN takes the place of its first copy`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1], isSilent: true)
        let client = world.connectedClient()
        for _ in 0..<3 {
            world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        }
        world.zones["app.example.com"]?.isSilent = false
        world.run(for: .seconds(1))
        #expect(world.forwarded.count == 1)
    }

    @Test func `of too many waiting packets the oldest go`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1], isSilent: true)
        let client = world.connectedClient()
        for port in 1...130 as ClosedRange<UInt16> {
            world.send(Packet.udp(from: client.address, port, to: Address.proxy1), by: client)
        }
        world.zones["app.example.com"]?.isSilent = false
        world.run(for: .seconds(1))
        #expect(world.forwarded.count == 128)
        #expect(world.forwarded.first.flatMap { Packet.header($0)?.sourcePort } == 3)
    }

    @Test func `packets wait four seconds at most and are then told that the host is unreachable`()
    {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(isSilent: true)
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        world.run(for: .seconds(3.5))
        #expect(client.received.isEmpty)
        world.run(for: .seconds(1))
        #expect(client.last?.icmpCode == 1)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `packets of the family that is known do not wait for the other`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `a name without addresses is unreachable, and its next query tries again`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(code: .nameError)
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(client.last?.icmpCode == 1)
        let asked = world.questions.count
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.questions.count == asked)

        world.zones["app.example.com"] = Zone(addresses: [Address.real1])
        world.run(for: .seconds(2))
        world.name("app.example.com", [Address.proxy1, Address.proxy2], by: client)
        #expect(world.lastAnswer(client)?.status == .active)
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }
}

@Suite struct RealAddresses {
    @Test func `the i-th proxy of a family stands for the i-th real address, going round`() {
        let world = GatewayWorld()
        let real6 = Address.of("2001:db8::5")
        world.zones["app.example.com"] = Zone(addresses: [real6, Address.real2, Address.real1])
        let proxies = (1...4).map { Address.of("100.96.0.\($0)") }
        let client = world.connectedClient(proxies: proxies + [Address.proxy6])
        var reached: [IPAddress?] = []
        for proxy in proxies {
            world.send(Packet.udp(from: client.address, to: proxy), by: client)
            reached.append(world.lastForwarded?.destination)
        }
        #expect(reached == [Address.real1, Address.real2, Address.real1, Address.real2])
        world.send(Packet.udp(from: client.address6, to: Address.proxy6), by: client)
        #expect(world.lastForwarded?.destination == real6)
    }

    @Test func `running sessions keep their address when the name moves, new ones follow it`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1], seconds: 5)
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.zones["app.example.com"]?.addresses = [Address.real2]
        world.run(for: .seconds(6))
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
        world.send(Packet.udp(from: client.address, 2, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
    }

    @Test func `an address that refuses is passed over by the next connection`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Address.real2])
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, 1, to: Address.proxy1), by: client)
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 1, [.rst, .ack])
        )
        #expect(client.last?.tcpFlags.contains(.rst) == true)
        world.send(Packet.tcp(from: client.address, 2, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
        world.send(Packet.tcp(from: client.address, 3, to: Address.proxy1, 80), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `an address that is unreachable is passed over too`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Address.real2])
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        let sent = world.forwarded.last ?? []
        world.resourceSends(Packet.error(.hostUnreachable, about: sent, from: Address.real1))
        world.send(Packet.udp(from: client.address, 2, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
    }

    @Test func `a repeated SYN goes to the next address when the first does not answer`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Address.real2])
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
        world.run(for: .seconds(1))
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
        world.resourceSends(
            Packet.tcp(from: Address.real2, 443, to: client.address, 40_000, [.syn, .ack])
        )
        #expect(client.last?.source == Address.proxy1)
        #expect(client.last?.tcpFlags == [.syn, .ack])
    }

    @Test func `a lone address that does not answer is tried again and again`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        for _ in 0..<3 {
            world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
            world.run(for: .seconds(1))
        }
        #expect(world.forwarded.count == 3)
    }

    @Test(arguments: ["127.0.0.1", "169.254.169.254", "100.64.0.2", "100.96.0.9", "224.0.0.1"])
    func `a name never leads to the gateway's host, a neighbour or the account's ranges`(
        address: String
    ) {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.of(address)])
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.last?.icmpCode == 1)
    }

    @Test func `the gateway resolves the address and clients ask for the alias`() {
        let world = GatewayWorld()
        world.zones["wiki.fritz.box"] = Zone(addresses: [Address.real2])
        var resource = Resources.app([], "*.fritz.box")
        resource.alias = "*.berlin.example"
        let client = world.client()
        let proxies = [Address.proxy1]
        world.order(world.grant(client, resource, name: "wiki.berlin.example", proxies: proxies))
        #expect(world.grantAnswers.last?.accepted == true)
        world.connect(client)
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
        world.name("nas.fritz.box", [Address.proxy2], by: client)
        #expect(world.lastAnswer(client)?.status == .nameMismatch)
    }
}

@Suite struct NamesInsideTheTunnel {
    @Test func `a further name of an authorised resource is served without the portal`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["wiki.example.com"] = Zone(addresses: [
            Address.real2, Address.of("2001:db8::2"),
        ])
        world.name("wiki.example.com", [Address.of("100.96.0.8")], by: client)
        let answer = world.lastAnswer(client)
        #expect(answer?.status == .active)
        #expect(answer?.families == [.ipv4, .ipv6])
        #expect(answer?.epoch == 1)
        world.send(Packet.udp(from: client.address, to: Address.of("100.96.0.8")), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
    }

    @Test func `each name is checked against the pattern that it was authorised for`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.name("wiki.example.org", [Address.of("100.96.0.8")], by: client)
        #expect(world.lastAnswer(client)?.status == .nameMismatch)
        world.name("wiki.example.com", [Address.of("100.96.0.8")], resource: "other", by: client)
        world.run(for: .seconds(1))
        #expect(world.lastAnswer(client)?.status == .notAuthorized)
        world.send(Packet.udp(from: client.address, to: Address.of("100.96.0.8")), by: client)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `proxy addresses outside the account's range are not taken`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["wiki.example.com"] = Zone(addresses: [Address.real2])
        for proxy in ["10.0.0.1", "100.64.0.9", "100.100.111.1"] {
            world.name("wiki.example.com", [Address.of(proxy)], by: client)
            world.send(Packet.udp(from: client.address, to: Address.of(proxy)), by: client)
        }
        #expect(world.lastAnswer(client) == nil)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `the same frame again is answered again and changes nothing`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        let proxies = [Address.proxy1, Address.proxy2, Address.proxy6]
        for _ in 0..<3 {
            client.epoch = 0
            world.name("app.example.com", proxies, by: client)
        }
        #expect(client.frames.count == 3)
        world.forget()
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(client.last?.source == Address.proxy1)
    }

    @Test func `an older frame does not undo a newer one`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        client.epoch = 10
        world.name("app.example.com", [Address.proxy2], by: client)
        client.epoch = 4
        world.name("app.example.com", [Address.proxy1], by: client)
        world.send(Packet.udp(from: client.address, to: Address.proxy2), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        world.run(for: .seconds(1))
        #expect(client.last?.icmpCode == 1)
    }

    @Test func `a proxy address that moves to another name takes no flow along`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.zones["wiki.example.com"] = Zone(addresses: [Address.real2])
        world.name("wiki.example.com", [Address.proxy1], by: client)
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
        world.forget()
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(client.received.isEmpty)
    }

    @Test func `released proxy addresses stand for nothing`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let release = ControlFrame.Release(
            epoch: 5,
            name: "app.example.com",
            proxies: [Address.proxy1]
        )
        world.send(.release(release), by: client)
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        world.run(for: .seconds(1))
        #expect(client.last?.icmpCode == 1)
        world.send(Packet.udp(from: client.address, to: Address.proxy2), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `a name that cannot be resolved says so, one without addresses says that`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.name("gone.example.com", [Address.of("100.96.0.8")], by: client)
        #expect(world.lastAnswer(client)?.status == .noAddresses)
        world.zones["slow.example.com"] = Zone(isSilent: true)
        world.name("slow.example.com", [Address.of("100.96.0.9")], by: client)
        world.run(for: .seconds(5))
        #expect(world.lastAnswer(client)?.status == .unresolved)
    }

    @Test func `two resources split one name by port`() {
        let world = GatewayWorld()
        let client = world.connectedClient(filters: [Filter(.tcp, ports: 443...443)])
        var second = Resources.app([Filter(.udp, ports: 53...53)], "app.example.com")
        second.id = "dns"
        world.order(world.grant(client, second, lease: "second"))
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.isEmpty)
        let proxies = [Address.proxy1, Address.proxy2, Address.proxy6]
        world.name("app.example.com", proxies, resource: "dns", by: client)
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.count == 1)
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.count == 2)
        world.send(Packet.udp(from: client.address, to: Address.proxy1, 54), by: client)
        #expect(world.forwarded.count == 2)
    }
}
