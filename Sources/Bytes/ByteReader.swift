/// Fewer bytes were there than a field needs.
public struct TruncatedError: Error, Equatable {
    /// Where the field begins.
    public let offset: Int
    /// Bytes that it needs.
    public let need: Int
    public init(offset: Int, need: Int) { (self.offset, self.need) = (offset, need) }
}

/// Reads fields one after the other, big-endian; for formats that are not on the packet path.
public struct ByteReader: ~Escapable {
    private let bytes: RawSpan
    /// Where the next field begins.
    public private(set) var offset = 0

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) { self.bytes = bytes }

    /// Bytes not read yet.
    public var remaining: Int { bytes.byteCount - offset }

    private mutating func take(_ need: Int) throws(TruncatedError) -> Int {
        guard need >= 0, need <= remaining else { throw TruncatedError(offset: offset, need: need) }
        defer { offset += need }
        return offset
    }

    public mutating func uint8() throws(TruncatedError) -> UInt8 { bytes.byte(at: try take(1)) }
    public mutating func uint16() throws(TruncatedError) -> UInt16 { bytes.uint16(at: try take(2)) }
    public mutating func uint32() throws(TruncatedError) -> UInt32 { bytes.uint32(at: try take(4)) }
    public mutating func uint64() throws(TruncatedError) -> UInt64 { bytes.uint64(at: try take(8)) }

    /// The next `count` bytes, lent.
    @_lifetime(copy self)
    public mutating func span(_ count: Int) throws(TruncatedError) -> RawSpan {
        let start = try take(count)
        return bytes.extracting(start..<start + count)
    }

    /// Skips `count` bytes.
    public mutating func skip(_ count: Int) throws(TruncatedError) { _ = try take(count) }
}

extension Array where Element == UInt8 {
    /// Appends `value` in network byte order.
    public mutating func append(bigEndian value: some FixedWidthInteger) {
        var shift = type(of: value).bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
