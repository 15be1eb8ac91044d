import Bytes
import IP
import Testing

@Suite("Views and the headers that write them")
struct ViewTests {
    @Test("RFC 791 3.1: every IPv4 field comes back")
    func ipv4() throws {
        let ip = IPHeader(
            from: Sample.client4,
            to: Sample.server4,
            hopLimit: 9,
            trafficClass: 0xb9,
            identification: 0x1234,
            dontFragment: false
        )
        let bytes = ip.packet(payload: [1, 2, 3]) + [0]
        let packet = try IPv4Packet(bytes.rawSpan)
        let payload = packet.payload.array
        #expect(payload == [1, 2, 3])
        let (total, header, options) = (
            packet.totalByteCount, packet.headerByteCount, packet.options.byteCount
        )
        #expect((total, header, options) == (23, 20, 0))
        let (hopLimit, trafficClass, identification) = (
            packet.hopLimit, packet.trafficClass, packet.identification
        )
        #expect((hopLimit, trafficClass, identification) == (9, 0xb9, 0x1234))
        let (source, destination) = (packet.source, packet.destination)
        #expect(source == Sample.client4 && destination == Sample.server4)
        let (isValid, isWhole) = (packet.hasValidChecksum, packet.dontFragment)
        #expect(isValid && !isWhole)
    }

    @Test("RFC 8200 3: every IPv6 field comes back")
    func ipv6() throws {
        let ip = IPHeader(
            from: Sample.client6,
            to: Sample.server6,
            transportProtocol: .tcp,
            hopLimit: 9,
            trafficClass: 0xb9,
            flowLabel: 0xabcde
        )
        let bytes = ip.packet(payload: [1, 2, 3]) + [0]
        let packet = try IPv6Packet(bytes.rawSpan)
        let payload = packet.payload.array
        #expect(payload == [1, 2, 3])
        let (hopLimit, trafficClass, flowLabel) = (
            packet.hopLimit, packet.trafficClass, packet.flowLabel
        )
        #expect((hopLimit, trafficClass, flowLabel) == (9, 0xb9, 0xabcde))
        let (source, destination, next) = (packet.source, packet.destination, packet.nextHeader)
        #expect(source == Sample.client6 && destination == Sample.server6 && next == .tcp)
    }

    @Test("RFC 9293 3.1: every TCP field comes back, options padded to whole words")
    func tcp() throws {
        let tcp = TCPHeader(
            sourcePort: 1,
            destinationPort: 2,
            sequence: 3,
            acknowledgment: 4,
            flags: [.syn, .cwr],
            window: 5,
            urgentPointer: 6,
            options: [3, 3, 7]
        )
        let bytes = Sample.header(.ipv4).packet(tcp, payload: [9])
        let segment = try TCPSegment(bytes.rawSpan.extracting(droppingFirst: 20))
        let (ports, numbers) = (
            (segment.sourcePort, segment.destinationPort),
            (segment.sequence, segment.acknowledgment)
        )
        #expect(ports == (1, 2) && numbers == (3, 4))
        let (flags, window, urgent) = (segment.flags, segment.window, segment.urgentPointer)
        #expect(flags == [.syn, .cwr] && window == 5 && urgent == 6)
        let (options, payload) = (segment.options.array, segment.payload.array)
        #expect(options == [3, 3, 7, 0] && payload == [9])
    }

    @Test("RFC 768, RFC 792: UDP and ICMP fields come back")
    func udpAndICMP() throws {
        let bytes = Sample.udp(.ipv6) + [0, 0]
        let datagram = try UDPDatagram(bytes.rawSpan.extracting(droppingFirst: 40))
        let (ports, payload) = (
            (datagram.sourcePort, datagram.destinationPort), datagram.payload.array
        )
        #expect(ports == (5000, 53) && payload == [1, 2, 3])
        let echo = Sample.echo(.ipv4)
        let message = try ICMPMessage(echo.rawSpan.extracting(droppingFirst: 20))
        let (type, identifier, sequence) = (message.type, message.identifier, message.sequence)
        #expect((type, identifier, sequence) == (8, 0x1234, 1))
        let body = message.body.array
        #expect(body == [9, 8, 7])
    }

    @Test(
        "every header writes packets whose checksums a receiver accepts",
        arguments: IPFamily.allCases
    )
    func checksums(_ family: IPFamily) throws {
        for count in 0..<70 {
            let payload = [UInt8](repeating: 0xa5, count: count)
            #expect(try SlowChecksum.accepts(Sample.udp(family, payload: payload)))
            #expect(
                try SlowChecksum.accepts(Sample.tcp(family, options: payload, payload: payload))
            )
            #expect(try SlowChecksum.accepts(Sample.echo(family, body: payload)))
        }
    }

    @Test("a payload that no length field can say is refused")
    func tooLong() {
        let payload = [UInt8](repeating: 0, count: 65_536)
        for family in IPFamily.allCases {
            #expect(Sample.udp(family, payload: payload).isEmpty)
            #expect(Sample.tcp(family, payload: payload).isEmpty)
            #expect(Sample.echo(family, body: payload).isEmpty)
            #expect(Sample.header(family).packet(payload: payload).isEmpty)
        }
    }

    @Test("short bytes have a typed error in every view")
    func short() {
        let none: [UInt8] = []
        #expect(throws: PacketError.truncated(available: 0, need: 20)) {
            _ = try IPv4Packet(none.rawSpan)
        }
        #expect(throws: PacketError.truncated(available: 0, need: 40)) {
            _ = try IPv6Packet(none.rawSpan)
        }
        #expect(throws: PacketError.truncated(available: 0, need: 20)) {
            _ = try TCPSegment(none.rawSpan)
        }
        #expect(throws: PacketError.truncated(available: 0, need: 8)) {
            _ = try UDPDatagram(none.rawSpan)
        }
        #expect(throws: PacketError.truncated(available: 0, need: 8)) {
            _ = try ICMPMessage(none.rawSpan)
        }
        #expect(throws: PacketError.badVersion(6)) { _ = try IPv4Packet(Sample.udp(.ipv6).rawSpan) }
        #expect(throws: PacketError.badVersion(4)) {
            _ = try IPv6Packet((Sample.udp(.ipv4) + Sample.udp(.ipv4)).rawSpan)
        }
    }
}
