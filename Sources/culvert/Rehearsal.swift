internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import Daemon
internal import Foundation
internal import Gateway
internal import IP
internal import Linux
internal import SansIO
internal import WireGuard

/// One first packet before the first one: a client core and a gateway core of its own, in memory,
/// do everything from the name to the answer of a server, with their messages through JSON.
///
/// It tests the ciphers and both cores on this very machine before anybody relies on them; and a
/// program's first time costs milliseconds (pages, look-ups of conformances, libraries opened on
/// demand) that then nobody's first packet waits for.
struct Rehearsal: ~Copyable {
    private static let name = "rehearsal.example"
    private static let clientEndpoint = Endpoint(IPAddress(ipv4: 0xc000_0201), port: 51_820)
    private static let gatewayEndpoint = Endpoint(IPAddress(ipv4: 0xc000_0202), port: 51_830)
    private static let resolver = Endpoint(IPAddress(ipv4: 0xc000_0235), port: 53)
    private static let server = IPAddress(ipv4: 0xc633_6401)
    private static let own = IPAddress(ipv4: 0x6440_0001)
    private static let site = SiteReference(id: SiteID("site"), name: "site")
    private static let clientID = ClientID("client")
    private static let gatewayID = GatewayID("gateway")
    private static let resource = ResourceID("resource")

    private let now: Instant
    private var client: Client::Client
    private var gateway: Gateway::Gateway
    private var outbox = Outbox(byteCount: 1 << 16)
    private var batch = Batch(byteCount: 1 << 16)
    private var sentinel: IPAddress?
    private var proxy: IPAddress?
    /// What came out of the tunnel of either side, newest last.
    private var delivered: [[UInt8]] = []

    /// Rehearses.
    ///
    /// - Throws: A sentence with what was not seen, or a coder's error.
    static func run() throws {
        var rehearsal = Rehearsal(
            wallClock: HostFacts.wallStart(),
            random: Kernel.randomSource(),
            at: SystemClock.now()
        )
        try rehearsal.connect()
        try rehearsal.ask()
        try rehearsal.sendFirstPacket()
    }

    private init(wallClock: WallStart, random: RandomSource, at now: Instant) {
        var random = random
        self.now = now
        client = Client::Client(wallClock: wallClock, random: random.fork())
        gateway = Gateway::Gateway(wallClock: wallClock, random: random.fork())
    }

    private static func failure(_ what: String) -> Sentence {
        Sentence("The self-test at start failed: \(what). Do not rely on this build here.")
    }

    /// Both are welcomed by a portal.
    private mutating func connect() throws {
        try toClient(.localAddresses([Self.clientEndpoint.address], port: 51_820))
        try toClient(.hostResolvers([Self.resolver]))
        try toClient(.portalConnected(true))
        let known = ResourceForClient(
            id: Self.resource,
            name: "rehearsal",
            address: .name(Self.name),
            site: Self.site,
            online: true
        )
        let identity = ClientIdentity(
            id: Self.clientID,
            name: "client",
            actor: "rehearsal",
            tunnel: [Self.own]
        )
        let welcome = ToClient.Welcome(
            instance: "rehearsal",
            revision: 1,
            account: "rehearsal",
            client: identity,
            resources: [known]
        )
        try toClient(.portal(try Self.sent(.welcome(welcome))))
        try toGateway(.localAddresses([Self.gatewayEndpoint.address], port: 51_830))
        try toGateway(.resolvers([Self.resolver], hosts: []))
        let gatewayWelcome = ToGateway.Welcome(
            instance: "rehearsal",
            revision: 1,
            account: "rehearsal",
            gateway: GatewayIdentity(
                id: Self.gatewayID,
                name: "gateway",
                site: Self.site,
                tunnel: [IPAddress(ipv4: 0x6440_0002)]
            )
        )
        try toGateway(.portal(try Self.sent(.welcome(gatewayWelcome))))
        try toGateway(.portalConnected(true))
    }

    /// The name is asked for.
    private mutating func ask() throws {
        guard let sentinel, let name = Name(Self.name) else { throw Self.failure("no sentinel") }
        for type in [RecordType.a, .aaaa] {
            let query = Message(query: Question(name, type), id: 1).wire()
            try toClient(.streamQuery(id: 1, sentinel: sentinel, bytes: query))
        }
        guard proxy != nil else { throw Self.failure("the name was not answered") }
    }

    /// The first packet goes to the server, and its answer comes back.
    private mutating func sendFirstPacket() throws {
        guard let proxy else { return }
        let first = Self.segment(
            from: Endpoint(Self.own, port: 40_000),
            to: Endpoint(proxy, port: 443),
            flags: 0x02
        )
        try put(first, ofClient: true)
        guard let arrived = delivered.popLast(), let header = try? PacketHeader(arrived.rawSpan),
            header.destination == Self.server
        else { throw Self.failure("the first packet did not reach the server") }
        let answer = Self.segment(
            from: header.destinationEndpoint,
            to: Endpoint(header.source, port: header.sourcePort),
            flags: 0x12
        )
        try put(answer, ofClient: false)
        guard let back = delivered.popLast(), let header = try? PacketHeader(back.rawSpan),
            header.source == proxy
        else { throw Self.failure("the server's answer did not come back") }
    }

    // MARK: - The host's part

    private mutating func toClient(_ command: Client::Client.Command) throws {
        client.handle(command, at: now, into: &outbox)
        try settle(isClient: true)
    }

    private mutating func toGateway(_ command: Gateway::Gateway.Command) throws {
        gateway.handle(command, at: now, into: &outbox)
        try settle(isClient: false)
    }

    /// A packet of the side's own host.
    private mutating func put(_ packet: [UInt8], ofClient isClient: Bool) throws {
        hold(packet, Batch.Packet(range: 0..<packet.count))
        try take(from: .tunnel, isClient: isClient)
    }

