internal import Bytes
internal import Ciphers
internal import SansIO
internal import WireGuard

/// Client and gateway.
struct TunnelPair: ~Copyable {
    private var client: TunnelEnd
    private var gateway: TunnelEnd

    init() throws(HandshakeError) {
        var random = RandomSource(seed: 2)
        let first = Identity(from: &random)
        let second = Identity(from: &random)
        let (firstKey, secondKey) = (first.publicKey, second.publicKey)
        let client = try TunnelEnd(first, peer: secondKey, random: random.fork())
        let gateway = try TunnelEnd(second, peer: firstKey, random: random.fork())
        self.client = client
        self.gateway = gateway
    }

    mutating func initiate(byGateway: Bool, at now: Instant) throws(HandshakeError) -> [UInt8] {
        byGateway ? try gateway.initiate(at: now) : try client.initiate(at: now)
    }

    mutating func seal(_ innerByteCount: Int, byGateway: Bool, at now: Instant) -> [UInt8]? {
        byGateway ? gateway.seal(innerByteCount, at: now) : client.seal(innerByteCount, at: now)
    }

    /// What was opened, and what goes back.
    mutating func receive(
        _ message: [UInt8],
        byGateway: Bool,
        at now: Instant
    ) -> (plain: [UInt8]?, answer: [UInt8]?) {
        byGateway ? gateway.receive(message, at: now) : client.receive(message, at: now)
    }

    /// A right first code where there is room for one, for either side.
    func sign(_ message: inout [UInt8]) {
        guard message.count == 148 || message.count == 92 else { return }
        let owner = message.count == 148 ? client.tunnel.peerKey : gateway.tunnel.peerKey
        let key = BLAKE2s.hash([UInt8]("mac1----".utf8).rawSpan, owner.bytes)
        let covered = Array(message.dropLast(32))
        let code = BLAKE2s.mac(covered.rawSpan, key: key.rawSpan).rawSpan.array
        message.replaceSubrange(message.count - 32..<message.count - 16, with: code)
    }

    mutating func advance(to now: Instant) {
        while client.tunnel.advance(to: now) != nil {}
        while gateway.tunnel.advance(to: now) != nil {}
    }
}

/// A tunnel with what its caller would have.
struct TunnelEnd: ~Copyable {
    var tunnel: Tunnel
    private let identity: Identity
    private var checker: CookieChecker
    private var random: RandomSource
    private var index: UInt32 = 0
    private var cookie: Cookie?

    init(
        _ identity: consuming Identity,
        peer: Key,
        random: RandomSource
    ) throws(HandshakeError) {
        var random = random
        tunnel = try Tunnel(to: peer, as: identity)
        self.identity = identity
        checker = CookieChecker(random: random.fork(), messagesPerSecondMax: 4)
        self.random = random
    }

    mutating func initiate(at now: Instant) throws(HandshakeError) -> [UInt8] {
        index += 1
        var message = try tunnel.initiate(
            as: identity,
            index: index,
            wallStart: WallStart(unixNanoseconds: 1 << 60, at: Instant(nanoseconds: 0)),
            random: &random,
            at: now
        )
        _ = cookie?.authenticate(&message, at: now)
        return message
    }

    mutating func seal(_ innerByteCount: Int, at now: Instant) -> [UInt8]? {
        var block = Block(byteCount: 256)
        var datagram = block.mutableBytes(0..<256)
        let outcome = tunnel.seal(into: &datagram, innerByteCount: innerByteCount, at: now)
        guard case .sealed(let byteCount) = outcome else { return nil }
        return block.bytes(0..<byteCount).array
    }

    mutating func receive(
        _ message: [UInt8],
        at now: Instant
    ) -> (plain: [UInt8]?, answer: [UInt8]?) {
        switch MessageKind(of: message.rawSpan) {
        case .initiation:
            return (nil, (try? respond(to: message, at: now)) ?? nil)
        case .response:
            return (nil, (try? finish(with: message, at: now)) ?? nil)
        case .cookieReply:
            cookie = (try? tunnel.cookie(from: message.rawSpan, at: now)) ?? cookie
            return (nil, nil)
        case .transport:
            return (open(message, at: now), nil)
        case nil:
            return (nil, nil)
        }
    }

    private mutating func respond(
        to message: [UInt8],
        at now: Instant
    ) throws(HandshakeError) -> [UInt8]? {
        if let reply = try challenge(message, at: now) { return reply }
        index += 1
        let incoming = try IncomingInitiation(message.rawSpan, as: identity)
        return try tunnel.respond(to: incoming, index: index, random: &random, at: now)
    }

    /// A challenge, or nothing.
    private mutating func finish(
        with message: [UInt8],
        at now: Instant
    ) throws(HandshakeError) -> [UInt8]? {
        if let reply = try challenge(message, at: now) { return reply }
        try tunnel.finish(with: message.rawSpan, as: identity, at: now)
        return nil
    }

    private mutating func challenge(
        _ message: [UInt8],
        at now: Instant
    ) throws(HandshakeError) -> [UInt8]? {
        let source = Endpoint(high: 0, low: 1, port: 1)
        let verdict = try checker.check(message.rawSpan, from: source, as: identity, at: now)
        switch verdict {
        case .accepted, .limited: return nil
        case .challenged(let reply): return reply
        }
    }

    private mutating func open(_ message: [UInt8], at now: Instant) -> [UInt8]? {
        var block = Block(byteCount: message.count)
        var plain = block.mutableBytes(0..<message.count)
        guard let opened = try? tunnel.open(message.rawSpan, into: &plain, at: now) else {
            return nil
        }
        return block.bytes(0..<opened.byteCount).array
    }
}
