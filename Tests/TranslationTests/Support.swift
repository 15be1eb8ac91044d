import Bytes
import IP
import SansIO
import Testing

@testable import Translation

/// Addresses of both families for each host, so that a packet can go there and back.
enum Host {
    static let client = Pair("192.0.2.10", "2001:db8:1::10")
    static let server = Pair("198.51.100.20", "2001:db8:2::20")
    static let router = Pair("203.0.113.1", "2001:db8:3::1")

    struct Pair {
        let four: IPAddress
        let six: IPAddress
        init(_ four: String, _ six: String) {
            self.four = IPAddress(four) ?? IPAddress(ipv4: 0)
            self.six = IPAddress(six) ?? IPAddress(high: 0, low: 0)
        }
        subscript(family: IPFamily) -> IPAddress { family == .ipv4 ? four : six }
    }

    /// The host's address in the other family.
    static func counterpart(of address: IPAddress) -> IPAddress {
        for host in [client, server, router] {
            if host.four == address { return host.six }
            if host.six == address { return host.four }
        }
        return address
    }
}

extension IPFamily {
    var other: IPFamily { self == .ipv4 ? .ipv6 : .ipv4 }
}

/// A translator and what it makes of whole packets.
struct Bench {
    var translator: Translator
    var limits = PathLimits()

    init(limits: PathLimits = PathLimits()) {
        var random = RandomSource(seed: 7)
        translator = Translator(random: &random)
        self.limits = limits
    }

    /// What became of a packet.
    struct Result {
        var packet: [UInt8]
        var translated: TranslatedPacket
    }

    /// Translates a packet, ports kept, and checks what every translation promises.
    mutating func translate(
        _ packet: [UInt8],
        offload: Offload = .none
    ) throws -> Result {
        let header = try PacketHeader(packet.rawSpan)
        var block = Block(byteCount: Translator.Limits.headerByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let payload = packet.rawSpan.extracting(header.payloadOffset..<header.totalByteCount)
        let translated = try translator.translate(
            headers: packet.rawSpan,
            payload: payload,
            header: header,
            offload: offload,
            from: Endpoint(Host.counterpart(of: header.source), port: header.sourcePort),
            to: Endpoint(Host.counterpart(of: header.destination), port: header.destinationPort),
            limits: limits,
            into: &bytes
        )
        let written = block.bytes(0..<translated.header.payloadOffset).array
        return Result(packet: written + payload.array, translated: translated)
    }

    /// Translates a packet that goes on whole; its header must read back as promised.
    mutating func callAsFunction(_ packet: [UInt8]) throws -> [UInt8] {
        let result = try translate(packet)
        #expect(try PacketHeader(result.packet.rawSpan) == result.translated.header)
        return result.packet
    }

    /// Translates an ICMP error; the quoted packet's addresses become their counterparts.
    mutating func error(_ packet: [UInt8]) throws -> [UInt8] {
        let header = try PacketHeader(packet.rawSpan)
        let message = try ICMPMessage(
            packet.rawSpan.extracting(droppingFirst: header.transportOffset)
        )
        let quoted = try? PacketHeader(embedded: message.quotation(header.family))
        let (from, to) = (
            quoted?.source ?? header.destination, quoted?.destination ?? header.source
        )
        var block = Block(byteCount: Translator.Limits.errorByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let count = try translator.translateError(
            packet.rawSpan,
            header: header,
            from: Host.counterpart(of: header.source),
            to: Host.counterpart(of: header.destination),
            quoting: Endpoint(Host.counterpart(of: from), port: quoted?.sourcePort ?? 0),
            and: Endpoint(Host.counterpart(of: to), port: quoted?.destinationPort ?? 0),
            limits: limits,
            into: &bytes
        )
        let new = block.bytes(0..<count).array
        #expect(try FullCheck.accepts(new))
        return new
    }
}

/// The checksums of a whole packet, word by word.
enum FullCheck {
    static func sum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let lower = index + 1 < bytes.count ? bytes[index + 1] : 0
            sum += UInt32(bytes[index]) << 8 | UInt32(lower)
            sum = sum & 0xffff + sum >> 16
        }
        return UInt16(sum)
    }

    /// Whether its receiver takes the packet; a UDP datagram without checksum only in IPv4.
    static func accepts(_ packet: [UInt8]) throws -> Bool {
        let header = try PacketHeader(packet.rawSpan)
        if header.family == .ipv4 {
            guard sum(Array(packet[..<header.transportOffset])) == 0xffff else { return false }
        }
        guard let offset = header.checksumOffset, !header.isFragment else { return true }
        let segment = Array(packet[header.transportOffset..<header.totalByteCount])
        if header.isUDP, packet[offset] == 0, packet[offset + 1] == 0 {
            return header.family == .ipv4
        }
        if header.isICMP, header.family == .ipv4 { return sum(segment) == 0xffff }
        let pseudo =
            header.source.bytes + header.destination.bytes
            + [0, header.transportProtocol.rawValue]
            + [UInt8(segment.count >> 8), UInt8(segment.count & 0xff)]
        return sum(pseudo + segment) == 0xffff
    }
}

