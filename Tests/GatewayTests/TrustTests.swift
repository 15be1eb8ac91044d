import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing

@Suite struct PacketsOfClients {
    @Test func `a packet to a name goes to its real address from the client's tunnel address`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        let header = world.lastForwarded
        #expect(header?.destination == Address.real1)
        #expect(header?.source == client.address)
        #expect(header?.sourcePort == 40_000)
        #expect(header?.destinationPort == 443)
    }

    @Test func `a source that is not the client's is prohibited`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let other = Address.of("192.168.1.5")
        world.send(Packet.udp(from: other, to: Address.proxy1), by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.last?.icmpType == 3)
        #expect(client.last?.icmpCode == 13)
        #expect(client.last?.destination == other)
        world.send(Packet.udp(from: Address.of("fd00::9"), to: Address.proxy6), by: client)
        #expect(client.last?.icmpType == 1)
        #expect(client.last?.icmpCode == 1)
    }

    @Test func `another client's tunnel address as source is prohibited`() {
        let world = GatewayWorld()
        let client = world.connectedClient(1)
        let other = world.connectedClient(2, proxies: [Address.of("100.96.0.9")])
        world.send(Packet.udp(from: other.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `another client cannot be reached, not even with a resource that covers it`() {
        let world = GatewayWorld()
        let client = world.connectedClient(1)
        let other = world.connectedClient(2, proxies: [Address.of("100.96.0.9")])
        world.order(world.grant(client, Resources.network("100.64.0.0/10"), lease: "wide"))
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        world.send(Packet.udp(from: client.address, to: other.address), by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.last?.icmpCode == 13)
    }

    @Test func `the gateway's own address answers ping and DNS, and nothing else`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.ping(from: client.address, to: Address.gateway, id: 77), by: client)
        #expect(client.last?.isEchoReply == true)
        #expect(client.last?.destinationPort == 77)
        world.send(Packet.tcp(from: client.address, to: Address.gateway, 22), by: client)
        #expect(client.last?.icmpCode == 13)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `an address without a lease is prohibited`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        world.run(for: .seconds(1))
        #expect(client.last?.icmpType == 3)
        #expect(client.last?.icmpCode == 13)
        #expect(client.last?.source == Address.of("10.9.9.9"))
    }

    @Test func `a proxy address that stands for nothing is unreachable, not prohibited`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.of("100.96.7.7")), by: client)
        world.run(for: .seconds(1))
        #expect(client.last?.icmpCode == 1)
    }

    @Test func `a segment of an unknown TCP connection is reset and a SYN is told by ICMP`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let elsewhere = Address.of("10.9.9.9")
        world.send(Packet.tcp(from: client.address, to: elsewhere, 443, .ack), by: client)
        #expect(client.last?.tcpFlags.contains(.rst) == true)
        #expect(client.last?.source == elsewhere)
        world.send(Packet.tcp(from: client.address, to: elsewhere), by: client)
        world.run(for: .seconds(1))
        #expect(client.last?.isICMPError == true)
        world.send(Packet.tcp(from: client.address, 9, to: Address.proxy1, 443, .ack), by: client)
        #expect(client.last?.tcpFlags.contains(.rst) == true)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `a reset of an unknown connection is not answered`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1, 443, .rst), by: client)
        #expect(client.received.isEmpty)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `protocols other than TCP, UDP and ICMP are unreachable`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let packet = IPHeader(
            from: client.address,
            to: Address.proxy1,
            transportProtocol: TransportProtocol(rawValue: 47)
        ).packet(payload: [0, 0, 8, 0])
        world.send(packet, by: client)
        #expect(client.last?.icmpCode == 2)
    }

    @Test func `multicast and broadcast are dropped in silence`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.of("224.0.0.251")), by: client)
        world.send(Packet.udp(from: client.address, to: Address.of("255.255.255.255")), by: client)
        world.send(Packet.udp(from: client.address6, to: Address.of("ff02::fb")), by: client)
        #expect(client.received.isEmpty)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `refusals are limited by a token bucket`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        for _ in 0..<500 {
            world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        }
        #expect(client.received.count == 200)
        world.run(for: .seconds(2))
        client.received = []
        for _ in 0..<500 {
            world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        }
        #expect(client.received.count == 100)
    }

    @Test func `an ICMP error of a client is never answered and passes for its own flow only`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        let answer = Packet.udp(from: Address.real1, 53, to: client.address, 40_000)
        world.resourceSends(answer)
        let asSeen = client.received.last ?? []
        world.forget()

        world.send(Packet.error(about: asSeen, from: client.address), by: client)
        #expect(world.lastForwarded?.isICMPError == true)
        #expect(world.lastForwarded?.destination == Address.real1)
        let quoted = world.forwarded.last.flatMap { Packet.quoted($0) }
        #expect(quoted?.source == Address.real1)
        #expect(quoted?.destination == client.address)
        #expect(quoted?.destinationPort == 40_000)
        world.forget()

        let foreign = Packet.udp(from: Address.proxy1, 54, to: client.address, 40_000)
        world.send(Packet.error(about: foreign, from: client.address), by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.received.isEmpty)
    }

    @Test func `an echo reply that nobody asked for is refused`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.pong(from: client.address, to: Address.proxy1, id: 3), by: client)
        #expect(world.forwarded.isEmpty)
    }
}

@Suite struct TheInternetResource {
    @Test(arguments: [
        "10.0.0.1", "172.16.3.4", "192.168.0.1", "127.0.0.1", "169.254.169.254", "100.100.0.1",
        "100.127.0.1", "240.0.0.1", "0.0.0.8", "fd12::1", "fe80::1", "::1", "64:ff9b::a00:1",
    ])
    func `it does not reach addresses that mean something else elsewhere`(address: String) {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        let destination = Address.of(address)
        let source = destination.isIPv4 ? client.address : client.address6
        world.send(Packet.udp(from: source, to: destination), by: client)
        #expect(world.forwarded.isEmpty)
    }

    @Test(arguments: ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"])
    func `it reaches the rest`(address: String) {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        let destination = Address.of(address)
        let source = destination.isIPv4 ? client.address : client.address6
        world.send(Packet.udp(from: source, to: destination), by: client)
        #expect(world.lastForwarded?.destination == destination)
        #expect(world.lastForwarded?.source == source)
    }

    @Test func `a private network is reached when another resource covers it`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "network"))
        world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        #expect(world.lastForwarded?.destination == Address.of("10.9.9.9"))
    }

    @Test func `a network that forbids the packet is not passed by through the internet`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        let only443 = Resources.network("203.0.113.0/24", [Filter(.tcp, ports: 443...443)])
        world.order(world.grant(client, only443, lease: "network"))
        world.send(Packet.udp(from: client.address, to: Address.of("203.0.113.5")), by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.last?.icmpCode == 13)
    }
}
