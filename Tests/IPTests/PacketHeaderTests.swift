import Bytes
import IP
import SansIO
import Testing

@Suite("PacketHeader")
struct PacketHeaderTests {
    @Test("UDP of both families is read in one pass", arguments: IPFamily.allCases)
    func udp(_ family: IPFamily) throws {
        let header = try PacketHeader((Sample.udp(family) + [0, 0, 0]).rawSpan)
        #expect(header.family == family)
        #expect(header.source == Sample.client(family))
        #expect(header.destination == Sample.server(family))
        #expect(header.isUDP && !header.isTCP && !header.isICMP)
        #expect(header.sourcePort == 5000)
        #expect(header.destinationPort == 53)
        #expect(header.transportOffset == (family == .ipv4 ? 20 : 40))
        #expect(header.payloadOffset == header.transportOffset + 8)
        #expect(header.payloadByteCount == 3)
        #expect(header.totalByteCount == Sample.udp(family).count, "trailing bytes are dropped")
        #expect(header.checksumOffset == header.transportOffset + 6)
        #expect(header.hopLimit == 64)
        #expect(header.dontFragment)
        #expect(!header.isFragment)
    }

    @Test("TCP flags, numbers and options are read", arguments: IPFamily.allCases)
    func tcp(_ family: IPFamily) throws {
        let packet = Sample.tcp(family, flags: [.syn, .ack], options: [2, 4, 5, 180])
        let header = try PacketHeader(packet.rawSpan)
        #expect(header.isTCP)
        #expect(header.tcpFlags == [.syn, .ack])
        #expect(header.sequence == 1000)
        #expect(header.acknowledgment == 2000)
        #expect(header.payloadOffset == header.transportOffset + 24)
        #expect(header.checksumOffset == header.transportOffset + 16)
    }

    @Test("an echo reply is the reverse flow of its request", arguments: IPFamily.allCases)
    func echo(_ family: IPFamily) throws {
        let request = try PacketHeader(Sample.echo(family).rawSpan)
        #expect(request.isEchoRequest && !request.isICMPError)
        #expect(request.sourcePort == 0x1234 && request.destinationPort == 0)
        let reply = try PacketHeader(
            Sample.header(family)
                .packet(.echoReply(family, identifier: 0x1234, sequence: 1)).rawSpan
        )
        #expect(reply.isEchoReply)
        #expect(reply.sourcePort == 0 && reply.destinationPort == 0x1234)
    }

    @Test(
        "ICMP errors are told from other messages (RFC 1122 3.2.2, RFC 4443 2.1)",
        arguments: [
            (IPFamily.ipv4, [UInt8]([3, 4, 5, 11, 12]), [UInt8]([0, 8, 13, 14])),
            (.ipv6, [1, 2, 3, 4, 100, 137], [128, 129, 130, 135]),
        ]
    )
    func icmpErrors(_ family: IPFamily, _ errors: [UInt8], _ others: [UInt8]) throws {
        for type in errors + others {
            let packet = Sample.header(family).packet(ICMPHeader(type: type), body: [1, 2, 3, 4])
            let header = try PacketHeader(packet.rawSpan)
            #expect(header.isICMPError == errors.contains(type), "type \(type)")
        }
    }

    @Test("ICMP of the other family is no ICMP")
    func icmpOfOtherFamily() throws {
        var packet = Sample.echo(.ipv4)
        packet[9] = 58
        let header = try PacketHeader(packet.rawSpan)
        #expect(!header.isICMP && header.checksumOffset == nil)
    }

    @Test("traffic class and ECN are read", arguments: IPFamily.allCases)
    func trafficClass(_ family: IPFamily) throws {
        var ip = Sample.header(family)
        ip.trafficClass = 0xb9
        let packet = ip.packet(UDPHeader(sourcePort: 1, destinationPort: 2))
        let header = try PacketHeader(packet.rawSpan)
        #expect(header.trafficClass == 0xb9)
        #expect(header.ecn == 1)
    }

    @Test("a quoted packet may be cut: eight bytes of TCP give ports and sequence (RFC 792)")
    func embedded() throws {
        for family in IPFamily.allCases {
            let packet = Sample.tcp(family, payload: [UInt8](repeating: 1, count: 900))
            let offset = family == .ipv4 ? 20 : 40
            let cut = Array(packet[..<(offset + 8)])
            #expect(throws: PacketError.truncated(available: offset + 8, need: packet.count)) {
                try PacketHeader(cut.rawSpan)
            }
            let header = try PacketHeader(embedded: cut.rawSpan)
            #expect(header.sourcePort == 5000 && header.destinationPort == 443)
            #expect(header.sequence == 1000)
            #expect(header.totalByteCount == offset + 8)
        }
    }

    @Test("the layout stays small: the hot path copies it")
    func size() {
        #expect(MemoryLayout<PacketHeader>.size <= 80)
    }
}

