internal import Bytes
internal import STUN
internal import SansIO
internal import WireGuard

/// The other end of a session, with nothing above it: keeps to the handshake, and seals whatever it
/// is told to.
struct BarePeer: ~Copyable {
    /// The secret of every pair in the entries.
    static let secret = [UInt8](repeating: 5, count: 32)
    static let sharedKey = Key(copying: [UInt8](repeating: 5, count: 32).rawSpan)
    static let start = Instant(nanoseconds: 1_000_000_000)
    static let wall = WallStart(unixNanoseconds: 1_800_000_000_000_000_000, at: start)

    let publicKey: Key
    private var tunnel: Tunnel
    private let identity: Identity
    private var random: RandomSource
    private var index: UInt32 = 0

    /// The other end of the one called `peer`; `initiates` where it plays the client of the two.
    init(of peer: Key, initiates: Bool, random: RandomSource) throws(HandshakeError) {
        var random = random
        let identity = Identity(from: &random)
        publicKey = identity.publicKey
        tunnel = try Tunnel(
            to: peer,
            as: identity,
            presharedKey: Self.sharedKey,
            initiates: initiates
        )
        self.identity = identity
        self.random = random
    }

    /// A new initiation; nil when it is too early for one.
    mutating func initiate(at now: Instant) -> [UInt8]? {
        index += 1
        return try? tunnel.initiate(
            as: identity,
            index: index,
            wallStart: Self.wall,
            random: &random,
            at: now
        )
    }

    /// `plain` as a datagram; nil when there is no session.
    mutating func seal(_ plain: [UInt8], at now: Instant) -> [UInt8]? {
        let total = Tunnel.datagramByteCount(inner: plain.count)
        var block = Block(byteCount: total)
        var datagram = block.mutableBytes(0..<total)
        datagram.write(plain.rawSpan, at: Tunnel.headerByteCount)
        switch tunnel.seal(into: &datagram, innerByteCount: plain.count, at: now) {
        case .sealed(let byteCount): return block.bytes(0..<byteCount).array
        case .noSession, .noRoom: return nil
        }
    }

    /// What a datagram held, and what goes back.
    mutating func receive(
        _ datagram: [UInt8],
        at now: Instant
    ) -> (plain: [UInt8]?, answer: [UInt8]?) {
        while tunnel.advance(to: now) != nil {}
        switch MessageKind(of: datagram.rawSpan) {
        case .initiation:
            index += 1
            guard let incoming = try? IncomingInitiation(datagram.rawSpan, as: identity) else {
                return (nil, nil)
            }
            return (
                nil,
                try? tunnel.respond(to: incoming, index: index, random: &random, at: now)
            )
        case .response:
            let isFinished =
                (try? tunnel.finish(with: datagram.rawSpan, as: identity, at: now)) != nil
            // The first packet confirms the session.
            return (nil, isFinished ? seal([], at: now) : nil)
        case .transport: return (open(datagram, at: now), nil)
        case .cookieReply, nil: return (nil, nil)
        }
    }

    private mutating func open(_ datagram: [UInt8], at now: Instant) -> [UInt8]? {
        var block = Block(byteCount: datagram.count)
        var plain = block.mutableBytes(0..<datagram.count)
        guard let opened = try? tunnel.open(datagram.rawSpan, into: &plain, at: now) else {
            return nil
        }
        return block.bytes(0..<opened.byteCount).array
    }
}

extension Outbox {
    /// What waits for the network, datagram by datagram; each must be one that peers send.
    func datagrams() -> [(run: Run, bytes: [UInt8])] {
        var all: [(run: Run, bytes: [UInt8])] = []
        for index in 0..<runCount {
            let run = run(index)
            let bytes = bytes(ofRun: index).array
            for start in stride(from: 0, to: bytes.count, by: max(1, run.segmentByteCount)) {
                let end = min(start + run.segmentByteCount, bytes.count)
                let datagram = Array(bytes[start..<end])
                precondition(Self.mayLeave(datagram.rawSpan), "something unsealed left")
                all.append((run, datagram))
            }
        }
        return all
    }

    /// Whether it is an opener, a message of WireGuard, or one for a relay.
    private static func mayLeave(_ datagram: RawSpan) -> Bool {
        if MessageKind(of: datagram) != nil || STUNMessage.isSTUN(datagram) { return true }
        if let inner = try? ChannelData(datagram).range {
            return MessageKind(of: datagram.extracting(inner)) != nil
        }
        return (0..<datagram.byteCount).allSatisfy { datagram.byte(at: $0) == 0 }
    }
}

extension Batch {
    /// Makes `bytes` the only entry.
    mutating func hold(_ bytes: [UInt8], _ packet: Packet) {
        removeAll()
        var room = block.mutableBytes(0..<bytes.count)
        room.write(bytes.rawSpan, at: 0)
        var packet = packet
        packet.range = 0..<bytes.count
        append(packet)
    }
}
