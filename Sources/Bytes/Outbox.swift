/// What leaves in one turn: datagrams to the network and packets to the tunnel device.
///
/// Everything that changes bytes happens here: **reserve** room, write, seal or open in place,
/// **commit**; nothing leaves before. The host sends and empties it after each turn. A core that
/// finds no room stops and says how much of its batch it took.
public struct Outbox: ~Copyable {
    /// Bounds of an outbox.
    public enum Limits {
        /// UDP_MAX_SEGMENTS of Linux before 6.9: datagrams in one run.
        public static var segments: Int { 64 }
        /// Bytes of one run; the largest UDP payload less headers.
        public static var runByteCount: Int { 65_000 }
        /// Runs, and tunnel packets, of one turn.
        public static var entries: Int { 128 }
        /// Bytes of one tunnel packet; an IP packet's total length is 16 bits.
        public static var tunnelPacketByteCount: Int { 65_535 }
    }

    /// Datagrams of equal size (the last may be shorter) from one local address to one endpoint:
    /// one UDP_SEGMENT send.
    public struct Run: Sendable {
        /// Where they go.
        public var remote = Endpoint.unspecified
        /// The source address to use; unspecified means the kernel's choice.
        public var local = Endpoint.unspecified
        /// ECN bits of the outer header, 0…3 (RFC 6040).
        public var ecn: UInt8 = 0
        /// The bytes, in the network side's block.
        public var range = 0..<0
        /// Bytes of each datagram but the last.
        public var segmentByteCount = 0
        /// How many datagrams.
        public var count = 0
    }

    /// One packet for the tunnel device.
    public struct TunnelPacket: Sendable {
        /// The bytes, in the tunnel side's block.
        public var range = 0..<0
        /// What the kernel shall do with it.
        public var offload = Offload.none
    }

    private var network: Block
    private var networkUsed = 0
    private var networkReserved = 0
    private var runs = [Run](repeating: Run(), count: 128)
    /// How many runs wait.
    public private(set) var runCount = 0

    private var tunnel: Block
    private var tunnelUsed = 0
    private var tunnelReserved = 0
    private var packets = [TunnelPacket](repeating: TunnelPacket(), count: 128)
    /// How many tunnel packets wait.
    public private(set) var tunnelPacketCount = 0

    /// Reservations that found no room, since the start; the host's counter of drops.
    public private(set) var refusedCount = 0

    /// - Parameter byteCount: Bytes of each side.
    public init(byteCount: Int = 1 << 19) {
        network = Block(byteCount: byteCount)
        tunnel = Block(byteCount: byteCount)
    }

    /// Whether nothing waits.
    public var isEmpty: Bool { runCount == 0 && tunnelPacketCount == 0 }

    /// Forgets everything that was committed.
    public mutating func removeAll() {
        (runCount, networkUsed, networkReserved) = (0, 0, 0)
        (tunnelPacketCount, tunnelUsed, tunnelReserved) = (0, 0, 0)
    }
}

// MARK: - Network side

extension Outbox {
    /// Run `index`.
    public func run(_ index: Int) -> Run { runs[index] }

    /// The bytes of run `index`, lent.
    @_lifetime(borrow self)
    public func bytes(ofRun index: Int) -> RawSpan { network.bytes(runs[index].range) }

    /// Whether `count` datagrams of at most `byteCount` bytes each surely fit.
    public func hasNetworkRoom(datagrams count: Int, byteCount: Int) -> Bool {
        // Every run but a full one may be joined, so a datagram needs a run of its own at worst
        // when sizes or endpoints differ; large packets make runs of 40 and more.
        networkUsed + count * byteCount <= network.byteCount
            && runCount + count / Limits.segments + 4 <= Limits.entries
    }

    /// Room for one datagram, to be written and sealed in place.
    ///
    /// Full: an empty span, counted. A reservation that is not committed is forgotten by the next.
    @_lifetime(&self)
    public mutating func reserve(_ byteCount: Int) -> MutableRawSpan {
        let fits = networkUsed + byteCount <= network.byteCount && runCount < Limits.entries
        networkReserved = fits ? byteCount : 0
        if !fits { refusedCount += 1 }
        return network.mutableBytes(networkUsed..<networkUsed + networkReserved)
    }

    /// The first `byteCount` reserved bytes (nil: all) go to `remote`; they join the last run
    /// where one send can carry both.
    public mutating func commit(
        to remote: Endpoint,
        from local: Endpoint = .unspecified,
        ecn: UInt8 = 0,
        byteCount: Int? = nil
    ) {
        let size = min(byteCount ?? networkReserved, networkReserved)
        guard size > 0 else { return }
        let range = networkUsed..<networkUsed + size
        networkUsed = range.upperBound
        networkReserved = 0
        if runCount > 0, joins(runs[runCount - 1], size, to: remote, from: local, ecn: ecn) {
            runs[runCount - 1].range = runs[runCount - 1].range.lowerBound..<range.upperBound
            runs[runCount - 1].count += 1
        } else {
            runs[runCount] = Run(
                remote: remote,
                local: local,
                ecn: ecn,
                range: range,
                segmentByteCount: size,
                count: 1
            )
            runCount += 1
        }
    }