@Suite("PacketHeader: fragments, options and extension headers")
struct PacketHeaderStructureTests {
    @Test("RFC 791 3.1: an IPv4 fragment has ports in the first part only")
    func ipv4Fragments() throws {
        var packet = Sample.udp(.ipv4)
        packet[6] = 0x20
        let first = try PacketHeader(packet.rawSpan)
        #expect(first.isFragment && !first.isLaterFragment && first.sourcePort == 5000)
        #expect(first.identification == 77 && !first.dontFragment)
        packet[6] = 0x00
        packet[7] = 0x03
        let last = try PacketHeader(packet.rawSpan)
        #expect(last.isLaterFragment && !last.moreFragments && last.fragmentOffset == 24)
        #expect(!last.hasTransportHeader && last.sourcePort == 0 && last.checksumOffset == nil)
    }

    @Test("a first fragment may say a UDP length beyond its own bytes")
    func longUDPLength() throws {
        var packet = Sample.udp(.ipv4)
        packet[24] = 0x0f
        #expect(throws: PacketError.badLength(field: 0x0f0b, available: 11)) {
            try PacketHeader(packet.rawSpan)
        }
        packet[6] = 0x20
        #expect(try PacketHeader(packet.rawSpan).isUDP)
    }

    @Test("a fragment that ends beyond 65,535 bytes is refused")
    func longFragment() {
        var packet = Sample.udp(.ipv4)
        packet[6] = 0x1f
        packet[7] = 0xff
        #expect(throws: PacketError.badFragment) { try PacketHeader(packet.rawSpan) }
        let ipv6 = Self.ipv6([(44, [0, 0, 0xff, 0xf8, 0, 0, 0, 9])])
        #expect(throws: PacketError.badFragment) { try PacketHeader(ipv6.rawSpan) }
    }

    @Test("RFC 8200 4: extension headers are walked to the transport")
    func extensions() throws {
        let packet = Self.ipv6([
            (0, [0, 0, 1, 4, 0, 0, 0, 0]), (60, [0, 1] + [UInt8](repeating: 0, count: 14)),
            (43, [0, 0, 4, 0, 0, 0, 0, 0]), (44, [0, 0, 0, 1, 0, 0, 0, 9]),
        ])
        let header = try PacketHeader(packet.rawSpan)
        #expect(header.isUDP)
        #expect(header.transportOffset == 40 + 8 + 16 + 8 + 8)
        #expect(header.ipHeaderByteCount == 40)
        #expect(header.sourcePort == 5000)
        #expect(header.moreFragments && header.identification == 9)
    }

    @Test("RFC 8200 4.5: a later fragment ends the walk, whatever it claims to carry")
    func laterFragment() throws {
        let packet = Self.ipv6([(44, [0, 0, 0, 8, 0, 0, 0, 9])], transport: 60)
        let header = try PacketHeader(packet.rawSpan)
        #expect(header.isLaterFragment && header.fragmentOffset == 8)
        #expect(!header.hasTransportHeader && header.transportOffset == 48)
    }

    @Test("RFC 6946: an atomic fragment is no fragment")
    func atomicFragment() throws {
        let packet = Self.ipv6([(44, [0, 0, 0, 0, 0, 0, 0, 9])])
        let header = try PacketHeader(packet.rawSpan)
        #expect(!header.isFragment && header.isUDP)
    }

    @Test("more extension headers than the limit are refused")
    func tooManyExtensions() throws {
        let options: (UInt8, [UInt8]) = (60, [0, 0, 1, 4, 0, 0, 0, 0])
        let limit = PacketHeader.Limits.extensionHeaders
        let most = Self.ipv6(Array(repeating: options, count: limit))
        #expect(try PacketHeader(most.rawSpan).isUDP)
        let more = Self.ipv6(Array(repeating: options, count: limit + 1))
        #expect(throws: PacketError.badExtensionHeaders) { try PacketHeader(more.rawSpan) }
    }

    @Test("RFC 8200 4.1: hop-by-hop options come first or not at all")
    func hopByHop() {
        let packet = Self.ipv6([
            (60, [0, 0, 1, 4, 0, 0, 0, 0]), (0, [0, 0, 1, 4, 0, 0, 0, 0]),
        ])
        #expect(throws: PacketError.badExtensionHeaders) { try PacketHeader(packet.rawSpan) }
    }

    @Test("source routes of both families are refused")
    func sourceRoutes() {
        let packet = Self.ipv6([(43, [0, 0, 0, 1, 0, 0, 0, 0])])
        #expect(throws: PacketError.sourceRoute) { try PacketHeader(packet.rawSpan) }
        for kind: UInt8 in [131, 137] {
            let packet = Self.ipv4(options: [1, kind, 7, 4, 1, 2, 3, 4])
            #expect(throws: PacketError.sourceRoute) { try PacketHeader(packet.rawSpan) }
        }
    }

    @Test("RFC 791 3.1: other options are skipped, malformed ones are refused")
    func ipv4Options() throws {
        let header = try PacketHeader(Self.ipv4(options: [148, 4, 0, 0, 1, 0, 131, 131]).rawSpan)
        #expect(header.transportOffset == 28 && header.sourcePort == 5000)
        for options: [UInt8] in [[7, 1, 0, 0], [7, 9, 0, 0], [1, 1, 1, 7]] {
            #expect(throws: PacketError.badOption(7)) {
                try PacketHeader(Self.ipv4(options: options).rawSpan)
            }
        }
    }

    @Test("a mapped address in an IPv6 packet is refused: it would be taken for IPv4")
    func mapped() {
        var packet = Sample.udp(.ipv6)
        packet.replaceSubrange(
            8..<24,
            with: [UInt8](repeating: 0, count: 10) + [255, 255, 1, 2, 3, 4]
        )
        #expect(throws: PacketError.mappedAddress) { try PacketHeader(packet.rawSpan) }
        #expect(throws: PacketError.mappedAddress) { _ = try IPv6Packet(packet.rawSpan) }
    }

    @Test("every wrong length has its error")
    func lengths() {
        let cases: [(String, [UInt8], Int, UInt8, PacketError)] = [
            ("version", Sample.udp(.ipv4), 0, 0x55, .badVersion(5)),
            ("header below 20", Sample.udp(.ipv4), 0, 0x44, .badHeaderLength(16)),
            (
                "header beyond the packet", Sample.udp(.ipv4), 0, 0x4f,
                .badLength(field: 31, available: 31)
            ),
            (
                "total beyond the bytes", Sample.udp(.ipv4), 3, 32,
                .truncated(available: 31, need: 32)
            ),
            (
                "total below the header", Sample.udp(.ipv4), 3, 19,
                .badLength(field: 19, available: 31)
            ),
            (
                "payload beyond the bytes", Sample.udp(.ipv6), 5, 12,
                .truncated(available: 51, need: 52)
            ),
            ("no UDP header", Sample.udp(.ipv6), 5, 7, .truncated(available: 47, need: 48)),
            ("UDP length too small", Sample.udp(.ipv4), 25, 7, .badLength(field: 7, available: 11)),
            (
                "UDP length too large", Sample.udp(.ipv4), 25, 12,
                .badLength(field: 12, available: 11)
            ),
            ("TCP header too small", Sample.tcp(.ipv4), 32, 0x40, .badHeaderLength(16)),
            ("TCP header too large", Sample.tcp(.ipv4), 32, 0x60, .badHeaderLength(24)),
        ]
        for (name, packet, offset, value, error) in cases {
            var packet = packet
            packet[offset] = value
            #expect(throws: error, "\(name)") { try PacketHeader(packet.rawSpan) }
        }
        #expect(throws: PacketError.truncated(available: 0, need: 20)) {
            try PacketHeader([UInt8]().rawSpan)
        }
    }

    /// UDP behind extension headers: their kind, and their bytes with the first one (next header)
    /// to be filled in.
    static func ipv6(_ extensions: [(UInt8, [UInt8])], transport: UInt8 = 17) -> [UInt8] {
        var header = Sample.header(.ipv6)
        header.transportProtocol = TransportProtocol(rawValue: extensions.first?.0 ?? transport)
        var payload: [UInt8] = []
        for (index, (_, bytes)) in extensions.enumerated() {
            let next = index + 1 < extensions.count ? extensions[index + 1].0 : transport
            payload += [next] + bytes.dropFirst()
        }
        return header.packet(payload: payload + Sample.udp(.ipv6).dropFirst(40))
    }

    static func ipv4(options: [UInt8]) -> [UInt8] {
        let packet = Sample.udp(.ipv4)
        var all = packet[..<20] + options + packet[20...]
        all[0] = 0x45 + UInt8(options.count / 4)
        all[3] = UInt8(all.count)
        return Array(all)
    }
}
