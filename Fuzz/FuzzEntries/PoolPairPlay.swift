internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// A client's pool and a gateway's; the script carries datagrams between them, in any order, more
/// than once, changed, or not at all.
struct PoolPairPlay: ~Copyable {
    /// Bounds of the network.
    private enum Limits {
        /// Datagrams that are kept.
        static var kept: Int { 64 }
    }

    private static let client = Endpoint(IPAddress(ipv4: 0xcb00_7102), port: 5_000)
    private static let gateway = Endpoint(IPAddress(ipv4: 0xcb00_7101), port: 51_830)
    private var script: Script
    private var pools: Pools
    private var now = BarePeer.start
    private var outbox = Outbox(byteCount: 1 << 17)
    private var kept: [(toGateway: Bool, bytes: [UInt8])] = []

    /// Both ends.
    private struct Pools: ~Copyable {
        var client: PeerPool
        var gateway: PeerPool
    }

    init(_ script: Script) {
        var random = RandomSource(seed: 4)
        self.script = script
        pools = Pools(
            client: PeerPool(role: .client, wallClock: BarePeer.wall, random: random.fork()),
            gateway: PeerPool(role: .gateway, wallClock: BarePeer.wall, random: random.fork())
        )
        let (client, gateway) = (pools.client.publicKey, pools.gateway.publicKey)
        _ = pools.gateway.upsert(Self.configuration(client, []), at: now, into: &outbox)
        settle(isGateway: true)
        let candidates = [Candidate(.host, Self.gateway)]
        pools.client.setLocalCandidates([Candidate(.host, Self.client)], at: now, into: &outbox)
        _ = pools.client.upsert(Self.configuration(gateway, candidates), at: now, into: &outbox)
        settle(isGateway: false)
    }

    private static func configuration(_ key: Key, _ candidates: [Candidate]) -> PeerConfiguration {
        PeerConfiguration(
            publicKey: key,
            presharedKey: BarePeer.sharedKey,
            candidates: candidates
        )
    }

    mutating func run() {
        // A session to begin with.
        for _ in 0..<6 where !kept.isEmpty { deliver(kept.removeFirst()) }
        for _ in 0..<Script.Limits.steps where !script.isAtEnd { step() }
    }

    private mutating func step() {
        switch script.byte() & 7 {
        case 0, 1: if !kept.isEmpty { deliver(kept.removeFirst()) }
        case 2: if let datagram = script.choice(kept) { deliver(datagram) }
        case 3: if let datagram = script.choice(kept) { deliver(changed(datagram)) }
        case 4: if !kept.isEmpty { kept.removeFirst() }
        case 5:
            now = now.advanced(by: script.duration())
            pools.client.advance(to: now, into: &outbox)
            settle(isGateway: false)
            pools.gateway.advance(to: now, into: &outbox)
            settle(isGateway: true)
        case 6: send(byGateway: false)
        default: send(byGateway: true)
        }
    }

    private mutating func changed(
        _ datagram: (toGateway: Bool, bytes: [UInt8])
    ) -> (toGateway: Bool, bytes: [UInt8]) {
        var bytes = datagram.bytes
        for _ in 0..<Int(script.byte()) % 4 {
            bytes[Int(script.uint16()) % bytes.count] = script.byte()
        }
        bytes.removeLast(min(bytes.count - 1, Int(script.byte()) % 8))
        return (datagram.toGateway != script.flag(), bytes)
    }

    private mutating func deliver(_ datagram: (toGateway: Bool, bytes: [UInt8])) {
        let ecn = script.byte() & 3
        let bytes = datagram.bytes.rawSpan
        if datagram.toGateway {
            _ = pools.gateway.receive(
                bytes,
                remote: Self.client,
                local: Self.gateway,
                ecn: ecn,
                at: now,
                into: &outbox
            )
        } else {
            _ = pools.client.receive(
                bytes,
                remote: Self.gateway,
                local: Self.client,
                ecn: ecn,
                at: now,
                into: &outbox
            )
        }
        settle(isGateway: datagram.toGateway)
    }

    private mutating func send(byGateway: Bool) {
        let packet = IPHeader(
            from: IPAddress(ipv4: 0x6440_0001),
            to: IPAddress(ipv4: 0x6440_0002)
        ).packet(UDPHeader(sourcePort: 1, destinationPort: 2), payload: script.chunk())
        let span = packet.rawSpan
        if byGateway {
            guard let index = pools.gateway.index(of: pools.client.publicKey) else { return }
            _ = pools.gateway.send(span, .none, to: index, at: now, into: &outbox)
        } else {
            guard let index = pools.client.index(of: pools.gateway.publicKey) else { return }
            _ = pools.client.send(span, .none, to: index, at: now, into: &outbox)
        }
        settle(isGateway: byGateway)
    }

    /// What one end sent is on the network now.
    private mutating func settle(isGateway: Bool) {
        while pools.client.pollEvent() != nil {}
        while pools.gateway.pollEvent() != nil {}
        for (_, bytes) in outbox.datagrams() where kept.count < Limits.kept {
            kept.append((!isGateway, bytes))
        }
        outbox.removeAll()
    }
}
