internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// The whole client between a host, a portal, nameservers and two gateways, all of which the input
/// plays. Nothing may trap; only sealed datagrams leave; the host gets packets for its own
/// addresses only; time must pass between deadlines.
final class ClientPlay {
    static let own = IPAddress(ipv4: 0x6440_0007)
    static let ownIPv6 = IPAddress(high: 0xfd00_2021_1111_0000, low: 7)
    static let endpoint = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)
    static let resolver = Endpoint(IPAddress(ipv4: 0x0a00_0001), port: 53)

    /// A gateway of the script.
    final class Site {
        let id: GatewayID
        let endpoint: Endpoint
        let tunnel: [IPAddress]
        var peer: BarePeer
        /// The last authentic datagram.
        var sealed: [UInt8] = []

        init(_ number: UInt32, of client: Key, _ random: RandomSource) throws(HandshakeError) {
            id = GatewayID("gateway-\(number)")
            endpoint = Endpoint(IPAddress(ipv4: 0xcb00_7101 + number), port: 51_830)
            tunnel = [IPAddress(ipv4: 0x6440_0100 + number)]
            peer = try BarePeer(of: client, initiates: false, random: random)
        }
    }

    var script: Script
    var client: Client
    var sites: [Site] = []
    var now = BarePeer.start
    var outbox = Outbox(byteCount: 1 << 17)
    var batch = Batch(byteCount: 1 << 16)
    /// Whether the portal said only what the entry itself made up.
    var isTrusted = true
    /// Names are answered with this, while it is not nil.
    var namesStatus: ControlFrame.Status? = .active
    var requests: [FromRole.Authorize] = []
    /// Queries at nameservers: token and bytes.
    var exchanges: [(token: UInt64, bytes: [UInt8])] = []
    var sentinels: [IPAddress] = []
    /// Where packets may want to go.
    var destinations = [
        IPAddress(ipv4: 0x0a02_0001), IPAddress(ipv4: 0x0101_0101), IPAddress(ipv4: 0x6440_0100),
        IPAddress(high: 0x2001_0db8_0000_0000, low: 9),
    ]
    var leaseCount = 0
    private var settling = 0

    static func run(_ input: [UInt8]) {
        guard let play = try? ClientPlay(Script(input)) else { return }
        play.run()
    }

    private init(_ script: Script) throws(HandshakeError) {
        var (script, random) = (script, RandomSource(seed: 5))
        let flags = script.byte()
        client = Client(
            wallClock: BarePeer.wall,
            random: random.fork(),
            names: flags & 1 == 0 ? [] : script.chunk()
        )
        self.script = script
        for number in 0..<2 as Range<UInt32> {
            sites.append(try Site(number, of: client.publicKey, random.fork()))
        }
        guard flags & 2 == 0 else { return }
        handle(.localAddresses([Self.endpoint.address], port: Self.endpoint.port))
        handle(.hostResolvers([Self.resolver]))
        handle(.portalConnected(true))
        handle(.portal(.welcome(Self.welcome)))
        guard flags & 4 == 0 else { return }
        for type in [RecordType.a, .aaaa] { ask("a.test", type) }
    }

    private func run() {
        for _ in 0..<Script.Limits.steps where !script.isAtEnd { step() }
        _ = client.status(at: now)
        // From deadline to deadline: time must pass between them.
        let end = now.advanced(by: .seconds(20))
        var idle = 0
        while let next = client.nextDeadline, next <= end {
            idle = next <= now ? idle + 1 : 0
            precondition(idle < 100, "a deadline that is due again and again")
            now = max(now, next)
            advance()
        }
    }

    func advance() {
        client.advance(to: now, into: &outbox)
        settle()
    }

    func handle(_ command: Client.Command) {
        client.handle(command, at: now, into: &outbox)
        settle()
    }

    /// A query over TCP, to the first sentinel.
    func ask(_ name: String, _ type: RecordType) {
        guard let name = Name(name), let sentinel = sentinels.first else { return }
        let query = Message(query: Question(name, type), id: 7).wire()
        handle(.streamQuery(id: 1, sentinel: sentinel, bytes: query))
    }

    /// One entry of a batch; with an empty outbox it must be taken.
    func put(_ bytes: [UInt8], from side: Side, _ packet: Batch.Packet = Batch.Packet()) {
        batch.hold(bytes, packet)
        if client.receive(batch, from: side, at: now, into: &outbox) == 0 {
            settle()
            let taken = client.receive(batch, from: side, at: now, into: &outbox)
            precondition(taken == 1, "an entry that is never taken")
        }
        settle()
    }

    // MARK: What the client put out

    /// The outputs first, then the packets, as a host does; answers come back for some rounds.
    func settle() {
        settling += 1
        defer { settling -= 1 }
        while let output = client.pollOutput() { take(output) }
        let sent = outbox.datagrams()
        checkDelivered()
        outbox.removeAll()
        guard settling < 6 else { return }
        for (run, bytes) in sent {
            guard let site = sites.first(where: { $0.endpoint == run.remote }) else { continue }
            arrive(bytes, at: site)
        }
    }

    private func take(_ output: Client.Output) {
        switch output {
        case .toPortal(.authorize(let request)): requests.append(request)
        case .exchange(let exchange): exchanges.append((exchange.token, exchange.bytes))
        case .forward(let query): exchanges.append((query.token, query.bytes))
        case .configure(let configuration): sentinels = configuration.sentinels
        case .streamAnswer(_, let bytes?): learn(bytes)
        case .toPortal, .persist, .replaceNames, .streamAnswer, .event, .finished: break
        case .connectRelay, .disconnectRelay, .port: break
        }
    }

    /// Addresses that were answered are places to send to.
    private func learn(_ answer: [UInt8]) {
        // A nameserver's answer is passed on as it is, as long as it is one.
        precondition((try? Header(answer.rawSpan))?.isResponse ?? false, "an answer that is none")
        guard let message = try? Message(answer.rawSpan) else { return }
        for address in message.answers.compactMap(\.data.address) where destinations.count < 64 {
            if !destinations.contains(address) { destinations.append(address) }
        }
    }

    private func checkDelivered() {
        for index in 0..<outbox.tunnelPacketCount {
            guard let header = try? PacketHeader(outbox.bytes(ofTunnelPacket: index)) else {
                preconditionFailure("the host got what cannot be read")
            }
            let isOwn = header.destination == Self.own || header.destination == Self.ownIPv6
            precondition(isOwn || !isTrusted, "the host got what is not for it")
        }
    }

    /// A gateway keeps to the protocol where the script does not say otherwise.
    private func arrive(_ datagram: [UInt8], at site: Site) {
        let (plain, answer) = site.peer.receive(datagram, at: now)
        if let answer { send(answer, from: site) }
        guard let plain, let frame = try? ControlFrame(reading: plain.rawSpan) else { return }
        switch frame {
        case .names(let names):
            guard let status = namesStatus else { return }
            let reply = ControlFrame.NamesAnswer(
                epoch: names.epoch,
                resource: names.resource,
                name: names.name,
                status: status,
                families: [.ipv4]
            )
            seal(ControlFrame.namesAnswer(reply).bytes, by: site)
        case .probe(let number), .path(let number):
            seal(ControlFrame.probeAnswer(number: number).bytes, by: site)
        case .probeAnswer, .namesAnswer, .release, .goodbye: break
        }
    }

    func seal(_ plain: [UInt8], by site: Site) {
        guard let datagram = site.peer.seal(plain, at: now) else { return }
        site.sealed = datagram
        send(datagram, from: site)
    }

    func send(_ datagram: [UInt8], from site: Site) {
        put(
            datagram,
            from: .network,
            Batch.Packet(remote: site.endpoint, local: Self.endpoint)
        )
    }
}
