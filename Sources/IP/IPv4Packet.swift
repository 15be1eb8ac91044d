internal import Bytes

/// A borrowed view of an IPv4 packet (RFC 791 3.1). Once made, no accessor can trap.
///
/// Bytes after the total length are dropped. The header's checksum is not part of the check; see
/// ``hasValidChecksum``.
public struct IPv4Packet: ~Escapable {
    public static var headerByteCount: Int { 20 }

    /// The packet, cut to its total length.
    public let bytes: RawSpan
    /// Bytes of the header with its options.
    public let headerByteCount: Int

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= Self.headerByteCount else {
            throw .truncated(available: bytes.byteCount, need: Self.headerByteCount)
        }
        guard bytes.byte(at: 0) >> 4 == 4 else { throw .badVersion(bytes.byte(at: 0) >> 4) }
        let header = Int(bytes.byte(at: 0) & 0xf) * 4
        let total = Int(bytes.uint16(at: 2))
        guard header >= Self.headerByteCount else { throw .badHeaderLength(header) }
        guard total >= header, total <= bytes.byteCount else {
            throw .badLength(field: total, available: bytes.byteCount)
        }
        self.bytes = bytes.extracting(first: total)
        headerByteCount = header
    }

    public var trafficClass: UInt8 { bytes.byte(at: 1) }
    public var totalByteCount: Int { bytes.byteCount }
    public var identification: UInt16 { bytes.uint16(at: 4) }
    public var dontFragment: Bool { bytes.uint16(at: 6) & 0x4000 != 0 }
    public var moreFragments: Bool { bytes.uint16(at: 6) & 0x2000 != 0 }
    /// In bytes.
    public var fragmentOffset: Int { Int(bytes.uint16(at: 6) & 0x1fff) * 8 }
    public var hopLimit: UInt8 { bytes.byte(at: 8) }
    public var transportProtocol: TransportProtocol {
        TransportProtocol(rawValue: bytes.byte(at: 9))
    }
    public var checksum: UInt16 { bytes.uint16(at: 10) }
    public var source: IPAddress { IPAddress(ipv4: bytes.uint32(at: 12)) }
    public var destination: IPAddress { IPAddress(ipv4: bytes.uint32(at: 16)) }

    /// Whether the header sums up (RFC 1812 5.2.2).
    public var hasValidChecksum: Bool {
        Checksum.sum(bytes.extracting(first: headerByteCount)) == 0xffff
    }

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
}
