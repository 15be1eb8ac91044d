internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// One end of one WireGuard tunnel and nothing else: no names, no policy, no translation.
///
/// What the benchmark and the tests with other implementations of WireGuard run.
struct TunnelEnd: ~Copyable, PacketMachine {
    enum Command: Sendable {
        /// The other end.
        case peer(PeerConfiguration)
    }

    /// It asks nothing of its host.
    enum Output: Sendable {}

    private var pool: PeerPool
    private var peer: PeerIndex?
    private var coalescer = Coalescer()

    init(role: PeerRole, wallStart: WallStart, random: RandomSource) {
        pool = PeerPool(role: role, wallClock: wallStart, random: random)
    }

    var publicKey: Key { pool.publicKey }

    var nextDeadline: Instant? { pool.nextDeadline }

    mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        var taken = 0
        for index in batch.indices {
            let isTaken =
                switch side {
                case .tunnel: send(batch, index, at: now, into: &outbox)
                case .network: open(batch, index, at: now, into: &outbox)
                }
            guard isTaken else { break }
            taken += 1
        }
        return taken
    }

    mutating func handle(_ command: Command, at now: Instant, into outbox: inout Outbox) {
        switch command {
        case .peer(let configuration): peer = pool.upsert(configuration, at: now, into: &outbox)
        }
    }

    mutating func advance(to now: Instant, into outbox: inout Outbox) {
        pool.advance(to: now, into: &outbox)
        while pool.pollEvent() != nil {}
    }

    mutating func pollOutput() -> Output? { nil }

    private mutating func send(
        _ batch: borrowing Batch,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        guard let peer else { return true }
        let outcome = pool.send(
            batch.bytes(of: index),
            batch[index].offload,
            to: peer,
            at: now,
            into: &outbox
        )
        return outcome != .noRoom
    }

    private mutating func open(
        _ batch: borrowing Batch,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let packet = batch[index]
        let bytes = batch.bytes(of: index)
        let size = packet.segmentByteCount > 0 ? packet.segmentByteCount : bytes.byteCount
        guard size > 0 else { return true }
        let count = (bytes.byteCount + size - 1) / size
        guard outbox.hasTunnelRoom(packets: count, byteCount: size) else { return false }
        for number in 0..<count {
            let datagram = bytes.extracting(
                number * size..<min(bytes.byteCount, (number + 1) * size)
            )
            let received = pool.receive(
                datagram,
                remote: packet.remote,
                local: packet.local,
                ecn: packet.ecn,
                at: now,
                into: &outbox
            )
            if case .packet(_, let byteCount) = received {
                coalescer.commit(byteCount: byteCount, in: &outbox)
            }
        }
        return true
    }
}
