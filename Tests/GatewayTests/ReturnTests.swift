import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing

@Suite struct PacketsOfResources {
    @Test func `an answer comes from the proxy address to the port that asked`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_234, to: Address.proxy1), by: client)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        #expect(client.last?.source == Address.proxy1)
        #expect(client.last?.sourcePort == 53)
        #expect(client.last?.destination == client.address)
        #expect(client.last?.destinationPort == 1_234)
    }

    @Test func `ping passes in both directions, and not the other way round`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.ping(from: client.address, to: Address.proxy1, id: 7), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
        world.resourceSends(Packet.pong(from: Address.real1, to: client.address, id: 7))
        #expect(client.last?.isEchoReply == true)
        #expect(client.last?.source == Address.proxy1)
        world.forget()
        world.resourceSends(Packet.ping(from: Address.real1, to: client.address, id: 7))
        #expect(client.received.isEmpty)
    }

    @Test func `a resource cannot open a connection, not even one in a granted network`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "network"))
        let inside = Address.of("10.9.0.1")
        world.resourceSends(Packet.tcp(from: inside, 443, to: client.address, 5_000))
        world.resourceSends(Packet.udp(from: inside, 53, to: client.address, 5_000))
        #expect(client.received.isEmpty)
        world.send(Packet.udp(from: client.address, 5_000, to: inside), by: client)
        world.resourceSends(Packet.udp(from: inside, 53, to: client.address, 5_000))
        #expect(client.received.count == 1)
        world.resourceSends(Packet.udp(from: inside, 54, to: client.address, 5_000))
        #expect(client.received.count == 1)
        #expect(world.gateway.counters.unsolicited == 3)
    }

    @Test func `the answer to an expired flow is dropped`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.network("10.1.0.0/16"), lease: "network"))
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.run(for: .seconds(150))
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(client.received.isEmpty)
        let flows = world.gateway.status(at: world.now).clients.map(\.flows)
        #expect(flows == [0])
    }

    @Test func `two names on one address from one port are told apart on the way back`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["wiki.example.com"] = Zone(addresses: [Address.real1])
        let other = Address.of("100.96.0.8")
        world.name("wiki.example.com", [other], by: client)
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        world.send(Packet.tcp(from: client.address, to: other), by: client)
        let ports = world.forwarded.compactMap { Packet.header($0)?.sourcePort }
        #expect(ports == [40_000, 40_001])
        for (port, proxy) in zip(ports, [Address.proxy1, other]) {
            world.resourceSends(
                Packet.tcp(from: Address.real1, 443, to: client.address, port, [.syn, .ack])
            )
            #expect(client.last?.source == proxy)
            #expect(client.last?.destinationPort == 40_000)
        }
    }

    @Test(arguments: [
        IP.Refusal.portUnreachable, .hostUnreachable, .timeExceeded,
        .packetTooBig(maximumByteCount: 1_300),
    ])
    func `an ICMP error about a flow reaches the client with the packet that it knows`(
        refusal: IP.Refusal
    ) {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Address.of("2001:db8::1")])
        let client = world.connectedClient()
        for (source, proxy) in [
            (client.address, Address.proxy1), (client.address6, Address.proxy6),
        ] {
            world.send(Packet.udp(from: source, 777, to: proxy), by: client)
            let sent = world.forwarded.last ?? []
            let router = source.isIPv4 ? Address.of("10.1.0.1") : Address.of("2001:db8::ffff")
            world.resourceSends(Packet.error(refusal, about: sent, from: router))
            let quoted = client.received.last.flatMap { Packet.quoted($0) }
            #expect(quoted?.source == source)
            #expect(quoted?.sourcePort == 777)
            #expect(quoted?.destination == proxy)
            #expect(client.last?.source == proxy)
        }
    }

    @Test func `an error that quotes eight bytes of TCP is enough`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, 777, to: Address.proxy1), by: client)
        let sent = world.forwarded.last ?? []
        var error = Packet.error(about: sent, from: Address.real1)
        error = Array(error[..<56])
        error[3] = 56
        error = Self.withChecksums(error)
        world.resourceSends(error)
        #expect(client.received.last.flatMap { Packet.quoted($0) }?.sourcePort == 777)
    }

    /// An IPv4 ICMP packet with its checksums written anew.
    private static func withChecksums(_ packet: [UInt8]) -> [UInt8] {
        var bytes = packet
        for (field, range) in [(10, 0..<20), (22, 20..<packet.count)] {
            (bytes[field], bytes[field + 1]) = (0, 0)
            let sum = ~Checksum.sum(Array(bytes[range]).rawSpan)
            (bytes[field], bytes[field + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        }
        return bytes
    }

    @Test func `an ICMP error about no flow of the client is dropped`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let never = Packet.udp(from: client.address, 9, to: Address.real1)
        world.resourceSends(Packet.error(about: never, from: Address.real1))
        #expect(client.received.isEmpty)
        #expect(world.gateway.counters.foreignErrors == 1)
    }

    @Test func `the segment size of a SYN is lowered to what fits the tunnel, both ways`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Address.of("2001:db8::1")])
        let client = world.connectedClient()
        func segmentSize(_ packet: [UInt8]?) -> UInt16? {
            guard let packet, let header = Packet.header(packet) else { return nil }
            let offset = header.transportOffset + 22
            return UInt16(packet[offset]) << 8 | UInt16(packet[offset + 1])
        }
        let syn = Packet.tcp(from: client.address, to: Address.proxy1, segmentSize: 1_460)
        world.send(syn, by: client)
        #expect(segmentSize(world.forwarded.last) == 1_240)
        let small = Packet.tcp(from: client.address, 5, to: Address.proxy1, segmentSize: 500)
        world.send(small, by: client)
        #expect(segmentSize(world.forwarded.last) == 500)
        world.resourceSends(
            Packet.tcp(
                from: Address.real1,
                443,
                to: client.address,
                40_000,
                [.syn, .ack],
                segmentSize: 1_460
            )
        )
        #expect(segmentSize(client.received.last) == 1_240)
        let syn6 = Packet.tcp(from: client.address6, to: Address.proxy6, segmentSize: 1_440)
        world.send(syn6, by: client)
        #expect(segmentSize(world.forwarded.last) == 1_220)
    }

    @Test func `a large packet of a resource is rewritten once and arrives in segments`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        let payload = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        var packet = Packet.tcp(
            from: Address.real1,
            443,
            to: client.address,
            40_000,
            .ack,
            payload: payload
        )
        // As a kernel leaves it: the pseudo header's sum.
        let partial = Checksum(
            pseudoHeaderOf: .tcp,
            source: Address.real1,
            destination: client.address,
            byteCount: 20 + payload.count
        ).folded
        (packet[36], packet[37]) = (UInt8(partial >> 8), UInt8(partial & 0xff))
        world.resourceSends(
            packet,
            Offload(
                segmentation: .tcpIPv4,
                needsChecksum: true,
                checksumStart: 20,
                checksumOffset: 16,
                headerByteCount: 40,
                segmentByteCount: 1_200
            )
        )
        #expect(client.received.count == 9)
        #expect(client.headers.count == 9)
        #expect(client.headers.allSatisfy { $0.source == Address.proxy1 })
        #expect(client.received.flatMap { $0[40...] } == payload)
    }

    @Test func `segments of a client leave as one large packet`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        world.forget()
        let payload = (0..<6_000).map { UInt8(truncatingIfNeeded: $0) }
        let packet = Packet.tcp(
            from: client.address,
            to: Address.proxy1,
            443,
            .ack,
            payload: payload
        )
        world.send(
            packet,
            Offload(
                segmentation: .tcpIPv4,
                needsChecksum: false,
                checksumStart: 20,
                checksumOffset: 16,
                headerByteCount: 40,
                segmentByteCount: 1_200
            ),
            by: client
        )
        #expect(world.forwarded.count == 1)
        #expect(world.offloads.last?.segmentByteCount == 1_200)
        #expect(world.forwarded.last?.count == 6_040)
    }
}

