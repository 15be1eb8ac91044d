internal import Bytes
internal import Gateway
internal import SansIO

// An upgrade in place: the gateway's state, damaged or made up, and another one that goes on.
extension GatewayPlay {
    /// Another gateway goes on, and nobody notices; what else is read is no trap.
    ///
    /// - Parameter damage: Read as a state, and as places of the real one (16 bits) with what is
    ///   changed there (8 bits).
    func upgrade(damage: [UInt8]) {
        let state = gateway.retire(at: now)
        settle()
        examine(damage)
        var damaged = state
        for start in stride(from: 0, to: damage.count - 2, by: 3) {
            let place = Int(damage[start]) << 8 | Int(damage[start + 1])
            damaged[place % damaged.count] ^= damage[start + 2]
        }
        examine(damaged)
        let leases = gateway.leases
        guard let next = read(state) else {
            preconditionFailure("a state that its own reader refuses")
        }
        gateway = next
        precondition(gateway.leases == leases, "other leases than before")
        // Questions and connections end with their process.
        exchanges = []
        answeredStreams = Set((0..<streamCount).map { $0 + 1 })
        handle(.resolvers([Self.resolver], hosts: Self.hosts))
    }

    private func read(_ state: [UInt8]) -> Gateway? {
        try? Gateway.resumed(
            from: state.rawSpan,
            wallClock: BarePeer.wall,
            random: RandomSource(seed: 9),
            at: now
        )
    }

    /// A gateway that goes on with whatever this is works, if there is one.
    private func examine(_ state: [UInt8]) {
        guard var other = read(state) else { return }
        var outbox = Outbox(byteCount: 1 << 17)
        other.advance(to: now.advanced(by: .seconds(1)), into: &outbox)
        while other.pollOutput() != nil {}
        _ = other.status(at: now)
        precondition(read(other.retire(at: now)) != nil, "a state that its own reader refuses")
    }
}
