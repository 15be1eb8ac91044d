public import Bytes

/// Why a packet cannot be cut, or its checksum not be completed.
public enum SegmenterError: Error, Hashable, Sendable {
    /// The headers cannot be read.
    case packet(PacketError)
    /// The packet is not of the kind that the offload says, or is a fragment.
    case wrongKind
    /// Segments of no bytes.
    case noSegmentSize
    /// The checksum field lies outside the packet.
    case badChecksumPlace(start: Int, offset: Int)

    /// A stable name for counters.
    public var label: String {
        switch self {
        case .packet(let error): error.label
        case .wrongKind: "wrong_kind"
        case .noSegmentSize: "no_segment_size"
        case .badChecksumPlace: "bad_checksum_place"
        }
    }
}

/// The packets that a packet of the tunnel device stands for: a large one cut (TSO, USO), or the
/// one that it is, its checksum completed.
///
/// Header lengths are read from the packet; the offload's are a hint only, which kernels get wrong
/// for forwarded packets. Each segment is written straight to where it is needed; nothing is
/// allocated. Bytes after the packet's total length are dropped.
///
/// The headers may lie elsewhere than the payload: a copy that was rewritten.
public struct Segmenter: ~Escapable {
    /// How many packets.
    public let count: Int
    /// Bytes of the longest of them: all but the last.
    public let byteCountMax: Int

    private let headers: RawSpan
    private let payload: RawSpan
    private let kind: Offload.Segmentation
    private let segmentByteCount: Int
    private let transportOffset: Int
    private let isIPv4: Bool
    /// A lone packet: where its checksum is to be completed.
    private let completion: Completion?
    /// Sums over the headers without what differs between segments.
    private var ipSum = Checksum()
    private var transportSum = Checksum()

    private struct Completion {
        let start: Int
        let offset: Int
    }

    /// - Parameters:
    ///   - packet: Headers and payload.
    ///   - offload: What the kernel left to do.
    ///   - header: As read from `packet`; it is read here when not given.
    /// - Throws: Why the packet cannot be cut.
    @_lifetime(copy packet)
    public init(
        _ packet: RawSpan,
        _ offload: Offload,
        header: PacketHeader? = nil
    ) throws(SegmenterError) {
        let header = if let header { header } else { try Self.read(packet) }
        guard header.totalByteCount <= packet.byteCount else {
            throw .packet(.truncated(available: packet.byteCount, need: header.totalByteCount))
        }
        try self.init(
            headers: packet.extracting(first: header.payloadOffset),
            payload: packet.extracting(header.payloadOffset..<header.totalByteCount),
            offload,
            header: header
        )
    }

    /// - Parameters:
    ///   - headers: The first ``PacketHeader/payloadOffset`` bytes of the packet, perhaps a copy
    ///     that was rewritten.
    ///   - payload: What follows them, up to the packet's total length.
    ///   - offload: What the kernel left to do.
    ///   - header: As read from the whole packet.
    /// - Throws: Why the packet cannot be cut.
    @_lifetime(copy headers, copy payload)
    public init(
        headers: RawSpan,
        payload: RawSpan,
        _ offload: Offload,
        header: PacketHeader
    ) throws(SegmenterError) {
        guard headers.byteCount == header.payloadOffset,
            payload.byteCount == header.payloadByteCount
        else {
            let available = headers.byteCount + payload.byteCount
            throw .packet(.truncated(available: available, need: header.totalByteCount))
        }
        self.headers = headers
        self.payload = payload
        kind = offload.segmentation
        transportOffset = header.transportOffset
        isIPv4 = header.source.isIPv4
        guard kind != .none else {
            (count, segmentByteCount) = (1, payload.byteCount)
            byteCountMax = headers.byteCount + payload.byteCount
            completion = try Self.completion(offload, byteCount: byteCountMax)
            return
        }
        guard Self.matches(header, kind) else { throw .wrongKind }
        guard offload.segmentByteCount > 0 else { throw .noSegmentSize }
        segmentByteCount = offload.segmentByteCount
        count = max(1, (payload.byteCount - 1) / segmentByteCount + 1)
        byteCountMax = headers.byteCount + min(segmentByteCount, payload.byteCount)
        completion = nil
        sumHeaders(header)
    }

    private static func read(_ packet: RawSpan) throws(SegmenterError) -> PacketHeader {
        do { return try PacketHeader(packet) } catch { throw SegmenterError.packet(error) }
    }

    private static func completion(
        _ offload: Offload,
        byteCount: Int
    ) throws(SegmenterError) -> Completion? {
        guard offload.needsChecksum else { return nil }
        let (start, offset) = (offload.checksumStart, offload.checksumOffset)
        guard (0...byteCount).contains(start), offset >= 0, offset <= byteCount - start - 2 else {
            throw .badChecksumPlace(start: start, offset: offset)
        }
        return Completion(start: start, offset: offset)
    }

    private static func matches(_ header: PacketHeader, _ kind: Offload.Segmentation) -> Bool {
        // A quoted packet may have less than a whole TCP header.
        let transportByteCount = header.payloadOffset - header.transportOffset
        guard !header.isFragment, transportByteCount >= (header.isTCP ? 20 : 8) else {
            return false
        }
        switch kind {
        case .none: return false
        case .tcpIPv4: return header.isTCP && header.source.isIPv4
        case .tcpIPv6: return header.isTCP && !header.source.isIPv4
        case .udp: return header.isUDP
        }
    }
}

