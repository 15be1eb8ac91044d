/// Packets of one read: filled by the host, lent to a core, never changed by it.
///
/// From the network an entry may hold several datagrams of one sender, all of
/// `segmentByteCount` bytes but the last (UDP GRO). From the tunnel device an entry may be one
/// large packet (see ``Offload``).
public struct Batch: ~Copyable {
    /// Bounds of a batch.
    public enum Limits {
        /// Entries in a batch.
        public static var packets: Int { 64 }
    }

    /// Where an entry lies and how it came.
    public struct Packet: Sendable {
        /// The bytes, inside the batch's block.
        public var range: Range<Int>
        /// Network: bytes of each datagram but the last; 0 means the entry is one datagram.
        public var segmentByteCount: Int
        /// Tunnel: what the kernel left to do.
        public var offload: Offload
        /// Network: who sent it.
        public var remote: Endpoint
        /// Network: the address that it was sent to, and our port.
        public var local: Endpoint
        /// Network: the ECN bits of the outer header (RFC 3168), 0…3.
        public var ecn: UInt8

        public init(
            range: Range<Int> = 0..<0,
            segmentByteCount: Int = 0,
            offload: Offload = .none,
            remote: Endpoint = .unspecified,
            local: Endpoint = .unspecified,
            ecn: UInt8 = 0
        ) {
            self.range = range
            self.segmentByteCount = segmentByteCount
            self.offload = offload
            self.remote = remote
            self.local = local
            self.ecn = ecn
        }
    }

    /// The memory that the packets lie in; the host reads straight into it.
    public var block: Block
    private var packets = [Packet](repeating: Packet(), count: 64)
    /// Entries that the host has put in.
    public private(set) var count = 0
    /// The first entry not taken yet: a core works on `first..<count`.
    public private(set) var first = 0

    public init(byteCount: Int) { block = Block(byteCount: byteCount) }

    /// What is known of entry `index`.
    public subscript(index: Int) -> Packet { packets[index] }

    /// The entries that are not taken yet.
    public var indices: Range<Int> { first..<count }

    /// Forgets all entries.
    public mutating func removeAll() { (first, count) = (0, 0) }

    /// The core took `taken` entries.
    public mutating func removeFirst(_ taken: Int) { first = min(count, first + taken) }

    /// Adds an entry; refused (false) when the batch is full.
    @discardableResult
    public mutating func append(_ packet: Packet) -> Bool {
        guard count < Limits.packets else { return false }
        packets[count] = packet
        count += 1
        return true
    }

    /// The bytes of entry `index`, lent.
    @_lifetime(borrow self)
    public func bytes(of index: Int) -> RawSpan { block.bytes(packets[index].range) }
}
