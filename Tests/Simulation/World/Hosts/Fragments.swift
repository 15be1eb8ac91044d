internal import Bytes
internal import IP

/// What kernels do with packets that are larger than a link (RFC 791 3.2, RFC 8200 4.5), by other
/// code than the product's.
enum Fragments {
    /// The tunnel device's.
    static let tunnelByteCount = 1_280
    static let fragmentHeader: UInt8 = 44

    /// Pieces of a packet without options or extension headers; itself where it fits.
    static func cut(
        _ packet: [UInt8],
        to byteCountMax: Int = tunnelByteCount,
        identification: UInt32
    ) -> [[UInt8]] {
        guard packet.count > byteCountMax else { return [packet] }
        let isIPv4 = packet[0] >> 4 == 4
        let headerByteCount = isIPv4 ? 20 : 40
        let payload = packet[headerByteCount...]
        let step = (byteCountMax - headerByteCount - (isIPv4 ? 0 : 8)) & ~7
        return stride(from: 0, to: payload.count, by: step).map { offset in
            let end = min(offset + step, payload.count)
            let hasMore = end < payload.count
            let part = payload[payload.startIndex + offset..<payload.startIndex + end]
            let header = Array(packet[..<headerByteCount])
            return isIPv4
                ? ipv4(header, offset, hasMore, UInt16(truncatingIfNeeded: identification)) + part
                : ipv6(header, offset, hasMore, identification) + part
        }.map(completed)
    }

    private static func ipv4(
        _ header: [UInt8],
        _ offset: Int,
        _ hasMore: Bool,
        _ identification: UInt16
    ) -> [UInt8] {
        var header = header
        set(&header, 4, identification)
        set(&header, 6, UInt16(offset / 8) | (hasMore ? 0x2000 : 0))
        return header
    }

    private static func ipv6(
        _ header: [UInt8],
        _ offset: Int,
        _ hasMore: Bool,
        _ identification: UInt32
    ) -> [UInt8] {
        var bytes = header + [header[6], 0]
        bytes[6] = fragmentHeader
        bytes.append(bigEndian: UInt16(offset) | (hasMore ? 1 : 0))
        bytes.append(bigEndian: identification)
        return bytes
    }

    /// The packet with its length and header checksum.
    static func completed(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        guard packet[0] >> 4 == 4 else {
            set(&packet, 4, UInt16(packet.count - 40))
            return packet
        }
        set(&packet, 2, UInt16(packet.count))
        set(&packet, 10, 0)
        set(&packet, 10, ~Checksum.sum(packet.rawSpan.extracting(0..<20)))
        return packet
    }

    static func set(_ bytes: inout [UInt8], _ offset: Int, _ value: UInt16) {
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}

/// Joins fragments as a kernel does.
struct Defragmenter {
    private struct Key: Hashable {
        /// Addresses, protocol and identification, as they travel.
        var bytes: [UInt8]
    }

    private struct Pieces {
        var header: [UInt8] = []
        var parts: [Int: [UInt8]] = [:]
        var byteCount: Int?
    }

    /// Datagrams that wait for pieces; more than ever do at once.
    private let waitingMax = 256
    private var waiting: [Key: Pieces] = [:]
    private var order: [Key] = []

    /// Takes a packet.
    ///
    /// - Parameter packet: From the tunnel device.
    /// - Returns: The whole; nil while pieces are missing.
    mutating func receive(_ packet: [UInt8]) -> [UInt8]? {
        guard packet.count >= 40 || packet.count >= 20 && packet[0] >> 4 == 4 else { return packet }
        let isIPv4 = packet[0] >> 4 == 4
        guard isIPv4 || packet[6] == Fragments.fragmentHeader && packet.count >= 48 else {
            return packet
        }
        let field = packet.rawSpan.uint16(at: isIPv4 ? 6 : 42)
        let offset = isIPv4 ? Int(field & 0x1fff) * 8 : Int(field & 0xfff8)
        let hasMore = isIPv4 ? field & 0x2000 != 0 : field & 1 != 0
        if isIPv4, offset == 0, !hasMore { return packet }
        let ranges = isIPv4 ? [4..<6, 9..<10, 12..<20] : [8..<40, 40..<41, 44..<48]
        let key = Key(bytes: ranges.flatMap { Array(packet[$0]) })
        if waiting[key] == nil {
            if order.count >= waitingMax { waiting[order.removeFirst()] = nil }
            order.append(key)
        }
        var pieces = waiting[key] ?? Pieces()
        let part = Array(packet[(isIPv4 ? 20 : 48)...])
        pieces.parts[offset] = part
        if !hasMore { pieces.byteCount = offset + part.count }
        if offset == 0 {
            pieces.header = Array(packet[..<(isIPv4 ? 20 : 40)])
            if isIPv4 {
                Fragments.set(&pieces.header, 6, 0)
            } else {
                pieces.header[6] = packet[40]
            }
        }
        waiting[key] = pieces
        guard let whole = Self.whole(pieces) else { return nil }
        waiting[key] = nil
        order.removeAll { $0 == key }
        return whole
    }

    private static func whole(_ pieces: Pieces) -> [UInt8]? {
        guard let byteCount = pieces.byteCount, !pieces.header.isEmpty else { return nil }
        var bytes = pieces.header
        var offset = 0
        while offset < byteCount {
            guard let part = pieces.parts[offset], !part.isEmpty else { return nil }
            bytes += part
            offset += part.count
        }
        return Fragments.completed(bytes)
    }
}