    private func joins(
        _ last: Run,
        _ size: Int,
        to remote: Endpoint,
        from local: Endpoint,
        ecn: UInt8
    ) -> Bool {
        last.remote == remote && last.local == local && last.ecn == ecn
            && size <= last.segmentByteCount
            && last.range.count == last.count * last.segmentByteCount
            && last.count < Limits.segments
            && last.range.count + size <= Limits.runByteCount
    }
}

// MARK: - Tunnel side

extension Outbox {
    /// Tunnel packet `index`.
    public func tunnelPacket(_ index: Int) -> TunnelPacket { packets[index] }

    /// The bytes of tunnel packet `index`, lent.
    @_lifetime(borrow self)
    public func bytes(ofTunnelPacket index: Int) -> RawSpan { tunnel.bytes(packets[index].range) }

    /// Whether `count` packets of at most `byteCount` bytes each surely fit.
    public func hasTunnelRoom(packets count: Int, byteCount: Int) -> Bool {
        tunnelUsed + count * byteCount <= tunnel.byteCount
            && tunnelPacketCount + count <= Limits.entries
    }

    /// Room for one packet, to be opened or written in place.
    ///
    /// Full: an empty span, counted. A reservation that is not committed is forgotten by the next.
    @_lifetime(&self)
    public mutating func reserveTunnel(_ byteCount: Int) -> MutableRawSpan {
        let fits = tunnelUsed + byteCount <= tunnel.byteCount && tunnelPacketCount < Limits.entries
        tunnelReserved = fits ? byteCount : 0
        if !fits { refusedCount += 1 }
        return tunnel.mutableBytes(tunnelUsed..<tunnelUsed + tunnelReserved)
    }

    /// Makes the reservation larger; what was written stays.
    ///
    /// - Returns: False when there is no room: the reservation stays as it is.
    public mutating func growTunnelReservation(to byteCount: Int) -> Bool {
        guard byteCount > tunnelReserved else { return true }
        guard tunnelUsed + byteCount <= tunnel.byteCount,
            tunnelPacketCount < Limits.entries
        else { return false }
        tunnelReserved = byteCount
        return true
    }

    /// The bytes reserved and not committed yet, lent again; empty when nothing is reserved.
    @_lifetime(&self)
    public mutating func reservedTunnelBytes() -> MutableRawSpan {
        tunnel.mutableBytes(tunnelUsed..<tunnelUsed + tunnelReserved)
    }

    /// The bytes reserved and not committed yet, lent for reading.
    @_lifetime(borrow self)
    public func peekReservedTunnelBytes() -> RawSpan {
        tunnel.bytes(tunnelUsed..<tunnelUsed + tunnelReserved)
    }

    /// The first `byteCount` reserved bytes go to the tunnel device.
    public mutating func commitTunnel(byteCount: Int, offload: Offload = .none) {
        let size = min(byteCount, tunnelReserved)
        guard size > 0 else { return }
        packets[tunnelPacketCount] = TunnelPacket(
            range: tunnelUsed..<tunnelUsed + size,
            offload: offload
        )
        tunnelPacketCount += 1
        tunnelUsed += size
        tunnelReserved = 0
    }

    /// The reserved bytes of `payload` (relative to the reservation) are joined to the last
    /// packet's end, whose offload becomes `offload`: how segments of one flow become one packet.
    ///
    /// The caller has checked that they follow (flow, sequence, size).
    public mutating func joinLastTunnelPacket(payload: Range<Int>, offload: Offload) {
        guard tunnelPacketCount > 0, payload.upperBound <= tunnelReserved else { return }
        let last = packets[tunnelPacketCount - 1]
        var tail = tunnel.mutableBytes(tunnelUsed..<tunnelUsed + tunnelReserved)
        tail.move(payload, to: 0)
        tunnelUsed += payload.count
        tunnelReserved = 0
        packets[tunnelPacketCount - 1] = TunnelPacket(
            range: last.range.lowerBound..<tunnelUsed,
            offload: offload
        )
    }

    /// The last tunnel packet's bytes, for rewriting its header; empty when there is none.
    @_lifetime(&self)
    public mutating func lastTunnelPacketBytes() -> MutableRawSpan {
        let range = tunnelPacketCount > 0 ? packets[tunnelPacketCount - 1].range : 0..<0
        return tunnel.mutableBytes(range)
    }
}
