internal import Bytes

/// A borrowed view of an IPv6 packet (RFC 8200 3). Once made, no accessor can trap.
///
/// Bytes after the payload length are dropped. Extension headers are part of the payload here;
/// ``PacketHeader`` walks them.
public struct IPv6Packet: ~Escapable {
    public static var headerByteCount: Int { 40 }

    /// The packet, cut to its total length.
    public let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= Self.headerByteCount else {
            throw .truncated(available: bytes.byteCount, need: Self.headerByteCount)
        }
        guard bytes.byte(at: 0) >> 4 == 6 else { throw .badVersion(bytes.byte(at: 0) >> 4) }
        let length = Int(bytes.uint16(at: 4))
        guard Self.headerByteCount + length <= bytes.byteCount else {
            throw .badLength(field: length, available: bytes.byteCount - Self.headerByteCount)
        }
        self.bytes = bytes.extracting(first: Self.headerByteCount + length)
        guard !source.isIPv4, !destination.isIPv4 else { throw .mappedAddress }
    }

    public var trafficClass: UInt8 { UInt8(truncatingIfNeeded: bytes.uint16(at: 0) >> 4) }
    /// 20 bits.
    public var flowLabel: UInt32 { bytes.uint32(at: 0) & 0xf_ffff }
    public var totalByteCount: Int { bytes.byteCount }
    /// The first extension header, or the transport.
    public var nextHeader: TransportProtocol { TransportProtocol(rawValue: bytes.byte(at: 6)) }
    public var hopLimit: UInt8 { bytes.byte(at: 7) }
    public var source: IPAddress {
        IPAddress(high: bytes.uint64(at: 8), low: bytes.uint64(at: 16))
    }
    public var destination: IPAddress {
        IPAddress(high: bytes.uint64(at: 24), low: bytes.uint64(at: 32))
    }

    /// What follows the fixed header; lives as long as the buffer.
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: Self.headerByteCount) }
    }
}
