internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import STUN
internal import WireGuard

/// A pool of either role with two relays and a peer that seals anything. The script plays the
/// relays, honest or not, the portal that deals them, and the network.
///
/// Nothing may trap or wait for nothing; nothing but STUN, sealed messages and openers leaves; our
/// own candidates stay few, each endpoint once.
struct RelayedPoolPlay: ~Copyable {
    /// Bounds of one input.
    private enum Limits {
        static var requests: Int { 64 }
        static var turns: Int { 40 }
    }

    private static let relays = [
        Endpoint(IPAddress(ipv4: 0x0808_0801), port: 3_478),
        Endpoint(IPAddress(ipv4: 0x0808_0802), port: 3_478),
    ]
    private static let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 40_000)
    private static let remote = Endpoint(IPAddress(ipv4: 0xcb00_7101), port: 51_830)
    private static let local = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)
    private static let credentials = LongTermCredentials(username: "1:me", password: "p")

    private var script: Script
    private let role: PeerRole
    private var pool: PeerPool
    private var peer: BarePeer
    private var index: PeerIndex?
    private var now = BarePeer.start
    private var outbox = Outbox(byteCount: 1 << 17)
    /// What relays were asked, oldest first.
    private var requests: [(bytes: [UInt8], to: Endpoint)] = []

    init(_ script: Script) throws(HandshakeError) {
        var (script, random) = (script, RandomSource(seed: 6))
        role = script.flag() ? .client : .gateway
        self.script = script
        pool = PeerPool(role: role, wallClock: BarePeer.wall, random: random.fork())
        peer = try BarePeer(
            of: pool.publicKey,
            initiates: role == .gateway,
            random: random.fork()
        )
        pool.setLocalCandidates([Candidate(.host, Self.local)], at: now, into: &outbox)
        deal(3)
        tell()
        settle()
    }

    mutating func run() {
        // Mostly, all that is asked for is answered to begin with.
        if script.flag() { for _ in 0..<12 { answerHonestly() } }
        for _ in 0..<Script.Limits.steps where !script.isAtEnd {
            step()
            settle()
        }
        pool.closeRelays(at: now, into: &outbox)
        settle()
        precondition(!pool.localCandidates.contains { $0.kind != .host }, "lent though closed")
    }

    private mutating func step() {
        switch script.byte() % 17 {
        case 0, 1, 2: answerHonestly()
        case 3: answerAnyhow()
        case 4: receive(script.chunk(), from: anyRelay())
        case 5: carry(script.chunk())
        case 6: initiate()
        case 7: sealAndCarry()
        case 8: deal(script.byte())
        case 9: pool.setRelayStream("0", bridge: stream(), at: now, into: &outbox)
        case 10: pool.renewRelays(at: now, into: &outbox)
        case 11: tell()
        case 12: sendPacket()
        case 13: if let index { pool.remove(index, goodbye: nil, at: now, into: &outbox) }
        case 14: if let index { pool.punch(index, at: now, into: &outbox) }
        case 15:
            let hosts = script.addresses().map { Candidate(.host, Endpoint($0, port: 5_000)) }
            pool.setLocalCandidates(hosts, at: now, into: &outbox)
        default: now = now.advanced(by: script.duration())
        }
    }

    private mutating func deal(_ which: UInt8) {
        var servers: [TURNServer] = []
        for (place, endpoint) in Self.relays.enumerated() where which >> UInt8(place) & 1 == 1 {
            servers.append(
                TURNServer(
                    id: String(place),
                    endpoints: [endpoint],
                    username: Self.credentials.username,
                    password: Self.credentials.password
                )
            )
        }
        if which & 4 != 0 { servers.reverse() }
        pool.setRelays(servers, at: now, into: &outbox)
    }

    private mutating func tell() {
        let more = script.addresses().map { Candidate(.relayed, Endpoint($0, port: 50_000)) }
        let configuration = PeerConfiguration(
            publicKey: peer.publicKey,
            presharedKey: BarePeer.sharedKey,
            candidates: [Candidate(.serverReflexive, Self.remote)] + more
        )
        index = pool.upsert(configuration, at: now, into: &outbox)
    }

    private mutating func stream() -> Endpoint? { script.flag() ? Self.bridge : nil }

    private mutating func anyRelay() -> Endpoint {
        script.choice(Self.relays + [Self.bridge]) ?? Self.bridge
    }

    private mutating func sendPacket() {
        let packet = IPHeader(
            from: IPAddress(ipv4: 0x6440_0001),
            to: IPAddress(ipv4: 0x6440_0002)
        ).packet(UDPHeader(sourcePort: 1, destinationPort: 2), payload: script.chunk())
        guard let index else { return }
        _ = pool.send(packet.rawSpan, .none, to: index, at: now, into: &outbox)
    }

    private mutating func initiate() {
        guard role == .gateway, let initiation = peer.initiate(at: now) else { return }
        carry(initiation)
    }

    private mutating func sealAndCarry() {
        guard let datagram = peer.seal(script.chunk(), at: now) else { return }
        carry(datagram)
    }

    /// A datagram of the peer's comes straight, by an indication, or by channel data.
    private mutating func carry(_ datagram: [UInt8]) {
        switch script.byte() & 3 {
        case 0: receive(datagram, from: script.flag() ? script.endpoint() : Self.remote)
        case 1:
            let count = UInt16(truncatingIfNeeded: datagram.count)
            let head = [0x40, script.byte() & 3, UInt8(count >> 8), UInt8(count & 0xff)]
            receive(head + datagram, from: anyRelay())
        default:
            var writer = STUNWriter(.indication, .data, TransactionID(high: 1, low: 1))
            writer.append(.xorPeerAddress, script.flag() ? script.endpoint() : Self.remote)
            writer.append(.data, datagram)
            receive(writer.bytes, from: anyRelay())
        }
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
        if case .packet(_, let byteCount) = received {
            precondition(outbox.peekReservedTunnelBytes().byteCount >= byteCount, "too long")
        }
    }

    /// What left goes to the relays and the peer, until nothing is due.
    private mutating func settle() {
        for _ in 0..<Limits.turns {
            while pool.pollEvent() != nil {}
            while pool.pollRelayEvent() != nil {}
            for (run, bytes) in outbox.datagrams() { pass(bytes, to: run.remote) }
            outbox.removeAll()
            let candidates = pool.localCandidates
            precondition(candidates.count <= CandidateRules.Limits.candidates)
            precondition(Set(candidates.map(\.endpoint)).count == candidates.count)
            guard let deadline = pool.nextDeadline, deadline <= now else { return }
            pool.advance(to: now, into: &outbox)
        }
        preconditionFailure("a deadline that is due again and again")
    }

    private mutating func pass(_ bytes: [UInt8], to remote: Endpoint) {
        if STUNMessage.isSTUN(bytes.rawSpan) {
            requests.append((bytes, remote))
            if requests.count > Limits.requests { requests.removeFirst() }
        } else if !ChannelData.isChannelData(bytes.rawSpan) {
            let (_, answer) = peer.receive(bytes, at: now)
            if let answer { receive(answer, from: remote) }
        }
    }
}

