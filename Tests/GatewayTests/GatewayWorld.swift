import Bytes
import Control
import DNS
import Gateway
import IP
import Peering
import SansIO
import Testing
import WireGuard

/// A client of the tests: the connections of a real one, and nothing else.
final class TestClient {
    let id: ClientID
    let endpoint: Endpoint
    let tunnel: [IPAddress]
    var pool: PeerPool
    var index: PeerIndex?
    var received: [[UInt8]] = []
    var frames: [ControlFrame] = []
    var epoch: UInt64 = 0

    init(_ number: UInt16, _ random: RandomSource, wall: WallStart) {
        id = ClientID("client-\(number)")
        endpoint = Endpoint(IPAddress(ipv4: 0xcb00_7100 + UInt32(number)), port: 5_000)
        tunnel = [
            IPAddress(ipv4: 0x6440_0100 + UInt32(number)),
            Address.of("fd00:2021:1111::100").advanced(by: UInt64(number)),
        ]
        pool = PeerPool(role: .client, wallClock: wall, random: random)
    }

    var address: IPAddress { tunnel[0] }
    var address6: IPAddress { tunnel[1] }

    /// The headers of what came, and nothing that has a wrong checksum.
    var headers: [PacketHeader] { received.compactMap { Packet.header($0) } }
    var last: PacketHeader? { received.last.flatMap { Packet.header($0) } }
}

/// What the nameserver of the tests knows of a name.
struct Zone {
    var addresses: [IPAddress] = []
    var seconds: UInt32 = 300
    var code = ResponseCode.noError
    var isSilent = false
    /// Over UDP everything is truncated.
    var needsStream = false
    /// Names on the way to the addresses.
    var aliases: [String] = []
    /// Records of other types.
    var records: [RecordData] = []
    /// What else the answer says.
    var change: (inout DNS.Message) -> Void = { _ in }
}

/// A gateway with its clients, its resources and its nameserver; the network between them loses
/// nothing and takes no time, unless a test keeps it waiting.
final class GatewayWorld {
    var gateway: Gateway
    var now = Instant.at(0)
    var zones: [String: Zone] = [:]
    var clients: [TestClient] = []
    /// What left towards resources.
    private(set) var forwarded: [[UInt8]] = []
    private(set) var offloads: [Offload] = []
    private(set) var outputs: [Gateway.Output] = []
    private(set) var questions: [DNS.Message] = []
    private(set) var streams = 0
    private var outbox = Outbox()
    private var batch = Batch(byteCount: 1 << 17)
    private var random: RandomSource
    private let wall: WallStart
    private let endpoint = Endpoint(IPAddress(ipv4: 0xc633_6401), port: 51_820)
    let secret = PresharedKeyText(bytes: [UInt8](repeating: 5, count: 32))
    private var pending: [Exchange] = []

    init(seed: UInt64 = 1, limitSeconds: UInt32 = 86_400) {
        random = RandomSource(seed: seed)
        wall = WallStart(unixNanoseconds: 1_800_000_000_000_000_000, at: .at(0))
        gateway = Gateway(wallClock: wall, random: random.fork())
        say(.resolvers([Endpoint(Address.of("192.0.2.53"), port: 53)], hosts: []))
        welcome(limitSeconds: limitSeconds)
        say(.portalConnected(true))
    }

    // MARK: The portal

    func say(_ command: Gateway.Command) {
        gateway.handle(command, at: now, into: &outbox)
        settle()
    }

    func welcome(_ grants: [Grant] = [], limitSeconds: UInt32 = 86_400) {
        say(
            .portal(
                .welcome(
                    ToGateway.Welcome(
                        instance: "portal-1",
                        revision: 1,
                        account: "tests",
                        gateway: GatewayIdentity(
                            id: "gateway",
                            name: "gateway",
                            site: SiteReference(id: "site", name: "site"),
                            tunnel: [Address.gateway, Address.of("fd00:2021:1111::1")]
                        ),
                        grants: grants,
                        limitSeconds: limitSeconds
                    )
                )
            )
        )
    }

