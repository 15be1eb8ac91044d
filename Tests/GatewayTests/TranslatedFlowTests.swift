import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing

@Suite struct TranslatedFlows {
    private static let real6 = Address.of("2001:db8:7::10")
    private static let payload = (0..<3_000).map { UInt8(truncatingIfNeeded: $0) }

    /// A client of a name that has one family only.
    private static func world(_ real: IPAddress = Address.real1) -> (GatewayWorld, TestClient) {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [real])
        return (world, world.connectedClient())
    }

    @Test func `UDP to the family that the name lacks goes to the other one, and back`() {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address6, 1_234, to: Address.proxy6), by: client)
        #expect(world.lastForwarded?.source == client.address)
        #expect(world.lastForwarded?.destination == Address.real1)
        #expect(world.lastForwarded?.destinationEndpoint.port == 53)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        #expect(client.last?.source == Address.proxy6)
        #expect(client.last?.destinationEndpoint == Endpoint(client.address6, port: 1_234))
    }

    @Test func `a client with IPv4 reaches a name that has IPv6 only`() {
        let (world, client) = Self.world(Self.real6)
        world.send(Packet.tcp(from: client.address, 1_234, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.source == client.address6)
        #expect(world.lastForwarded?.destination == Self.real6)
        #expect(world.lastForwarded?.isTCP == true)
        world.resourceSends(
            Packet.tcp(from: Self.real6, 443, to: client.address6, 1_234, [.syn, .ack])
        )
        #expect(client.last?.sourceEndpoint == Endpoint(Address.proxy1, port: 443))
        #expect(client.last?.destinationEndpoint == Endpoint(client.address, port: 1_234))
    }

    @Test func `the flow gets another port where its own is taken in the other family`() {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address, 1_234, to: Address.proxy1), by: client)
        world.send(Packet.udp(from: client.address6, 1_234, to: Address.proxy6), by: client)
        #expect(world.lastForwarded?.sourcePort == 1_235)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_235))
        #expect(client.last?.destinationEndpoint == Endpoint(client.address6, port: 1_234))
    }

    @Test func `segment sizes are clamped to 1,220 in both directions`() throws {
        let (world, client) = Self.world()
        let asked = Packet.tcp(from: client.address6, to: Address.proxy6, segmentSize: 1_440)
        world.send(asked, by: client)
        let out = try #require(world.forwarded.last)
        #expect(world.lastForwarded != nil)
        #expect(Array(out[42..<44]) == [4, 196])
        let answer = Packet.tcp(
            from: Address.real1,
            443,
            to: client.address,
            40_000,
            [.syn, .ack],
            segmentSize: 1_460
        )
        world.resourceSends(answer)
        let back = try #require(client.received.last)
        #expect(client.last != nil)
        #expect(Array(back[62..<64]) == [4, 196])
    }

    @Test func `ping passes in both directions`() {
        let (world, client) = Self.world()
        world.send(Packet.ping(from: client.address6, to: Address.proxy6, id: 7), by: client)
        #expect(world.lastForwarded?.isEchoRequest == true)
        #expect(world.lastForwarded?.source == client.address)
        world.resourceSends(Packet.pong(from: Address.real1, to: client.address, id: 7))
        #expect(client.last?.isEchoReply == true)
        #expect(client.last?.source == Address.proxy6)
    }

    @Test func `an ICMP error comes in the family of the client, with what the client sent`() throws
    {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address6, 1_234, to: Address.proxy6), by: client)
        let sent = try #require(world.forwarded.last)
        world.resourceSends(Packet.error(about: sent, from: Address.of("10.1.0.1")))
        #expect(client.last?.source == Address.proxy6)
        #expect(client.last?.icmpType == 1)
        #expect(client.last?.icmpCode == 4)
        let quoted = try #require(client.received.last.flatMap { Packet.quoted($0) })
        #expect(quoted.sourceEndpoint == Endpoint(client.address6, port: 1_234))
        #expect(quoted.destinationEndpoint == Endpoint(Address.proxy6, port: 53))
    }

    @Test func `a client's ICMP error reaches the resource in its family`() throws {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address6, 1_234, to: Address.proxy6), by: client)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        let got = try #require(client.received.last)
        world.forget()
        world.send(Packet.error(about: got, from: client.address6), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
        #expect(world.lastForwarded?.icmpType == 3)
        let quoted = try #require(world.forwarded.last.flatMap { Packet.quoted($0) })
        #expect(quoted.sourceEndpoint == Endpoint(Address.real1, port: 53))
        #expect(quoted.destinationEndpoint == Endpoint(client.address, port: 1_234))
    }

    @Test func `a packet without a hop left is answered`() throws {
        let (world, client) = Self.world()
        var packet = Packet.udp(from: client.address6, to: Address.proxy6)
        packet[7] = 1
        world.send(packet, by: client)
        #expect(world.forwarded.isEmpty)
        #expect(client.last?.icmpType == 3)
    }

    @Test func `what the resource may not send in one piece it is told`() throws {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address6, 9, to: Address.proxy6), by: client)
        world.forget()
        let header = IPHeader(from: Address.real1, to: client.address, dontFragment: true)
        let packet = header.packet(
            UDPHeader(sourcePort: 53, destinationPort: 9),
            payload: Array(Self.payload.prefix(1_280 - 28))
        )
        world.resourceSends(packet)
        #expect(client.received.isEmpty)
        let told = try #require(world.forwarded.last)
        #expect(world.lastForwarded?.source == client.address)
        #expect(world.lastForwarded?.destination == Address.real1)
        #expect(world.lastForwarded?.icmpCode == 4)
        #expect(told[26...27].elementsEqual([4, 236]))
    }

    @Test func `what the resource may send in one piece arrives in two`() {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address6, 9, to: Address.proxy6), by: client)
        let header = IPHeader(from: Address.real1, to: client.address, dontFragment: false)
        let packet = header.packet(
            UDPHeader(sourcePort: 53, destinationPort: 9),
            payload: Array(Self.payload.prefix(1_280 - 28))
        )
        world.resourceSends(packet)
        let pieces = client.received.compactMap { try? PacketHeader($0.rawSpan) }
        #expect(pieces.count == 2)
        #expect(pieces.allSatisfy { $0.isFragment && $0.totalByteCount <= 1_280 })
        #expect(pieces.map(\.isLaterFragment) == [false, true])
    }

    @Test func `a large answer of the kernel arrives in segments with right checksums`() throws {
        let (world, client) = Self.world()
        world.send(Packet.tcp(from: client.address6, to: Address.proxy6), by: client)
        world.forget()
        let packet = Packet.tcp(
            from: Address.real1,
            443,
            to: client.address,
            40_000,
            .ack,
            payload: Self.payload
        )
        world.resourceSends(
            packet,
            Offload(
                segmentation: .tcpIPv4,
                needsChecksum: true,
                checksumStart: 20,
                checksumOffset: 16,
                headerByteCount: 40,
                segmentByteCount: 1_220
            )
        )
        let headers = client.headers
        #expect(headers.count == 3)
        #expect(headers.map(\.payloadByteCount) == [1_220, 1_220, 560])
        #expect(headers.allSatisfy { $0.source == Address.proxy6 })
        let bytes = client.received.flatMap { packet -> [UInt8] in
            guard let header = Packet.header(packet) else { return [] }
            return Array(packet[header.payloadOffset..<header.totalByteCount])
        }
        #expect(bytes == Self.payload)
    }

    @Test func `a ping in fragments is joined, translated, and its answer cut again`() throws {
        let (world, client) = Self.world()
        let body = Array(Self.payload)
        let whole = IPHeader(from: client.address6, to: Address.proxy6).packet(
            ICMPHeader.echoRequest(.ipv6, identifier: 7, sequence: 1),
            body: body
        )
        for piece in Self.pieces(of: whole) { world.send(piece, by: client) }
        let asked = try #require(world.lastForwarded)
        #expect(asked.isEchoRequest)
        #expect(asked.payloadByteCount == body.count)
        #expect(!asked.dontFragment)
        world.forget()
        let pong = IPHeader(from: Address.real1, to: client.address, dontFragment: false).packet(
            ICMPHeader.echoReply(.ipv4, identifier: 7, sequence: 1),
            body: body
        )
        for piece in Fragments.fragments(of: pong, size: 1_200, identification: 9) {
            world.resourceSends(piece)
        }
        let pieces = client.received.compactMap { try? PacketHeader($0.rawSpan) }
        #expect(pieces.count == 3)
        #expect(pieces.allSatisfy { $0.isFragment && $0.source == Address.proxy6 })
    }

    /// An IPv6 packet as its sender cuts it.
    private static func pieces(of packet: [UInt8]) -> [[UInt8]] {
        let size = 1_200
        let content = Array(packet[40...])
        return stride(from: 0, to: content.count, by: size).map { start in
            let part = content[start..<min(start + size, content.count)]
            let isLast = start + size >= content.count
            var piece = Array(packet[..<40])
            let length = UInt16(part.count + 8)
            piece[4] = UInt8(length >> 8)
            piece[5] = UInt8(length & 0xff)
            piece[6] = 44
            let offset = UInt16(start) | (isLast ? 0 : 1)
            piece += [packet[6], 0, UInt8(offset >> 8), UInt8(offset & 0xff), 0, 0, 0, 5]
            return piece + part
        }
    }

    @Test func `where no address of its own family works the other family serves`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1, Self.real6])
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address6, 1_000, to: Address.proxy6), by: client)
        #expect(world.lastForwarded?.destination == Self.real6)
        let refused = world.forwarded.last.map {
            Packet.error(.hostUnreachable, about: $0, from: Address.of("fd00:2021:1111::1"))
        }
        world.resourceSends(refused ?? [])
        world.send(Packet.tcp(from: client.address6, 1_001, to: Address.proxy6), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }
}