    private mutating func hold(_ bytes: [UInt8], _ packet: Batch.Packet) {
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<bytes.count)
        room.write(bytes.rawSpan, at: 0)
        batch.append(packet)
    }

    private mutating func take(from side: Side, isClient: Bool) throws {
        let taken =
            isClient
            ? client.receive(batch, from: side, at: now, into: &outbox)
            : gateway.receive(batch, from: side, at: now, into: &outbox)
        guard taken == 1 else { throw Self.failure("a packet was not taken") }
        try settle(isClient: isClient)
    }

    /// Does what the side asks for, and carries its datagrams to the other one.
    private mutating func settle(isClient: Bool) throws {
        if isClient { client.advance(to: now, into: &outbox) }
        var messages: [FromRole] = []
        var exchanges: [Exchange] = []
        if isClient {
            while let output = client.pollOutput() { note(output, &messages) }
        } else {
            while let output = gateway.pollOutput() {
                if case .exchange(let exchange) = output { exchanges.append(exchange) }
            }
        }
        for index in 0..<outbox.tunnelPacketCount {
            delivered.append(outbox.bytes(ofTunnelPacket: index).array)
        }
        let datagrams = sent()
        outbox.removeAll()
        let from = isClient ? Self.clientEndpoint : Self.gatewayEndpoint
        let to = isClient ? Self.gatewayEndpoint : Self.clientEndpoint
        for datagram in datagrams {
            hold(
                datagram,
                Batch.Packet(range: 0..<datagram.count, remote: from, local: to)
            )
            try take(from: .network, isClient: !isClient)
        }
        for exchange in exchanges {
            try toGateway(
                .exchangeAnswered(token: exchange.token, bytes: Self.answer(to: exchange))
            )
        }
        for message in messages { try authorize(message) }
    }

    private mutating func note(_ output: Client::Client.Output, _ messages: inout [FromRole]) {
        switch output {
        case .toPortal(let message): messages.append(message)
        case .configure(let configuration): sentinel = configuration.sentinels.first
        case .streamAnswer(_, let bytes?):
            let records = (try? Message(bytes.rawSpan))?.answers ?? []
            proxy = records.compactMap(\.data.address).first(where: \.isIPv4) ?? proxy
        default: break
        }
    }

    /// The datagrams in the outbox.
    private func sent() -> [[UInt8]] {
        (0..<outbox.runCount).flatMap { index in
            let bytes = outbox.bytes(ofRun: index).array
            let size = max(1, outbox.run(index).segmentByteCount)
            return stride(from: 0, to: bytes.count, by: size)
                .map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        }
    }

    // MARK: - The portal's and the server's part

    /// The portal says yes to everything.
    private mutating func authorize(_ message: FromRole) throws {
        guard case .authorize(let request) = try Self.sent(message),
            let clientKey = KeyText(bytes: client.publicKey.array),
            let gatewayKey = KeyText(bytes: gateway.publicKey.array),
            let shared = PresharedKeyText(bytes: [UInt8](repeating: 7, count: 32))
        else { return }
        let lease = Lease(id: LeaseID("lease"), revision: 1, lifetimeSeconds: 60)
        let grant = Grant(
            lease: lease,
            resource: ResourceForGateway(
                id: Self.resource,
                name: "rehearsal",
                address: .name(Self.name)
            ),
            client: ClientForGateway(
                id: Self.clientID,
                publicKey: clientKey,
                presharedKey: shared,
                tunnel: [Self.own],
                candidates: [Control.Candidate(kind: .host, endpoint: Self.clientEndpoint)]
            ),
            name: request.name,
            proxies: request.proxies
        )
        try toGateway(.portal(try Self.sent(.grant(.init(id: request.id, grant: grant)))))
        let served = GatewayForClient(
            id: Self.gatewayID,
            name: "gateway",
            publicKey: gatewayKey,
            presharedKey: shared,
            tunnel: [IPAddress(ipv4: 0x6440_0002)],
            candidates: [Control.Candidate(kind: .host, endpoint: Self.gatewayEndpoint)]
        )
        let authorized = ToClient.Authorized(
            id: request.id,
            resource: Self.resource,
            lease: lease,
            site: Self.site.id,
            gateway: served
        )
        try toClient(.portal(try Self.sent(.authorized(authorized))))
    }

    /// A message as the other end reads it.
    private static func sent<Message: ControlMessage>(_ message: Message) throws -> Message {
        try JSONDecoder().decode(Message.self, from: JSONEncoder().encode(message))
    }

    /// The nameserver knows one address of every name.
    private static func answer(to exchange: Exchange) -> [UInt8]? {
        guard var message = try? Message(exchange.bytes.rawSpan),
            let question = message.questions.first
        else { return nil }
        message.header.isResponse = true
        if question.type == .a {
            message.answers.append(Record(question.name, timeToLive: 60, .a(server)))
        }
        return message.wire()
    }

    /// A TCP segment without data, in IPv4 (RFC 9293 3.1).
    private static func segment(from: Endpoint, to: Endpoint, flags: UInt8) -> [UInt8] {
        func two(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
        let ends = from.address.bytes + to.address.bytes
        var header: [UInt8] = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0] + ends
        var segment =
            two(from.port) + two(to.port) + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags] + two(65_000)
            + [0, 0, 0, 0]
        var sum = Checksum()
        sum.add(header.rawSpan)
        header.replaceSubrange(10..<12, with: two(sum.field))
        var pseudo = Checksum()
        pseudo.add((ends + [0, 6] + two(20) + segment).rawSpan)
        segment.replaceSubrange(16..<18, with: two(pseudo.field))
        return header + segment
    }
}