    /// Another process goes on with what this one leaves; ``change`` is what happens on the way.
    func upgrade(_ change: (inout [UInt8]) -> Void = { _ in }) throws {
        var state = gateway.retire(at: now)
        settle()
        change(&state)
        gateway = try Gateway.resumed(
            from: state.rawSpan,
            wallClock: wall,
            random: random.fork(),
            at: now
        )
        say(.resolvers([Endpoint(Address.of("192.0.2.53"), port: 53)], hosts: []))
    }

    func client(_ number: UInt16 = 1) -> TestClient {
        let client = TestClient(number, random.fork(), wall: wall)
        clients.append(client)
        return client
    }

    func grant(
        _ client: TestClient,
        _ resource: ResourceForGateway,
        lease: String = "lease",
        revision: UInt64 = 1,
        seconds: UInt32 = 3_600,
        name: String? = nil,
        proxies: [IPAddress] = []
    ) -> Grant {
        Grant(
            lease: Lease(id: LeaseID(lease), revision: revision, lifetimeSeconds: seconds),
            resource: resource,
            client: ClientForGateway(
                id: client.id,
                publicKey: KeyText(bytes: client.pool.publicKey.array) ?? Self.noKey,
                presharedKey: secret ?? Self.noSecret,
                tunnel: client.tunnel,
                candidates: []
            ),
            name: name,
            proxies: proxies
        )
    }

    private static let noKey = KeyText(bytes: [UInt8](repeating: 0, count: 32)).unsafelyThere
    private static let noSecret = PresharedKeyText(bytes: [UInt8](repeating: 0, count: 32))
        .unsafelyThere

    func order(_ grant: Grant) {
        let id = RequestID("request-\(grant.lease.id)")
        say(.portal(.grant(ToGateway.GrantOrder(id: id, grant: grant))))
    }

    func revoke(_ leases: LeaseID...) {
        let revoke = ToGateway.Revoke(leases: leases, code: "revoked", sentence: "gone")
        say(.portal(.revoke(revoke)))
    }

    /// The answers to grants, oldest first.
    var grantAnswers: [FromRole.GrantAnswer] {
        outputs.compactMap {
            if case .toPortal(.grantAnswer(let answer)) = $0 { answer } else { nil }
        }
    }

    /// The candidates that the portal was told, each time.
    var told: [[Control.Candidate]] {
        outputs.compactMap {
            if case .toPortal(.candidates(let changed)) = $0 { changed.candidates } else { nil }
        }
    }

    var events: [Gateway.Event] {
        outputs.compactMap { if case .event(let event) = $0 { event } else { nil } }
    }

    // MARK: Clients and resources

    /// A client with a name resource and a session.
    func connectedClient(
        _ number: UInt16 = 1,
        filters: [Filter] = [],
        proxies: [IPAddress] = [Address.proxy1, Address.proxy2, Address.proxy6]
    ) -> TestClient {
        let client = client(number)
        zones["app.example.com"] = zones["app.example.com"] ?? Zone(addresses: [Address.real1])
        let resource = Resources.app(filters)
        order(
            grant(
                client,
                resource,
                lease: "lease-\(number)",
                name: "app.example.com",
                proxies: proxies
            )
        )
        connect(client)
        return client
    }

    /// Makes the session.
    func connect(_ client: TestClient) {
        client.index = client.pool.upsert(
            PeerConfiguration(
                publicKey: gateway.publicKey,
                presharedKey: secret.flatMap { Key(copying: $0.bytes.rawSpan) },
                candidates: [Peering.Candidate(.host, endpoint)]
            ),
            at: now,
            into: &outbox
        )
        client.pool.setLocalCandidates(
            [Peering.Candidate(.host, client.endpoint)],
            at: now,
            into: &outbox
        )
        carry(from: client)
        for _ in 0..<20 where !isConnected(client) { run(for: .milliseconds(50)) }
    }