// MARK: - Writing

extension Segmenter {
    /// Bytes of segment `index`; 0 when there is no such segment.
    public func byteCount(of index: Int) -> Int {
        guard (0..<count).contains(index) else { return 0 }
        return headers.byteCount + payloadRange(of: index).count
    }

    private func payloadRange(of index: Int) -> Range<Int> {
        let start = index * segmentByteCount
        return start..<min(start + segmentByteCount, payload.byteCount)
    }

    /// Writes segment `index` to `bytes` from `offset` on, checksums complete.
    ///
    /// - Returns: Its bytes; 0 when it has no room or there is no such segment.
    @_lifetime(bytes: copy bytes)
    @discardableResult
    public func write(_ index: Int, into bytes: inout MutableRawSpan, at offset: Int = 0) -> Int {
        let total = byteCount(of: index)
        guard total > 0, offset >= 0, total <= bytes.byteCount - offset else { return 0 }
        let part = payload.extracting(payloadRange(of: index))
        bytes.write(headers, at: offset)
        bytes.write(part, at: offset + headers.byteCount)
        guard kind != .none else {
            complete(&bytes, offset..<offset + total)
            return total
        }
        writeLengths(index, total, &bytes, at: offset)
        var sum = transportSum
        switch kind {
        case .none: break
        case .tcpIPv4, .tcpIPv6: writeTCP(index, &sum, &bytes, at: offset + transportOffset)
        case .udp: bytes.store(UInt16(total - transportOffset), at: offset + transportOffset + 4)
        }
        let length = UInt16(total - transportOffset)
        sum.add(length)
        if kind == .udp { sum.add(length) }
        sum.add(part)
        if kind == .udp {
            bytes.store(sum.fieldForUDP, at: offset + transportOffset + 6)
        } else {
            bytes.store(sum.field, at: offset + transportOffset + 16)
        }
        return total
    }

    /// IPv4 total length, identification and checksum; IPv6 payload length.
    @_lifetime(bytes: copy bytes)
    private func writeLengths(
        _ index: Int,
        _ total: Int,
        _ bytes: inout MutableRawSpan,
        at offset: Int
    ) {
        guard isIPv4 else { return bytes.store(UInt16(total - 40), at: offset + 4) }
        let identification = headers.uint16(at: 4) &+ UInt16(truncatingIfNeeded: index)
        var sum = ipSum
        sum.add(UInt16(total))
        sum.add(identification)
        bytes.store(UInt16(total), at: offset + 2)
        bytes.store(identification, at: offset + 4)
        bytes.store(sum.field, at: offset + 10)
    }

    /// Sequence number and flags: FIN and PSH on the last segment, CWR on the first.
    @_lifetime(bytes: copy bytes)
    private func writeTCP(
        _ index: Int,
        _ sum: inout Checksum,
        _ bytes: inout MutableRawSpan,
        at transport: Int
    ) {
        let step = UInt32(truncatingIfNeeded: index * segmentByteCount)
        let sequence = headers.uint32(at: transportOffset + 4) &+ step
        var flags = TCPFlags(rawValue: headers.byte(at: transportOffset + 13))
        if index > 0 { flags.remove(.cwr) }
        if index < count - 1 { flags.subtract([.fin, .psh]) }
        sum.add(sequence)
        sum.add(UInt16(flags.rawValue))
        bytes.store(sequence, at: transport + 4)
        bytes.store(flags.rawValue, at: transport + 13)
    }

    /// A lone packet's checksum: the field holds the pseudo header's sum, which is summed with it.
    @_lifetime(bytes: copy bytes)
    private func complete(_ bytes: inout MutableRawSpan, _ range: Range<Int>) {
        guard let completion else { return }
        var sum = Checksum()
        sum.add(bytes.bytes.extracting(range.lowerBound + completion.start..<range.upperBound))
        let field = completion.offset == 6 ? sum.fieldForUDP : sum.field
        bytes.store(field, at: range.lowerBound + completion.start + completion.offset)
    }

    /// Sums what all segments share: everything but lengths, identification, sequence and flags.
    private mutating func sumHeaders(_ header: PacketHeader) {
        if isIPv4 {
            ipSum.add(headers.uint16(at: 0))
            ipSum.add(headers.extracting(6..<10))
            ipSum.add(headers.extracting(12..<transportOffset))
        }
        let transport = header.transportProtocol
        let (source, destination) = addresses
        transportSum = Checksum(
            pseudoHeaderOf: transport,
            source: source,
            destination: destination,
            byteCount: 0
        )
        let bytes = headers.extracting(droppingFirst: transportOffset)
        transportSum.add(bytes.extracting(first: 4))
        guard kind != .udp else { return }
        transportSum.add(bytes.uint32(at: 8))
        transportSum.add(UInt16(bytes.byte(at: 12)) << 8)
        transportSum.add(bytes.uint16(at: 14))
        transportSum.add(bytes.extracting(droppingFirst: 18))
    }

    /// As the headers have them: they may have been rewritten after `header` was read.
    private var addresses: (IPAddress, IPAddress) {
        guard !isIPv4 else {
            return (
                IPAddress(ipv4: headers.uint32(at: 12)), IPAddress(ipv4: headers.uint32(at: 16))
            )
        }
        return (
            IPAddress(high: headers.uint64(at: 8), low: headers.uint64(at: 16)),
            IPAddress(high: headers.uint64(at: 24), low: headers.uint64(at: 32))
        )
    }
}
