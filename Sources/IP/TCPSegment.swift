internal import Bytes

/// A borrowed view of a TCP segment (RFC 9293 3.1). Once made, no accessor can trap.
public struct TCPSegment: ~Escapable {
    public static var headerByteCount: Int { 20 }

    /// Header and payload.
    public let bytes: RawSpan
    /// Bytes of the header with its options.
    public let headerByteCount: Int

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= Self.headerByteCount else {
            throw .truncated(available: bytes.byteCount, need: Self.headerByteCount)
        }
        let header = Int(bytes.byte(at: 12) >> 4) * 4
        guard header >= Self.headerByteCount, header <= bytes.byteCount else {
            throw .badHeaderLength(header)
        }
        self.bytes = bytes
        headerByteCount = header
    }

    public var sourcePort: UInt16 { bytes.uint16(at: 0) }
    public var destinationPort: UInt16 { bytes.uint16(at: 2) }
    public var sequence: UInt32 { bytes.uint32(at: 4) }
    public var acknowledgment: UInt32 { bytes.uint32(at: 8) }
    public var flags: TCPFlags { TCPFlags(rawValue: bytes.byte(at: 13)) }
    public var window: UInt16 { bytes.uint16(at: 14) }
    public var checksum: UInt16 { bytes.uint16(at: 16) }
    public var urgentPointer: UInt16 { bytes.uint16(at: 18) }

    /// The options, as they came; lives as long as the buffer.
    public var options: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Self.headerByteCount..<headerByteCount) }
    }

    /// What follows the header; lives as long as the buffer.
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: headerByteCount) }
    }

    /// The value of the maximum-segment-size option (RFC 9293 3.7.1); nil when it is not there, or
    /// the options are malformed before it.
    public var maximumSegmentSize: UInt16? {
        Self.maximumSegmentSizeOffset(in: options).map { options.uint16(at: $0) }
    }

    /// Where the value of the maximum-segment-size option lies in `options`.
    static func maximumSegmentSizeOffset(in options: RawSpan) -> Int? {
        var offset = 0
        while offset < options.byteCount {
            switch options.byte(at: offset) {
            case 0: return nil
            case 1: offset += 1
            case let kind:
                guard offset + 1 < options.byteCount else { return nil }
                let byteCount = Int(options.byte(at: offset + 1))
                guard byteCount >= 2, offset + byteCount <= options.byteCount else { return nil }
                if kind == 2 { return byteCount == 4 ? offset + 2 : nil }
                offset += byteCount
            }
        }
        return nil
    }
}

/// The header of a TCP segment that we write.
public struct TCPHeader: Hashable, Sendable {
    public var sourcePort: UInt16
    public var destinationPort: UInt16
    public var sequence: UInt32
    public var acknowledgment: UInt32
    public var flags: TCPFlags
    public var window: UInt16
    public var urgentPointer: UInt16
    /// Options; at most 40 bytes are written, padded with zeros to a multiple of four.
    public var options: [UInt8]

    public init(
        sourcePort: UInt16,
        destinationPort: UInt16,
        sequence: UInt32 = 0,
        acknowledgment: UInt32 = 0,
        flags: TCPFlags = .ack,
        window: UInt16 = 0xffff,
        urgentPointer: UInt16 = 0,
        options: [UInt8] = []
    ) {
        (self.sourcePort, self.destinationPort) = (sourcePort, destinationPort)
        (self.sequence, self.acknowledgment) = (sequence, acknowledgment)
        self.flags = flags
        self.window = window
        self.urgentPointer = urgentPointer
        self.options = options
    }

    /// Bytes of the header: 20…60.
    public var byteCount: Int { 20 + min(40, (options.count + 3) / 4 * 4) }

    /// Writes the header to the start of `bytes`, which are the whole segment, and the checksum
    /// over all of it; false when the header has no room.
    @_lifetime(bytes: copy bytes)
    public func write(into bytes: inout MutableRawSpan, under header: IPHeader) -> Bool {
        guard bytes.byteCount >= byteCount else { return false }
        bytes.zero(0..<byteCount)
        bytes.store(sourcePort, at: 0)
        bytes.store(destinationPort, at: 2)
        bytes.store(sequence, at: 4)
        bytes.store(acknowledgment, at: 8)
        bytes.store(UInt8(byteCount / 4) << 4, at: 12)
        bytes.store(flags.rawValue, at: 13)
        bytes.store(window, at: 14)
        bytes.store(urgentPointer, at: 18)
        bytes.write(options.rawSpan.extracting(first: min(40, options.count)), at: 20)
        var checksum = header.pseudoHeader(byteCount: bytes.byteCount)
        checksum.add(bytes.bytes)
        bytes.store(checksum.field, at: 16)
        return true
    }
}
