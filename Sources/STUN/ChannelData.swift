public import Bytes

/// Data under a channel number (RFC 8656 12.4): number, length, data; checked once, read in place.
public struct ChannelData: ~Escapable {
    /// Bytes in front of the data.
    public static var headerByteCount: Int { 4 }
    /// The numbers that a channel may have: those of RFC 5766 11, whose clients are many.
    public static var numbers: ClosedRange<UInt16> { 0x4000...0x7fff }

    /// The channel.
    public let number: UInt16
    /// Where the data lie in the datagram.
    public let range: Range<Int>
    private let bytes: RawSpan

    /// Whether the first byte is that of channel data.
    public static func isChannelData(_ datagram: RawSpan) -> Bool {
        datagram.byteCount >= headerByteCount && datagram.byte(at: 0) >> 6 == 1
    }

    /// Up to three bytes of padding may follow the data, as they do over TCP and TLS.
    @_lifetime(copy datagram)
    public init(_ datagram: RawSpan) throws(STUNError) {
        guard Self.isChannelData(datagram) else { throw .notChannelData }
        let count = Int(datagram.uint16(at: 2))
        let rest = datagram.byteCount - Self.headerByteCount
        guard count <= rest, rest - count < 4 else { throw .notChannelData }
        number = datagram.uint16(at: 0)
        range = Self.headerByteCount..<Self.headerByteCount + count
        bytes = datagram
    }

    /// The data, lent.
    public var data: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(range) }
    }

    /// Writes the header in front of `byteCount` bytes of data, which the caller puts at
    /// `offset + 4`.
    @inlinable @_lifetime(target: copy target)
    public static func writeHeader(
        _ number: UInt16,
        byteCount: Int,
        into target: inout MutableRawSpan,
        at offset: Int = 0
    ) {
        target.store(number, at: offset)
        target.store(UInt16(truncatingIfNeeded: byteCount), at: offset + 2)
    }
}