/// Packets to try things on.
enum Sample {
    static func ip(
        _ family: IPFamily,
        from source: Host.Pair = Host.client,
        to destination: Host.Pair = Host.server,
        hopLimit: UInt8 = 64,
        trafficClass: UInt8 = 0,
        identification: UInt16 = 0x1234,
        dontFragment: Bool = true
    ) -> IPHeader {
        IPHeader(
            from: source[family],
            to: destination[family],
            hopLimit: hopLimit,
            trafficClass: trafficClass,
            identification: identification,
            dontFragment: dontFragment
        )
    }

    static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 * 7 & 0xff) } }

    static func udp(
        _ family: IPFamily,
        _ count: Int = 11,
        dontFragment: Bool = true
    ) -> [UInt8] {
        ip(family, dontFragment: dontFragment)
            .packet(UDPHeader(sourcePort: 1111, destinationPort: 2222), payload: bytes(count))
    }

    static func tcp(_ family: IPFamily, _ count: Int = 21, options: [UInt8] = []) -> [UInt8] {
        ip(family).packet(
            TCPHeader(
                sourcePort: 3333,
                destinationPort: 443,
                sequence: 99,
                flags: [.ack, .psh],
                options: options
            ),
            payload: bytes(count)
        )
    }

    static func echo(_ family: IPFamily, reply: Bool = false, _ count: Int = 13) -> [UInt8] {
        let header =
            reply
            ? ICMPHeader.echoReply(family, identifier: 77, sequence: 5)
            : ICMPHeader.echoRequest(family, identifier: 77, sequence: 5)
        return ip(family).packet(header, body: bytes(count))
    }

    /// An IPv4 packet with other bytes in its header, checksum made anew.
    static func changed(_ packet: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var packet = packet
        change(&packet)
        guard packet[0] >> 4 == 4 else { return packet }
        (packet[10], packet[11]) = (0, 0)
        let field = ~FullCheck.sum(Array(packet[..<(Int(packet[0] & 0xf) * 4)]))
        (packet[10], packet[11]) = (UInt8(field >> 8), UInt8(field & 0xff))
        return packet
    }

    /// An IPv4 packet with options, whose bytes are a multiple of four.
    static func with(options: [UInt8], _ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        packet.insert(contentsOf: options, at: 20)
        return changed(packet) {
            $0[0] += UInt8(options.count / 4)
            let total = $0.count
            ($0[2], $0[3]) = (UInt8(total >> 8), UInt8(total & 0xff))
        }
    }

    /// An IPv6 packet with extension headers, each with its number; their first byte is set here.
    static func with(extensions: [(UInt8, [UInt8])], _ packet: [UInt8]) -> [UInt8] {
        var chain: [UInt8] = []
        var next = packet[6]
        for (number, bytes) in extensions.reversed() {
            chain = [next] + bytes.dropFirst() + chain
            next = number
        }
        var new = packet
        new[6] = next
        new.insert(contentsOf: chain, at: 40)
        let length = new.count - 40
        (new[4], new[5]) = (UInt8(length >> 8), UInt8(length & 0xff))
        return new
    }

    static func fragmentHeader(_ offset: Int, more: Bool, _ identification: UInt32) -> [UInt8] {
        var bytes: [UInt8] = [0, 0]
        bytes.append(bigEndian: UInt16(offset | (more ? 1 : 0)))
        bytes.append(bigEndian: identification)
        return bytes
    }

    /// The pieces of a packet, each with at most `byteCount` bytes behind its IP header.
    static func pieces(_ packet: [UInt8], _ byteCount: Int) -> [[UInt8]] {
        let isIPv4 = packet[0] >> 4 == 4
        let headers = isIPv4 ? 20 : 40
        let content = Array(packet[headers...])
        return stride(from: 0, to: content.count, by: byteCount).map { start in
            let part = content[start..<min(start + byteCount, content.count)]
            let more = part.endIndex < content.count
            guard isIPv4 else {
                let piece = Array(packet[..<40]) + part
                return with(
                    extensions: [(44, fragmentHeader(start, more: more, 0xabcd_0077))],
                    piece
                )
            }
            return changed(Array(packet[..<20]) + part) {
                let total = $0.count
                ($0[2], $0[3]) = (UInt8(total >> 8), UInt8(total & 0xff))
                let units = start / 8
                ($0[6], $0[7]) = (UInt8(units >> 8) | (more ? 0x20 : 0), UInt8(units & 0xff))
            }
        }
    }

    /// An ICMP error of a router about a packet.
    static func error(
        _ type: UInt8,
        _ code: UInt8,
        word: UInt32 = 0,
        about packet: [UInt8],
        quoting count: Int = 1_000
    ) -> [UInt8] {
        let family: IPFamily = packet[0] >> 4 == 4 ? .ipv4 : .ipv6
        return ip(family, from: Host.router, to: Host.client, dontFragment: false)
            .packet(
                ICMPHeader(type: type, code: code, word: word),
                body: Array(packet.prefix(count))
            )
    }
}
