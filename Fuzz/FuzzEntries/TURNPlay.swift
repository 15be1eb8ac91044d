internal import Bytes
internal import IP
internal import SansIO
internal import STUN

/// One client of a relay. The input plays relay, owner and network: honest answers, answers of any
/// kind to the right transaction, any bytes, peers that come and go, streams, time.
///
/// Nothing may trap, no deadline may stay in the past, nothing is sent but to an endpoint that was
/// named, data lie inside the datagram that brought them, and after the end nothing is left to do.
struct TURNPlay {
    /// Bounds of one input.
    private enum Limits {
        static var steps: Int { 200 }
        static var outputs: Int { 2_000 }
        static var requests: Int { 64 }
    }

    static let servers = [
        Endpoint(IPAddress(ipv4: 0xc000_0201), port: 3_478),
        Endpoint(IPAddress(high: 0x2001_0db8 << 32, low: 1), port: 3_478),
    ]
    static let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 40_000)
    static let relayed = [
        Endpoint(IPAddress(ipv4: 0xc633_6401), port: 50_000),
        Endpoint(IPAddress(high: 0x2001_0db8 << 32, low: 51), port: 50_000),
    ]
    static let mapped = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 4_500)
    private static let credentials = LongTermCredentials(username: "1:me", password: "p")

    private var script: Script
    private var client: TURNClient
    private var now = Instant(nanoseconds: 5_000_000_000)
    private var named = Set(servers + [bridge])
    /// What the client asked for and got no answer to yet, oldest first.
    private var requests: [(bytes: [UInt8], to: Endpoint)] = []

    static func run(_ input: [UInt8]) {
        var play = TURNPlay(Script(input))
        play.run()
    }

    private init(_ script: Script) {
        self.script = script
        client = TURNClient(
            server: Self.server(0),
            random: RandomSource(seed: 4),
            at: now
        )
    }

    private static func server(_ kind: UInt8) -> TURNServer {
        TURNServer(
            id: "relay",
            endpoints: Array(servers.dropFirst(Int(kind & 3)).prefix(kind & 4 == 0 ? 2 : 1)),
            username: kind & 8 == 0 ? credentials.username : "2:me",
            password: credentials.password
        )
    }

    private mutating func run() {
        settle()
        for _ in 0..<Limits.steps where !script.isAtEnd {
            step()
            settle()
        }
        client.close(at: now)
        settle()
        // A release is repeated a few times, no more.
        for _ in 0..<10 {
            guard let deadline = client.nextDeadline else { break }
            now = max(now, deadline)
            settle()
        }
        precondition(client.nextDeadline == nil, "something waits for nothing")
        precondition(client.relayedAddresses.isEmpty)
    }

    private mutating func step() {
        switch script.byte() % 14 {
        case 0: now = now.advanced(by: script.duration())
        case 1: client.permit(script.address(), at: now)
        case 2: client.forbid(script.address())
        case 3: client.bind(script.endpoint(), at: now)
        case 4: client.unbind(script.endpoint())
        case 5: answerHonestly()
        case 6: answerAnyhow()
        case 7: deliver(script.chunk(), from: anyServer())
        case 8: client.renew(at: now)
        case 9: client.useStream(script.flag() ? Self.bridge : nil, at: now)
        case 10: client.update(Self.server(script.byte()), at: now)
        case 11:
            deliver([0x40, script.byte(), 0, script.byte()] + script.chunk(), from: anyServer())
        case 12: indicate()
        default: if let deadline = client.nextDeadline { now = max(now, deadline) }
        }
    }

    /// Takes all outputs; then nothing may be due any more.
    private mutating func settle() {
        client.advance(to: now)
        for _ in 0..<Limits.outputs {
            guard let output = client.pollOutput() else {
                if let deadline = client.nextDeadline {
                    precondition(deadline > now, "a deadline that does not go away")
                }
                return check()
            }
            guard case .send(let bytes, let remote) = output else { continue }
            precondition(named.contains(remote), "sent to whom nobody named")
            requests.append((bytes, remote))
            if requests.count > Limits.requests { requests.removeFirst() }
        }
        preconditionFailure("outputs without end")
    }

    private func check() {
        precondition(client.isAllocated == !client.relayedAddresses.isEmpty)
        precondition(client.relayedAddresses.count <= 2 && client.mappedAddresses.count <= 2)
        if client.isAllocated { precondition(client.serverEndpoint != nil) }
    }

    private mutating func deliver(_ bytes: [UInt8], from remote: Endpoint) {
        let received = client.receive(bytes.rawSpan, from: remote, at: now)
        guard case .data(let peer, let range) = received else { return }
        precondition(range.upperBound <= bytes.count, "data behind the end")
        precondition(client.isAllocated, "data without an allocation")
        let framing = client.framing(to: peer)
        guard framing == .indication else { return }
        let count = DataIndication.byteCount(peer, data: range.count)
        var block = Block(byteCount: count)
        var room = block.mutableBytes(0..<count)
        client.writeIndication(to: peer, dataByteCount: range.count, into: &room)
        precondition((try? STUNMessage(block.bytes(0..<count)).peerAddress) == peer)
    }

    private mutating func anyServer() -> Endpoint {
        script.choice(Self.servers + [Self.bridge]) ?? Self.bridge
    }

    private mutating func indicate() {
        var writer = STUNWriter(.indication, .data, TransactionID(high: 1, low: 1))
        writer.append(.xorPeerAddress, script.endpoint())
        writer.append(.data, script.chunk())
        deliver(writer.bytes, from: anyServer())
    }
}

