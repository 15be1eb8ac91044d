internal import Bytes
internal import IP
internal import SansIO

/// Packets of one resource that wait for a lease, a path or a name: a ring, the oldest gives way.
struct HeldPackets {
    enum Limits {
        /// Packets of one resource.
        static let packets = 128
        /// Their bytes.
        static let byteCount = 1 << 20
        /// How long a packet waits; then its sender is told.
        static let patience: Duration = .seconds(5)
    }

    struct Packet {
        var bytes: [UInt8]
        var offload: Offload
        /// The connection attempt that this packet opens; nil for every other packet.
        var attempt: Attempt?
        var heldAt: Instant
    }

    /// A TCP SYN is told from its retransmissions by nothing: they have all this in common.
    struct Attempt: Equatable {
        var source: Endpoint
        var destination: Endpoint
        var sequence: UInt32

        init?(_ header: PacketHeader) {
            guard header.isTCP, header.tcpFlags.contains(.syn), !header.tcpFlags.contains(.ack)
            else { return nil }
            source = header.sourceEndpoint
            destination = header.destinationEndpoint
            sequence = header.sequence
        }
    }

    private var packets: [Packet] = []
    private var byteCount = 0
    var isEmpty: Bool { packets.isEmpty }

    var count: Int { packets.count }

    /// When the oldest packet has waited long enough.
    var nextDeadline: Instant? { packets.first?.heldAt.advanced(by: Limits.patience) }

    /// Keeps a packet; a retransmitted SYN takes the place of its first copy, and its age.
    ///
    /// - Returns: How many older packets gave way.
    @discardableResult
    mutating func append(_ packet: Packet) -> Int {
        if let attempt = packet.attempt,
            let index = packets.firstIndex(where: { $0.attempt == attempt })
        {
            byteCount += packet.bytes.count - packets[index].bytes.count
            packets[index].bytes = packet.bytes
            packets[index].offload = packet.offload
            return 0
        }
        var overflowed = 0
        while !packets.isEmpty,
            packets.count >= Limits.packets || byteCount + packet.bytes.count > Limits.byteCount
        {
            byteCount -= packets.removeFirst().bytes.count
            overflowed += 1
        }
        packets.append(packet)
        byteCount += packet.bytes.count
        return overflowed
    }

    /// Takes all, oldest first.
    mutating func takeAll() -> [Packet] {
        defer { (packets, byteCount) = ([], 0) }
        return packets
    }

    /// Takes those that have waited long enough.
    mutating func takeExpired(at now: Instant) -> [Packet] {
        // A packet that was put back keeps its age, so the oldest need not be the first.
        let expired = packets.filter { $0.heldAt.duration(to: now) >= Limits.patience }
        guard !expired.isEmpty else { return [] }
        packets.removeAll { $0.heldAt.duration(to: now) >= Limits.patience }
        byteCount -= expired.reduce(0) { $0 + $1.bytes.count }
        return expired
    }
}
