internal import Bytes
internal import Ciphers
internal import SansIO
internal import WireGuard

/// Bytes from hexadecimal text.
func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
}

/// first, first + 1, first + 2, … as bytes.
func counting(_ count: Int, from first: Int = 0) -> [UInt8] {
    (first..<first + count).map { UInt8(truncatingIfNeeded: $0) }
}

func key(_ bytes: [UInt8]) -> Key { Key(Bytes32(copying: bytes.rawSpan)) }

/// So many seconds after the tests' start.
func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: 5_000_000_000_000).advanced(by: .milliseconds(Int(seconds * 1_000)))
}

let wallStart = WallStart(unixNanoseconds: 1_700_000_000_250_000_000, at: at(0))

/// Draws given bytes, then zeros.
struct GivenBytes: RandomNumberGenerator {
    private var bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    mutating func next() -> UInt64 {
        let word = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        bytes.removeFirst(min(8, bytes.count))
        return word
    }
}

/// One end of a tunnel, with what its caller would have: identity, randomness, indices, buffers.
struct End: ~Copyable {
    let identity: Identity
    var tunnel: Tunnel
    var random: RandomSource
    private var index: UInt32

    /// Private keys count up, ours from `first`, the other end's from `peer`.
    init(
        _ first: Int,
        peer: Int,
        presharedKey: Key? = nil,
        timing: Timing = .exact,
        initiates: Bool = true
    ) throws(HandshakeError) {
        identity = Identity(privateKey: Secret(copying: counting(32, from: first).rawSpan))
        let other = Identity(privateKey: Secret(copying: counting(32, from: peer).rawSpan))
        tunnel = try Tunnel(
            to: other.publicKey,
            as: identity,
            presharedKey: presharedKey,
            timing: timing,
            initiates: initiates
        )
        random = RandomSource(seed: UInt64(first))
        index = UInt32(first) << 24
    }

    /// An index that nobody has.
    mutating func dealIndex() -> UInt32 {
        index += 1
        return index
    }

    mutating func initiate(at now: Instant) throws(HandshakeError) -> [UInt8] {
        try tunnel.initiate(
            as: identity,
            index: dealIndex(),
            wallStart: wallStart,
            random: &random,
            at: now
        )
    }

    mutating func respond(
        to initiation: [UInt8],
        at now: Instant
    ) throws(HandshakeError) -> [UInt8] {
        let incoming = try IncomingInitiation(initiation.rawSpan, as: identity)
        return try tunnel.respond(to: incoming, index: dealIndex(), random: &random, at: now)
    }

    mutating func finish(with response: [UInt8], at now: Instant) throws(HandshakeError) {
        try tunnel.finish(with: response.rawSpan, as: identity, at: now)
    }

    /// Seals a packet; nil when there is no session.
    mutating func seal(_ inner: [UInt8], at now: Instant) -> [UInt8]? {
        let byteCount = Tunnel.datagramByteCount(inner: inner.count)
        var block = Block(byteCount: byteCount)
        var datagram = block.mutableBytes(0..<byteCount)
        for offset in 0..<byteCount { datagram.store(0xee as UInt8, at: offset) }
        datagram.write(inner.rawSpan, at: Tunnel.headerByteCount)
        let outcome = tunnel.seal(into: &datagram, innerByteCount: inner.count, at: now)
        return outcome == .sealed(byteCount: byteCount) ? block.bytes(0..<byteCount).array : nil
    }

    /// Opens a datagram, with the padding.
    mutating func open(
        _ datagram: [UInt8],
        at now: Instant
    ) throws(OpenError) -> (plain: [UInt8], Tunnel.Opened) {
        let byteCount = max(0, datagram.count - 32)
        var block = Block(byteCount: byteCount)
        var plain = block.mutableBytes(0..<byteCount)
        let opened = try tunnel.open(datagram.rawSpan, into: &plain, at: now)
        return (block.bytes(0..<opened.byteCount).array, opened)
    }

    /// Everything that is due.
    mutating func actions(at now: Instant) -> [Tunnel.Action] {
        var all: [Tunnel.Action] = []
        while let action = tunnel.advance(to: now), all.count < 10 { all.append(action) }
        return all
    }
}

/// A client and a gateway that know each other.
struct Pair: ~Copyable {
    var client: End
    var gateway: End

    init(
        presharedKey: Key? = nil,
        timing: Timing = .exact,
        gatewayInitiates: Bool = true
    ) throws(HandshakeError) {
        let client = try End(1, peer: 33, presharedKey: presharedKey, timing: timing)
        let gateway = try End(
            33,
            peer: 1,
            presharedKey: presharedKey,
            timing: timing,
            initiates: gatewayInitiates
        )
        self.client = client
        self.gateway = gateway
    }

    /// A handshake and the client's first packet.
    mutating func connect(at now: Instant = at(0)) throws {
        let initiation = try client.initiate(at: now)
        try client.finish(with: try gateway.respond(to: initiation, at: now), at: now)
        guard let first = client.seal([], at: now) else { throw OpenError.expired }
        _ = try gateway.open(first, at: now)
    }

    /// A packet each way.
    mutating func exchange(at now: Instant) throws {
        guard let there = client.seal(counting(20), at: now) else { throw OpenError.expired }
        _ = try gateway.open(there, at: now)
        guard let back = gateway.seal(counting(20), at: now) else { throw OpenError.expired }
        _ = try client.open(back, at: now)
    }
}

extension Timing {
    /// The paper's times without the random part.
    static var exact: Timing {
        var timing = Timing.paper
        timing.retransmitJitterMax = .zero
        return timing
    }
}
