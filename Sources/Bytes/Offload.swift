/// What the kernel left to do, or may do, for a packet at the tunnel device (virtio_net_hdr).
///
/// A large packet stands for many: one header, then the payloads of all segments joined.
public struct Offload: Hashable, Sendable {
    /// How a large packet is cut.
    public enum Segmentation: UInt8, Sendable {
        /// The packet is one packet.
        case none
        case tcpIPv4
        case tcpIPv6
        /// UDP over either family (USO).
        case udp
    }

    public var segmentation: Segmentation
    /// Whether the TCP or UDP checksum field holds the pseudo-header's sum only (RFC 1071, folded,
    /// not complemented), to be completed over everything from `checksumStart`.
    public var needsChecksum: Bool
    /// Offset of the transport header in the packet, in bytes; valid with `needsChecksum`.
    public var checksumStart: Int
    /// Offset of the checksum field from `checksumStart`, in bytes.
    public var checksumOffset: Int
    /// Bytes of IP and transport header; valid with a segmentation.
    public var headerByteCount: Int
    /// Payload bytes of each segment but the last; 0 without segmentation.
    public var segmentByteCount: Int

    public init(
        segmentation: Segmentation,
        needsChecksum: Bool,
        checksumStart: Int,
        checksumOffset: Int,
        headerByteCount: Int,
        segmentByteCount: Int
    ) {
        self.segmentation = segmentation
        self.needsChecksum = needsChecksum
        self.checksumStart = checksumStart
        self.checksumOffset = checksumOffset
        self.headerByteCount = headerByteCount
        self.segmentByteCount = segmentByteCount
    }

    /// One whole packet, checksums complete.
    public static let none = Offload(
        segmentation: .none,
        needsChecksum: false,
        checksumStart: 0,
        checksumOffset: 0,
        headerByteCount: 0,
        segmentByteCount: 0
    )
}