    func isConnected(_ client: TestClient) -> Bool {
        client.index.flatMap { client.pool.status(of: $0)?.isConnected } ?? false
    }

    /// A packet of an application on the client's host.
    func send(_ packet: [UInt8], _ offload: Offload = .none, by client: TestClient) {
        guard let index = client.index else { return }
        _ = client.pool.send(packet.rawSpan, offload, to: index, at: now, into: &outbox)
        carry(from: client)
    }

    func send(_ frame: ControlFrame, by client: TestClient) {
        guard let index = client.index else { return }
        _ = client.pool.send(frame, to: index, at: now, into: &outbox)
        carry(from: client)
    }

    /// A names frame with the next epoch.
    func name(
        _ name: String,
        _ proxies: [IPAddress],
        resource: String = "app",
        by client: TestClient
    ) {
        client.epoch += 1
        let names = ControlFrame.Names(
            epoch: client.epoch,
            resource: resource,
            name: name,
            proxies: proxies
        )
        send(.names(names), by: client)
    }

    /// The last names answer that a client got.
    func lastAnswer(_ client: TestClient) -> ControlFrame.NamesAnswer? {
        for case .namesAnswer(let answer) in client.frames.reversed() { return answer }
        return nil
    }

    /// A packet from a resource, as the kernel hands it to the tunnel device.
    func resourceSends(_ packet: [UInt8], _ offload: Offload = .none) {
        put(packet, Batch.Packet(offload: offload))
        _ = gateway.receive(batch, from: .tunnel, at: now, into: &outbox)
        settle()
    }

    /// The last packet that left towards resources.
    var lastForwarded: PacketHeader? { forwarded.last.flatMap { Packet.header($0) } }

    func forget() {
        forwarded = []
        offloads = []
        outputs = []
        for client in clients { client.received = [] }
    }

    // MARK: Time and the network

    /// Sleeps exactly from deadline to deadline.
    func run(for duration: Duration) {
        let end = now.advanced(by: duration)
        var steps = 0
        while steps < 10_000 {
            steps += 1
            var next = gateway.nextDeadline
            for client in clients {
                guard let deadline = client.pool.nextDeadline else { continue }
                next = next.map { min($0, deadline) } ?? deadline
            }
            guard let next, next <= end else { break }
            now = max(now, next)
            for client in clients {
                client.pool.advance(to: now, into: &outbox)
                carry(from: client)
            }
            gateway.advance(to: now, into: &outbox)
            settle()
        }
        #expect(steps < 10_000, "a deadline that is due again and again")
        now = end
        gateway.advance(to: now, into: &outbox)
        settle()
    }

