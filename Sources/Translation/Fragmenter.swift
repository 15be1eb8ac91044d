internal import Bytes
public import IP

/// Why a packet cannot be cut.
public enum FragmenterError: Error, Hashable, Sendable {
    /// The headers are not all there, or are not as ``Translator`` writes them.
    case wrongHeaders
    /// The sender wants none cut, or the packet stands for many.
    case mayNotBeCut
    /// The pieces would be too small for the transport header.
    case noRoom

    /// A stable name for counters.
    public var label: String {
        switch self {
        case .wrongHeaders: "wrong_headers"
        case .mayNotBeCut: "may_not_be_cut"
        case .noRoom: "no_room"
        }
    }
}

/// The pieces of a translated packet that is larger than its way allows (RFC 791 3.2, RFC 8200
/// 4.5): headers for each, and which part of the payload follows them.
///
/// It keeps a copy of the headers, so that a piece's may be written over them. Nothing is
/// allocated.
public struct Fragmenter: Sendable {
    /// How many pieces.
    public let count: Int

    private let header: PacketHeader
    /// Bytes behind the IP header of each piece but the last.
    private let partByteCount: Int
    private var transport = InlineArray<60, UInt8>(repeating: 0)

    /// - Parameters:
    ///   - headers: The packet's headers, as the translator wrote them.
    ///   - payload: What follows them; read only where the checksum is to be completed.
    ///   - packet: What the translator said of it.
    /// - Throws: Why it cannot be cut.
    public init(
        headers: RawSpan,
        payload: RawSpan,
        _ packet: TranslatedPacket
    ) throws(FragmenterError) {
        header = packet.header
        let isIPv4 = header.source.isIPv4
        let transportByteCount = header.payloadOffset - header.transportOffset
        guard headers.byteCount >= header.payloadOffset, transportByteCount <= 60,
            payload.byteCount == header.payloadByteCount,
            header.transportOffset == (isIPv4 ? 20 : 48)
        else { throw .wrongHeaders }
        guard packet.offload.segmentation == .none, !(isIPv4 && header.dontFragment) else {
            throw .mayNotBeCut
        }
        let room = (packet.pieceByteCountMax ?? header.totalByteCount) - header.transportOffset
        let all = header.totalByteCount - header.transportOffset
        partByteCount = all <= room ? max(all, 1) : room / 8 * 8
        guard partByteCount >= max(transportByteCount, 1) else { throw .noRoom }
        count = max(1, (all - 1) / partByteCount + 1)
        for index in 0..<transportByteCount {
            transport[index] = headers.byte(at: header.transportOffset + index)
        }
        if packet.offload.needsChecksum { try complete(headers, payload, packet.offload) }
    }

    /// The checksum that was left to be completed over the whole.
    private mutating func complete(
        _ headers: RawSpan,
        _ payload: RawSpan,
        _ offload: Offload
    ) throws(FragmenterError) {
        let field = offload.checksumOffset
        guard offload.checksumStart == header.transportOffset, field >= 0,
            field + 2 <= header.payloadOffset - header.transportOffset
        else { throw .wrongHeaders }
        var sum = Checksum()
        sum.add(headers.extracting(header.transportOffset..<header.payloadOffset))
        sum.add(payload)
        let value = header.isUDP ? sum.fieldForUDP : sum.field
        transport[field] = UInt8(truncatingIfNeeded: value >> 8)
        transport[field + 1] = UInt8(truncatingIfNeeded: value)
    }

    /// Which bytes behind the IP header piece `index` carries.
    private func part(_ index: Int) -> Range<Int> {
        let all = header.totalByteCount - header.transportOffset
        let start = min(max(0, index) * partByteCount, all)
        return start..<min(start + partByteCount, all)
    }

    /// Which bytes of the payload follow the headers of piece `index`; none when there is no such
    /// piece.
    public func payloadRange(of index: Int) -> Range<Int> {
        guard (0..<count).contains(index) else { return 0..<0 }
        let transportByteCount = header.payloadOffset - header.transportOffset
        let part = part(index)
        let start = max(0, part.lowerBound - transportByteCount)
        return start..<max(start, part.upperBound - transportByteCount)
    }

    /// Writes the headers of piece `index`.
    ///
    /// - Returns: The piece's header, whose `payloadOffset` is the number of bytes written; nil
    ///   when there is no such piece or no room.
    @_lifetime(bytes: copy bytes)
    public func writeHeaders(_ index: Int, into bytes: inout MutableRawSpan) -> PacketHeader? {
        guard (0..<count).contains(index) else { return nil }
        let piece = header.piece(part(index), isLast: index == count - 1)
        guard bytes.byteCount >= piece.payloadOffset else { return nil }
        if piece.source.isIPv4 {
            IPv4HeaderWriter(piece).write(piece.totalByteCount, into: &bytes)
        } else {
            IPv6HeaderWriter(piece).write(piece.totalByteCount, into: &bytes)
        }
        for index in 0..<piece.payloadOffset - piece.transportOffset {
            bytes.store(transport[index], at: piece.transportOffset + index)
        }
        return piece
    }
}