// MARK: - The relay

extension TURNPlay {
    /// The oldest request as a good relay answers it; a first one is challenged.
    private mutating func answerHonestly() {
        guard !requests.isEmpty else { return }
        let (bytes, remote) = requests.removeFirst()
        guard let message = try? STUNMessage(bytes.rawSpan) else { return }
        var writer = STUNWriter(answering: message, .success)
        switch message.method {
        case .binding: writer.append(.xorMappedAddress, Self.mapped)
        case _ where !message.hasIntegrity:
            writer = STUNWriter(answering: message, .failure)
            writer.append(STUNErrorCode.unauthenticated)
            writer.append(.realm, "r")
            writer.append(.nonce, "n")
        case .allocate:
            for address in Self.relayed { writer.append(.xorRelayedAddress, address) }
            writer.append(.lifetime, 600)
        default: writer.append(.lifetime, message.lifetime ?? 600)
        }
        if message.hasIntegrity { sign(&writer) }
        deliver(writer.bytes, from: remote)
    }

    /// Any request of late, answered by the script: class, error, attributes, signature.
    private mutating func answerAnyhow() {
        guard let (bytes, remote) = script.choice(requests),
            let message = try? STUNMessage(bytes.rawSpan)
        else { return }
        let kind = script.byte()
        var writer = STUNWriter(answering: message, kind & 1 == 0 ? .success : .failure)
        if kind & 1 == 1 {
            writer.append(STUNErrorCode(rawValue: 300 + UInt16(script.byte()) % 300))
        }
        if kind & 2 != 0 {
            writer.append(.realm, script.text())
            writer.append(.nonce, script.text())
        }
        if kind & 4 != 0 {
            let other = script.endpoint()
            named.insert(other)
            writer.append(.alternateServer, other)
        }
        if kind & 8 != 0 { writer.append(.xorRelayedAddress, script.endpoint()) }
        if kind & 16 != 0 { writer.append(.lifetime, script.uint32()) }
        if kind & 32 != 0 { writer.append(.xorMappedAddress, script.endpoint()) }
        if kind & 64 != 0 {
            writer.append(STUNAttributeType(rawValue: script.uint16()), script.chunk())
        }
        if kind & 128 != 0 { sign(&writer) }
        deliver(writer.bytes, from: remote)
    }

    private func sign(_ writer: inout STUNWriter) {
        let key = Self.credentials.key(realm: "r", .md5) ?? []
        writer.seal(.sha1, key: key.rawSpan)
    }
}

// MARK: - Seeds

extension TURNPlay {
    static var seeds: Seeds {
        // Two bindings, the challenge, the allocation.
        let stand: [UInt8] = [1, 5, 5, 5, 5]
        let peer: [UInt8] = [3, 0, 9, 0, 7]
        let bound = stand + peer + [1, 0, 9, 5, 5]
        return [
            ("stand", stand), ("bound", bound + [11, 0, 1, 0, 1, 9, 0]),
            ("indication", stand + [1, 0, 9, 5, 12, 0, 9, 0, 7, 0, 2, 8, 8, 0]),
            ("years", bound + [13, 5, 13, 13, 5, 5, 13, 5, 0, 0x5f, 5, 5, 13, 13, 5]),
            ("renew", bound + [8, 13, 13, 13, 13, 5, 5, 5, 5]),
            ("mismatch", bound + [8, 6, 63, 0x81, 137, 5, 5, 5, 5, 5]),
            ("stream", [1, 0, 0x76, 9, 1, 5, 5, 5, 5, 8, 13, 9, 0, 5, 5]),
            ("redirect", [1, 5, 5, 6, 0, 0x85, 0, 0, 2, 0x0d, 0x96, 5, 5]),
            (
                "challenge",
                [1, 5, 5, 6, 0, 3, 101, 0, 1, 114, 0, 1, 109, 5, 6, 0, 3, 138, 0, 0, 0, 1, 9]
            ),
            ("update", bound + [10, 9, 10, 5, 5, 5, 10, 0, 5, 5]),
            ("errors", stand + peer + [6, 9, 0x81, 103, 6, 8, 0x81, 208, 13, 13, 13, 5, 5]),
        ]
    }
}