// MARK: - The relays

extension RelayedPoolPlay {
    /// The oldest request as a good relay answers it; a first one is challenged. What an indication
    /// carries goes to the peer.
    private mutating func answerHonestly() {
        guard !requests.isEmpty else { return }
        let (bytes, relay) = requests.removeFirst()
        guard let message = try? STUNMessage(bytes.rawSpan) else { return }
        if message.messageClass == .indication {
            guard let range = message.dataRange else { return }
            let (_, answer) = peer.receive(Array(bytes[range]), at: now)
            if let answer { carry(answer) }
            return
        }
        var writer = STUNWriter(answering: message, .success)
        switch message.method {
        case .binding: writer.append(.xorMappedAddress, Endpoint(Self.remote.address, port: 9))
        case _ where !message.hasIntegrity:
            writer = STUNWriter(answering: message, .failure)
            writer.append(STUNErrorCode.unauthenticated)
            writer.append(.realm, "r")
            writer.append(.nonce, "n")
        case .allocate:
            writer.append(.xorRelayedAddress, Endpoint(relay.address, port: 50_000))
            writer.append(.lifetime, 600)
        default: writer.append(.lifetime, message.lifetime ?? 600)
        }
        answer(message, &writer, from: relay)
    }

    /// Any request of late, with an error of any kind.
    private mutating func answerAnyhow() {
        guard let (bytes, relay) = script.choice(requests),
            let message = try? STUNMessage(bytes.rawSpan)
        else { return }
        var writer = STUNWriter(answering: message, .failure)
        writer.append(STUNErrorCode(rawValue: 300 + UInt16(script.byte()) % 300))
        if script.flag() {
            writer.append(.realm, "r")
            writer.append(.nonce, script.text())
        }
        answer(message, &writer, from: relay)
    }

    private mutating func answer(
        _ message: borrowing STUNMessage,
        _ writer: inout STUNWriter,
        from relay: Endpoint
    ) {
        if message.hasIntegrity, let key = Self.credentials.key(realm: "r", .md5) {
            writer.seal(.sha1, key: key.rawSpan)
        }
        receive(writer.bytes, from: relay)
        settle()
    }
}
