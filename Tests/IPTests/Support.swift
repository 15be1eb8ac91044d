import Bytes
import IP
import SansIO

/// The checksum as RFC 1071 section 1 says it, word by word: the slow model.
enum SlowChecksum {
    static func sum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let lower = index + 1 < bytes.count ? bytes[index + 1] : 0
            sum += UInt32(bytes[index]) << 8 | UInt32(lower)
            if sum > 0xffff { sum = sum & 0xffff + 1 }
        }
        return UInt16(sum)
    }

    /// The pseudo header of a packet without extension headers or options.
    static func pseudoHeader(_ packet: [UInt8], _ transport: UInt8, _ byteCount: Int) -> [UInt8] {
        let addresses = packet[0] >> 4 == 4 ? packet[12..<20] : packet[8..<40]
        return addresses + [0, transport, UInt8(byteCount >> 8), UInt8(byteCount & 0xff)]
    }

    /// Whether every checksum of a whole packet is right, as its receiver sees it.
    static func accepts(_ packet: [UInt8]) throws -> Bool {
        let header = try PacketHeader(packet.rawSpan)
        if header.family == .ipv4 {
            guard sum(Array(packet[..<header.transportOffset])) == 0xffff else { return false }
        }
        guard let offset = header.checksumOffset else { return true }
        let segment = Array(packet[header.transportOffset..<header.totalByteCount])
        if header.isUDP, packet[offset] == 0, packet[offset + 1] == 0 { return true }
        guard !(header.isICMP && header.family == .ipv4) else { return sum(segment) == 0xffff }
        let pseudo = pseudoHeader(packet, header.transportProtocol.rawValue, segment.count)
        return sum(pseudo + segment) == 0xffff
    }
}

/// Packets to try things on.
enum Sample {
    static let client4 = IPAddress(ipv4: 0x6440_0001)
    static let server4 = IPAddress(ipv4: 0xc000_0207)
    static let other4 = IPAddress(ipv4: 0x0a00_0063)
    static let client6 = IPAddress(high: 0xfd00_2021_1111_0000, low: 1)
    static let server6 = IPAddress(high: 0x2001_0db8_0000_0000, low: 7)
    static let other6 = IPAddress(high: 0x2001_0db8_ffff_0000, low: 0x63)

    static func client(_ family: IPFamily) -> IPAddress { family == .ipv4 ? client4 : client6 }
    static func server(_ family: IPFamily) -> IPAddress { family == .ipv4 ? server4 : server6 }
    static func other(_ family: IPFamily) -> IPAddress { family == .ipv4 ? other4 : other6 }

    static func header(_ family: IPFamily) -> IPHeader {
        IPHeader(from: client(family), to: server(family), identification: 77)
    }

    static func udp(_ family: IPFamily, payload: [UInt8] = [1, 2, 3]) -> [UInt8] {
        header(family).packet(UDPHeader(sourcePort: 5000, destinationPort: 53), payload: payload)
    }

    static func tcp(
        _ family: IPFamily,
        flags: TCPFlags = .ack,
        sequence: UInt32 = 1000,
        options: [UInt8] = [],
        payload: [UInt8] = [1, 2, 3]
    ) -> [UInt8] {
        header(family).packet(
            TCPHeader(
                sourcePort: 5000,
                destinationPort: 443,
                sequence: sequence,
                acknowledgment: 2000,
                flags: flags,
                options: options
            ),
            payload: payload
        )
    }

    static func echo(_ family: IPFamily, body: [UInt8] = [9, 8, 7]) -> [UInt8] {
        header(family).packet(.echoRequest(family, identifier: 0x1234, sequence: 1), body: body)
    }

    /// A random packet of either family with right checksums.
    static func random(_ random: inout RandomSource) -> [UInt8] {
        let family: IPFamily = Bool.random(using: &random) ? .ipv4 : .ipv6
        let payload = random.bytes(Int.random(in: 0...300, using: &random))
        switch Int.random(in: 0...3, using: &random) {
        case 0: return udp(family, payload: payload)
        case 1: return echo(family, body: payload)
        case 2:
            let body = udp(family, payload: payload)
            return IPHeader(from: server(family), to: client(family)).packet(
                ICMPHeader(type: ICMPType.unreachable(family), code: 1),
                body: body
            )
        default:
            let options = random.bytes(4 * Int.random(in: 0...10, using: &random))
            return tcp(
                family,
                sequence: .random(in: 0 ... .max, using: &random),
                options: options,
                payload: payload
            )
        }
    }
}

/// Runs `body` on a copy of `packet` that can be written, and gives back what became of it.
func rewriting(_ packet: [UInt8], _ body: (consuming MutableRawSpan) throws -> Void) rethrows
    -> [UInt8]
{
    var block = Block(byteCount: packet.count)
    var bytes = block.mutableBytes(0..<packet.count)
    bytes.write(packet.rawSpan, at: 0)
    try body(bytes)
    return block.bytes(0..<packet.count).array
}
