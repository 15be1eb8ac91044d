internal import Bytes
internal import IP
internal import SansIO

/// The pieces of one datagram that have come.
struct PartialDatagram: Sendable {
    /// What all its pieces have in common (RFC 791 3.2, RFC 8200 4.5).
    struct Key: Equatable, Sendable {
        let source: IPAddress
        let destination: IPAddress
        let identification: UInt32
        /// IPv4 only.
        let transport: UInt8

        init(_ header: PacketHeader) {
            (source, destination) = (header.source, header.destination)
            identification = header.identification
            transport = source.isIPv4 ? header.transportProtocol.rawValue : 0
        }
    }

    /// Why the pieces make no packet.
    struct Unjoinable: Error {
        let reason: Reassembly.Refused
    }

    private struct Piece: Sendable {
        let offset: Int
        let bytes: [UInt8]
        var end: Int { offset + bytes.count }
    }

    let key: Key
    /// When the first piece came.
    let since: Instant
    /// Bytes that are kept.
    private(set) var byteCount = 0
    /// In order, none overlapping.
    private var pieces: [Piece] = []
    /// The first piece's IP header, with options or extension headers.
    private var headers: [UInt8] = []
    /// Where the last piece ends, once it came.
    private var end: Int?
    /// Whether a piece overlapped: what else comes is refused with it.
    private var isRefused = false
    /// Which values of the ECN field the pieces have, a bit each.
    private var congestion: UInt8 = 0

    init(key: Key, since: Instant) { (self.key, self.since) = (key, since) }

    /// Keeps a piece.
    ///
    /// - Returns: Why not.
    mutating func add(
        _ bytes: RawSpan,
        _ packet: RawSpan,
        _ header: PacketHeader
    ) -> Reassembly.Refused? {
        guard !isRefused else { return .overlap }
        let (start, stop) = (header.fragmentOffset, header.fragmentOffset + bytes.byteCount)
        let isLast = !header.moreFragments
        let place = pieces.firstIndex { $0.end > start } ?? pieces.count
        if place < pieces.count, pieces[place].offset < stop {
            let same = pieces[place]
            guard same.offset == start, same.end == stop, isLast == (end == stop),
                same.bytes.rawSpan.hasSameBytes(as: bytes)
            else { return refuse() }
            return nil
        }
        if let end, stop > end || isLast { return refuse() }
        if isLast, let last = pieces.last, last.end > stop { return refuse() }
        guard pieces.count < Reassembly.Limits.pieces,
            packet.byteCount >= header.transportOffset
        else { return .tooLarge }
        pieces.insert(Piece(offset: start, bytes: bytes.array), at: place)
        byteCount += bytes.byteCount
        if isLast { end = stop }
        if start == 0 { headers = packet.extracting(first: header.transportOffset).array }
        congestion |= 1 << header.ecn
        return nil
    }

    private mutating func refuse() -> Reassembly.Refused {
        isRefused = true
        (pieces, headers) = ([], [])
        byteCount = 0
        return .overlap
    }

    /// Whether nothing is missing.
    var isComplete: Bool {
        guard let end, byteCount == end else { return false }
        return !headers.isEmpty
    }

    /// The packet, once complete.
    func whole() -> Result<[UInt8], Unjoinable> {
        let total = headers.count + byteCount
        guard total <= 0xffff else { return .failure(Unjoinable(reason: .tooLarge)) }
        var packet = headers
        packet.reserveCapacity(total)
        for piece in pieces { packet += piece.bytes }
        let isIPv4 = key.source.isIPv4
        if isIPv4 {
            Self.store(UInt16(total), in: &packet, at: 2)
            Self.store(0, in: &packet, at: 6)
        } else {
            Self.store(UInt16(total - 40), in: &packet, at: 4)
            let place = headers.count - 8
            Self.store(0, in: &packet, at: place + 2)
        }
        // Congestion that one piece met is the datagram's (RFC 3168 5.3).
        if congestion & 0b1000 != 0 {
            guard congestion & 1 == 0 else { return .failure(Unjoinable(reason: .congestion)) }
            if isIPv4 { packet[1] |= 3 } else { packet[1] |= 0x30 }
        }
        if isIPv4 {
            Self.store(0, in: &packet, at: 10)
            let sum = Checksum.sum(packet.rawSpan.extracting(first: headers.count))
            Self.store(~sum, in: &packet, at: 10)
        }
        return .success(packet)
    }

    private static func store(_ value: UInt16, in packet: inout [UInt8], at offset: Int) {
        packet[offset] = UInt8(truncatingIfNeeded: value >> 8)
        packet[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}