    private func put(_ bytes: [UInt8], _ packet: Batch.Packet) {
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<bytes.count)
        room.write(bytes.rawSpan, at: 0)
        var packet = packet
        packet.range = 0..<bytes.count
        batch.append(packet)
    }

    /// Carries what a client put into the outbox to the gateway.
    private func carry(from client: TestClient) {
        while client.pool.pollEvent() != nil {}
        var datagrams: [([UInt8], Int)] = []
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            guard run.remote == endpoint else { continue }
            let size = run.count > 1 ? run.segmentByteCount : 0
            datagrams.append((outbox.bytes(ofRun: index).array, size))
        }
        outbox.removeAll()
        for (bytes, size) in datagrams {
            let packet = Batch.Packet(
                segmentByteCount: size,
                remote: client.endpoint,
                local: endpoint
            )
            put(bytes, packet)
            _ = gateway.receive(batch, from: .network, at: now, into: &outbox)
            settle()
        }
    }

    /// Empties the outbox and the outputs of the gateway.
    private func settle() {
        for index in 0..<outbox.tunnelPacketCount {
            forwarded.append(outbox.bytes(ofTunnelPacket: index).array)
            offloads.append(outbox.tunnelPacket(index).offload)
        }
        var datagrams: [(Endpoint, [UInt8])] = []
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            let bytes = outbox.bytes(ofRun: index).array
            for start in stride(from: 0, to: bytes.count, by: max(1, run.segmentByteCount)) {
                let end = min(start + run.segmentByteCount, bytes.count)
                datagrams.append((run.remote, Array(bytes[start..<end])))
            }
        }
        outbox.removeAll()
        for (remote, bytes) in datagrams { deliver(bytes, to: remote) }
        while let output = gateway.pollOutput() {
            if let exchange = Gateway.exchange(of: output) {
                pending.append(exchange)
            } else {
                outputs.append(output)
            }
        }
        answerQuestions()
    }

    private func deliver(_ bytes: [UInt8], to remote: Endpoint) {
        guard let client = clients.first(where: { $0.endpoint == remote }) else { return }
        let received = client.pool.receive(
            bytes.rawSpan,
            remote: endpoint,
            local: client.endpoint,
            ecn: 0,
            at: now,
            into: &outbox
        )
        switch received {
        case .nothing: break
        case .packet(_, let byteCount):
            client.received.append(
                outbox.peekReservedTunnelBytes().extracting(0..<byteCount).array
            )
        case .frame(let index, let frame):
            client.frames.append(frame)
            if case .goodbye = frame {
                client.pool.remove(index, goodbye: nil, at: now, into: &outbox)
                client.index = nil
            }
        }
        carry(from: client)
    }

    private func answerQuestions() {
        while let exchange = pending.first {
            pending.removeFirst()
            guard let query = try? DNS.Message(exchange.bytes.rawSpan),
                let question = query.questions.first
            else { continue }
            questions.append(query)
            if exchange.transport == .stream { streams += 1 }
            let name = question.name.description
            guard let zone = zones[name], !zone.isSilent else {
                if zones[name] == nil { answer(exchange, query, Zone(code: .nameError)) }
                continue
            }
            answer(exchange, query, zone)
        }
    }

    private func answer(_ exchange: Exchange, _ query: DNS.Message, _ zone: Zone) {
        guard let question = query.questions.first else { return }
        var reply = query
        reply.header.isResponse = true
        reply.responseCode = zone.code
        if zone.needsStream, exchange.transport == .datagram {
            reply.header.isTruncated = true
        } else {
            var owner = question.name
            for alias in zone.aliases {
                guard let next = Name(alias) else { continue }
                reply.answers.append(Record(owner, timeToLive: zone.seconds, .cname(next)))
                owner = next
            }
            let addresses = zone.addresses.map { $0.isIPv4 ? RecordData.a($0) : .aaaa($0) }
            for data in addresses + zone.records where data.type == question.type {
                reply.answers.append(Record(owner, timeToLive: zone.seconds, data))
            }
        }
        zone.change(&reply)
        if let command = Gateway.command(answering: exchange.token, with: reply.wire()) {
            say(command)
        }
    }
}

extension Optional {
    /// The value of a constant that is surely there.
    fileprivate var unsafelyThere: Wrapped {
        guard let self else { preconditionFailure("a constant of the tests is wrong") }
        return self
    }
}

/// Resources that the tests use.
enum Resources {
    static func app(_ filters: [Filter] = [], _ address: String = "*.example.com")
        -> ResourceForGateway
    {
        ResourceForGateway(id: "app", name: "App", address: .name(address), filters: filters)
    }

    static func network(
        _ prefix: String,
        id: ResourceID = "network",
        _ filters: [Filter] = []
    ) -> ResourceForGateway {
        let network = IPPrefix(prefix) ?? IPPrefix(host: Address.real1)
        return ResourceForGateway(
            id: id,
            name: "Network",
            address: .prefix(network),
            filters: filters
        )
    }

    static let internet = ResourceForGateway(id: "internet", name: "Internet", address: .internet)
}
