internal import Bytes
internal import Control
internal import DNS
internal import Gateway
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// The whole gateway between a client in session, resources, nameservers and a portal, all of which
/// the input plays. Nothing may trap; no packet goes where no lease permits; time must pass between
/// deadlines.
final class GatewayPlay {
    static let client = IPAddress(ipv4: 0x6440_0102)
    static let clientIPv6 = IPAddress(high: 0xfd00_2021_1111_0000, low: 0x102)
    static let proxies = [
        IPAddress(ipv4: 0x6460_0001), IPAddress(ipv4: 0x6460_0002),
        IPAddress(high: 0xfd00_2021_1111_8000, low: 1),
    ]
    static let network = IPPrefix("10.2.0.0/16")
    static let real = IPAddress(ipv4: 0x0a01_0001)
    static let gateway = IPAddress(ipv4: 0x6440_0101)
    static let hosts = [Gateway.HostEntry(name: "a.test", addresses: [real])]
    static let resolver = Endpoint(IPAddress(ipv4: 0xc000_0235), port: 53)
    static let remote = Endpoint(IPAddress(ipv4: 0xcb00_7101), port: 5_000)
    static let local = Endpoint(IPAddress(ipv4: 0xc633_6401), port: 51_820)

    var script: Script
    var gateway: Gateway
    var peer: BarePeer
    var now = BarePeer.start
    var outbox = Outbox(byteCount: 1 << 17)
    var batch = Batch(byteCount: 1 << 16)
    /// Whether the portal said only what the entry itself made up.
    var isTrusted = true
    /// Real addresses that somebody's answer gave.
    var answered: Set<IPAddress> = [real]
    var exchanges: [Exchange] = []
    /// What went on to resources last.
    var forwarded: [[UInt8]] = []
    /// The last authentic datagram of the client.
    var sealed: [UInt8] = []
    var leaseCount = 0
    /// Queries on connections so far, and those that were answered.
    var streamCount: UInt64 = 0
    var answeredStreams: Set<UInt64> = []
    private var settling = 0

    static func run(_ input: [UInt8]) {
        guard let play = try? GatewayPlay(Script(input)) else { return }
        play.run()
    }

    private init(_ script: Script) throws(HandshakeError) {
        var random = RandomSource(seed: 6)
        self.script = script
        gateway = Gateway(wallClock: BarePeer.wall, random: random.fork())
        peer = try BarePeer(of: gateway.publicKey, initiates: true, random: random.fork())
        handle(.resolvers([Self.resolver], hosts: Self.hosts))
        handle(.localAddresses([Self.local.address], port: Self.local.port))
        let flags = self.script.byte()
        guard flags & 1 == 0 else { return }
        handle(.portal(.welcome(Self.welcome)))
        handle(.portalConnected(true))
        for kind in 0..<3 as Range<UInt8> { grant(kind, seconds: 3_600) }
        guard flags & 2 == 0 else { return }
        initiate()
    }

    private func run() {
        for _ in 0..<Script.Limits.steps where !script.isAtEnd { step() }
        _ = gateway.status(at: now)
        // From deadline to deadline: time must pass between them.
        let end = now.advanced(by: .seconds(20))
        var idle = 0
        while let next = gateway.nextDeadline, next <= end {
            idle = next <= now ? idle + 1 : 0
            precondition(idle < 100, "a deadline that is due again and again")
            now = max(now, next)
            advance()
        }
        precondition(answeredStreams.count == streamCount, "a connection that waits for ever")
    }

    func advance() {
        gateway.advance(to: now, into: &outbox)
        settle()
    }

    func handle(_ command: Gateway.Command) {
        gateway.handle(command, at: now, into: &outbox)
        settle()
    }

    func initiate() {
        guard let initiation = peer.initiate(at: now) else { return }
        clientSends(initiation)
    }

    /// Anything, as the client would say it.
    func seal(_ plain: [UInt8], ecn: UInt8 = 0) {
        guard let datagram = peer.seal(plain, at: now) else { return }
        sealed = datagram
        clientSends(datagram, ecn: ecn)
    }

    func clientSends(_ datagram: [UInt8], ecn: UInt8 = 0) {
        let packet = Batch.Packet(remote: Self.remote, local: Self.local, ecn: ecn)
        put(datagram, from: .network, packet)
    }

    /// One entry of a batch; with an empty outbox it must be taken.
    func put(_ bytes: [UInt8], from side: Side, _ packet: Batch.Packet = Batch.Packet()) {
        batch.hold(bytes, packet)
        if gateway.receive(batch, from: side, at: now, into: &outbox) == 0 {
            settle()
            let taken = gateway.receive(batch, from: side, at: now, into: &outbox)
            precondition(taken == 1, "an entry that is never taken")
        }
        settle()
    }

    // MARK: What the gateway put out

    func settle() {
        settling += 1
        defer { settling -= 1 }
        while let output = gateway.pollOutput() {
            if let exchange = Gateway.exchange(of: output) { exchanges.append(exchange) }
            guard case .streamAnswer(let id, let bytes) = output else { continue }
            precondition(answeredStreams.insert(id).inserted, "a query that is answered twice")
            if let bytes { checkAnswer(bytes, byteCountMax: Message.Limits.byteCount) }
        }
        checkForwarded()
        let sent = outbox.datagrams()
        outbox.removeAll()
        guard settling < 6 else { return }
        for (run, bytes) in sent where run.remote == Self.remote {
            let (plain, answer) = peer.receive(bytes, at: now)
            if let answer { clientSends(answer) }
            if let plain { checkDatagram(plain) }
            guard let plain, case .probe(let number) = try? ControlFrame(reading: plain.rawSpan)
            else { continue }
            seal(ControlFrame.probeAnswer(number: number).bytes)
        }
    }

    /// Answers of the DNS service can be read, and fit their datagram.
    private func checkDatagram(_ plain: [UInt8]) {
        guard let header = try? PacketHeader(plain.rawSpan), header.isUDP,
            header.source == Self.gateway, header.sourcePort == 53
        else { return }
        let bytes = Array(plain[header.payloadOffset..<header.totalByteCount])
        checkAnswer(bytes, byteCountMax: Message.Limits.ednsByteCount)
    }

    private func checkAnswer(_ bytes: [UInt8], byteCountMax: Int) {
        guard let message = try? Message(bytes.rawSpan), message.header.isResponse,
            !message.header.isAuthentic, bytes.count <= byteCountMax
        else { preconditionFailure("an answer that cannot be read, or should not be") }
    }

    private func checkForwarded() {
        for index in 0..<outbox.tunnelPacketCount {
            let bytes = outbox.bytes(ofTunnelPacket: index).array
            guard let header = try? PacketHeader(bytes.rawSpan) else {
                preconditionFailure("a packet that cannot be read went out")
            }
            if forwarded.count > 16 { forwarded.removeFirst() }
            forwarded.append(bytes)
            guard isTrusted else { continue }
            let isOwn = header.source == Self.client || header.source == Self.clientIPv6
            precondition(isOwn, "a packet with another source went out")
            let isGranted =
                Self.network?.contains(header.destination) == true
                || answered.contains(header.destination)
            precondition(isGranted, "a packet went where no lease permits")
        }
    }
}
