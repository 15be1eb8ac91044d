internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// Connections of either role. The first byte says which: a client's pool or a gateway's, with a
/// peer that seals anything; or both, with a network that the script plays; or one with relays.
enum PeeringEntry {
    static func run(_ input: [UInt8]) {
        var script = Script(input)
        switch script.byte() & 3 {
        case 0: play(.client, script)
        case 1: play(.gateway, script)
        case 2:
            var play = PoolPairPlay(script)
            play.run()
        default:
            guard var play = try? RelayedPoolPlay(script) else { return }
            play.run()
        }
    }

    private static func play(_ role: PeerRole, _ script: Script) {
        guard var play = try? PoolPlay(role, script) else { return }
        play.run()
    }
}

/// A pool in session with a peer that seals anything.
struct PoolPlay: ~Copyable {
    private static let remote = Endpoint(IPAddress(ipv4: 0xcb00_7101), port: 51_830)
    private static let local = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)
    private var script: Script
    private let role: PeerRole
    private var pool: PeerPool
    private var peer: BarePeer
    private var index: PeerIndex?
    private var now = BarePeer.start
    private var outbox = Outbox(byteCount: 1 << 17)
    private var sealed: [UInt8] = []
    /// Whether the peer answers probes, as one that can be heard does.
    private var isAnswering = true

    init(_ role: PeerRole, _ script: Script) throws(HandshakeError) {
        var random = RandomSource(seed: 3)
        (self.script, self.role) = (script, role)
        pool = PeerPool(role: role, wallClock: BarePeer.wall, random: random.fork())
        peer = try BarePeer(
            of: pool.publicKey,
            initiates: role == .gateway,
            random: random.fork()
        )
        pool.setLocalCandidates([Candidate(.host, Self.local)], at: now, into: &outbox)
        index = pool.upsert(configuration(), at: now, into: &outbox)
        settle()
        if role == .gateway { initiate() }
    }

    private func configuration() -> PeerConfiguration {
        PeerConfiguration(
            publicKey: peer.publicKey,
            presharedKey: BarePeer.sharedKey,
            candidates: [Candidate(.host, Self.remote)]
        )
    }

    mutating func run() {
        for _ in 0..<Script.Limits.steps where !script.isAtEnd {
            step()
            settle()
        }
        // From deadline to deadline: time must pass between them.
        let end = now.advanced(by: .seconds(20))
        var idle = 0
        while let next = pool.nextDeadline, next <= end {
            idle = next <= now ? idle + 1 : 0
            precondition(idle < 100, "a deadline that is due again and again")
            now = max(now, next)
            pool.advance(to: now, into: &outbox)
            settle()
        }
    }

    private mutating func step() {
        switch script.byte() & 15 {
        case 0: receive(script.chunk(), from: script.endpoint())
        case 1, 2: sealAndReceive()
        case 3: receive(changed(sealed), from: Self.remote)
        case 4: sendPacket()
        case 5: sendFrame()
        case 6:
            now = now.advanced(by: script.duration())
            pool.advance(to: now, into: &outbox)
        case 7: index = pool.upsert(changedConfiguration(), at: now, into: &outbox)
        case 8: if let index { remove(index) }
        case 9: if let index { pool.punch(index, at: now, into: &outbox) }
        case 10: if let index { pool.probe(index, at: now) }
        case 11:
            let candidates = script.addresses().map {
                Candidate(.host, Endpoint($0, port: 5_000))
            }
            pool.setLocalCandidates(candidates, at: now, into: &outbox)
        case 12: pool.setRefusedNetworks(script.addresses().map { IPPrefix(host: $0) })
        case 13: initiate()
        case 14: isAnswering = script.flag()
        default: pool.advance(to: now, into: &outbox)
        }
    }

    private mutating func initiate() {
        guard let initiation = peer.initiate(at: now) else { return }
        accept(initiation)
        settle()
    }

    /// Anything at all, as the peer would say it.
    private mutating func sealAndReceive() {
        let source = script.flag() ? script.endpoint() : Self.remote
        let plain = script.chunk()
        if let frame = try? ControlFrame(reading: plain.rawSpan) {
            let again = try? ControlFrame(reading: frame.bytes.rawSpan)
            precondition(again == frame, "written, the frame means something else")
        }
        guard let datagram = peer.seal(plain, at: now) else { return }
        sealed = datagram
        receive(datagram, from: source)
    }

    private mutating func changed(_ datagram: [UInt8]) -> [UInt8] {
        var datagram = datagram
        let place = Int(script.uint16())
        if !datagram.isEmpty { datagram[place % datagram.count] ^= script.byte() }
        return datagram
    }

    private mutating func receive(_ datagram: [UInt8], from remote: Endpoint) {
        let received = pool.receive(
            datagram.rawSpan,
            remote: remote,
            local: Self.local,
            ecn: script.byte() & 3,
            at: now,
            into: &outbox
        )
        switch received {
        case .nothing: break
        case .packet(_, let byteCount):
            precondition(outbox.peekReservedTunnelBytes().byteCount >= byteCount, "too long")
        case .frame(_, let frame):
            precondition(frame.mayBeSent(by: role == .client ? .gateway : .client))
        }
    }

    private mutating func sendPacket() {
        let offload = script.offload()
        let packet = script.chunk()
        guard let index else { return }
        _ = pool.send(packet.rawSpan, offload, to: index, at: now, into: &outbox)
    }

    private mutating func sendFrame() {
        guard let frame = try? ControlFrame(reading: script.chunk().rawSpan), let index else {
            return
        }
        _ = pool.send(frame, to: index, at: now, into: &outbox)
    }

    /// The peer told of anew, or a stranger.
    private mutating func changedConfiguration() -> PeerConfiguration {
        var configuration = configuration()
        let flags = script.byte()
        if flags & 1 != 0, let key = Key(copying: script.chunk().rawSpan) {
            configuration.publicKey = key
        }
        if flags & 2 != 0 { configuration.presharedKey = nil }
        configuration.speaksFrames = flags & 4 == 0
        configuration.candidates += script.addresses(countMax: 15).map { address in
            Candidate(.relayed, Endpoint(address, port: script.uint16()))
        }
        return configuration
    }

    private mutating func remove(_ index: PeerIndex) {
        let reason = script.byte()
        let goodbye: ControlFrame.Goodbye? = reason & 1 == 0 ? nil : .other(reason)
        pool.remove(index, goodbye: goodbye, at: now, into: &outbox)
    }

    /// What the pool sent arrives at the peer, and answers come back, for some rounds.
    private mutating func settle() {
        for _ in 0..<4 {
            while pool.pollEvent() != nil {}
            while pool.pollRelayEvent() != nil {}
            let sent = outbox.datagrams()
            outbox.removeAll()
            guard !sent.isEmpty else { return }
            for (_, datagram) in sent {
                let (plain, answer) = peer.receive(datagram, at: now)
                if let answer { accept(answer) }
                if let plain, isAnswering, let frame = try? ControlFrame(reading: plain.rawSpan) {
                    answerProbe(frame)
                }
            }
        }
    }

    private mutating func answerProbe(_ frame: ControlFrame) {
        switch frame {
        case .probe(let number), .path(let number):
            let answer = ControlFrame.probeAnswer(number: number)
            if let datagram = peer.seal(answer.bytes, at: now) { accept(datagram) }
        case .probeAnswer, .names, .namesAnswer, .release, .goodbye: break
        }
    }

    private mutating func accept(_ datagram: [UInt8]) {
        _ = pool.receive(
            datagram.rawSpan,
            remote: Self.remote,
            local: Self.local,
            ecn: 0,
            at: now,
            into: &outbox
        )
    }
}