@Suite struct Filters {
    @Test func `only what the filters list passes; icmp means echo`() {
        let world = GatewayWorld()
        let filters = [Filter(.tcp, ports: 443...443), Filter(.udp, ports: 8_000...8_010)]
        let client = world.connectedClient(filters: filters)
        world.send(Packet.tcp(from: client.address, to: Address.proxy1, 443), by: client)
        world.send(Packet.udp(from: client.address, to: Address.proxy1, 8_010), by: client)
        #expect(world.forwarded.count == 2)
        world.send(Packet.tcp(from: client.address, to: Address.proxy1, 80), by: client)
        world.send(Packet.udp(from: client.address, to: Address.proxy1, 443), by: client)
        world.send(Packet.ping(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.count == 2)
        #expect(client.received.count == 3)
        #expect(client.headers.allSatisfy { $0.icmpCode == 13 })
    }

    @Test func `a change of filters takes effect on running flows, in both directions`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.send(Packet.tcp(from: client.address, 2, to: Address.proxy1), by: client)
        let update = ToGateway.ResourceUpdate(resource: Resources.app([Filter(.udp)]))
        world.say(.portal(.resource(update)))
        world.forget()
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 2, [.syn, .ack])
        )
        #expect(client.received.isEmpty)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(client.received.count == 1)
        world.send(Packet.tcp(from: client.address, 2, to: Address.proxy1, 443, .ack), by: client)
        #expect(client.last?.tcpFlags.contains(.rst) == true)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `errors of known flows pass whatever the filters say`() {
        let world = GatewayWorld()
        let client = world.connectedClient(filters: [Filter(.udp)])
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        let sent = world.forwarded.last ?? []
        world.resourceSends(Packet.error(about: sent, from: Address.real1))
        #expect(client.received.count == 1)
    }
}
