import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing

/// What the portal has permitted, kept apart from the gateway and as simple as can be.
private struct Permissions {
    struct Held {
        var client: ClientID
        var resource: ResourceForGateway
        var end: Instant
    }

    var leases: [LeaseID: Held] = [:]
    /// Every address that a name ever had.
    var addresses: [String: Set<IPAddress>] = [:]

    /// Whether any live lease of the client covers a packet that left towards a resource.
    func permit(_ header: PacketHeader, of client: ClientID, at now: Instant) -> Bool {
        // An error is about a flow, and goes where the flow goes whatever its ports.
        let transport: Filter.Transport? =
            header.isICMPError ? nil : header.isTCP ? .tcp : header.isUDP ? .udp : .icmp
        return leases.values.contains { held in
            guard held.client == client, held.end > now else { return false }
            if let transport,
                !held.resource.filters.permit(transport, port: header.destinationPort)
            {
                return false
            }
            switch held.resource.address {
            case .internet: return !header.destination.description.hasPrefix("10.")
            case .prefix(let prefix): return prefix.contains(header.destination)
            case .name:
                return addresses.values.contains { $0.contains(header.destination) }
            }
        }
    }
}

/// A world with random packets, leases, names and clocks in it.
private struct Chaos {
    static let names = ["app.example.com", "wiki.example.com", "db.example.com"]
    static let proxies = (1...6).map { Address.of("100.96.0.\($0)") } + [Address.proxy6]
    static let reals = (1...4).map { Address.of("10.1.0.\($0)") }
    static let others = [
        "8.8.8.8", "10.2.0.1", "10.3.0.1", "192.168.1.1", "100.64.1.2", "2001:db8::1",
    ]
    .map { Address.of($0) }
    static let filters: [[Filter]] = [[], [Filter(.udp)], [Filter(.tcp, ports: 443...443)]]

    var random: RandomSource
    let world: GatewayWorld
    var permissions = Permissions()
    var sentTo: [ClientID: Set<IPAddress>] = [:]
    /// What left last towards resources, to be answered.
    var recent: [[UInt8]] = []
    let note: Comment

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        world = GatewayWorld(seed: seed)
        note = "SEED=\(seed)"
        for number in 1...2 as ClosedRange<UInt16> { _ = world.client(number) }
        for name in Self.names { change(name) }
    }

    mutating func pick<Element>(_ all: [Element]) -> Element {
        all[Int.random(in: 0..<all.count, using: &random)]
    }

    mutating func change(_ name: String) {
        let addresses = [pick(Self.reals), pick(Self.reals)]
        world.zones[name] = Zone(
            addresses: addresses,
            seconds: UInt32.random(in: 0...20, using: &random),
            isSilent: Int.random(in: 0..<5, using: &random) == 0
        )
        permissions.addresses[name, default: []].formUnion(addresses)
    }

    mutating func step() {
        let client = pick(world.clients)
        switch Int.random(in: -2..<50, using: &random) {
        case ...0: grant(client)
        case 1: revoke()
        case 2: welcome()
        case 3: update()
        case 4...6:
            let proxies = [pick(Self.proxies), pick(Self.proxies)]
            world.name(pick(Self.names), proxies, resource: pick(["app", "other"]), by: client)
        case 7: change(pick(Self.names))
        case 8, 9: world.run(for: .milliseconds(Int.random(in: 0..<3_000, using: &random)))
        case 10: world.say(.portalConnected(Bool.random(using: &random)))
        case 11..<25: resource(client)
        default: packet(client)
        }
        check()
    }

    private mutating func resourceForGateway() -> ResourceForGateway {
        let filters = pick(Self.filters)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return Resources.internet
        case 1: return Resources.network("10.2.0.0/16", filters)
        default: return Resources.app(filters)
        }
    }

    private mutating func grant(_ client: TestClient) {
        let id = LeaseID("lease-\(client.id)-\(Int.random(in: 0..<4, using: &random))")
        var resource = resourceForGateway()
        // One description for one resource at a time, as a portal has it.
        for held in permissions.leases.values where held.resource.id == resource.id {
            resource = held.resource
        }
        let seconds = UInt32.random(in: 0...120, using: &random)
        let name = resource.id == "app" ? pick(Self.names) : nil
        world.order(
            world.grant(
                client,
                resource,
                lease: id.text,
                seconds: seconds,
                name: name,
                proxies: name == nil ? [] : [pick(Self.proxies)]
            )
        )
        permissions.leases[id] = Permissions.Held(
            client: client.id,
            resource: resource,
            end: world.now.advanced(by: .seconds(seconds))
        )
        if !world.isConnected(client) { world.connect(client) }
    }

    private mutating func revoke() {
        guard let id = permissions.leases.keys.sorted().randomElement(using: &random) else {
            return
        }
        world.revoke(id)
        permissions.leases[id] = nil
    }

    private mutating func welcome() {
        var kept: [Grant] = []
        for (id, held) in permissions.leases.sorted(by: { $0.key < $1.key }) {
            guard Int.random(in: 0..<8, using: &random) > 0, held.end > world.now,
                let client = world.clients.first(where: { $0.id == held.client })
            else {
                permissions.leases[id] = nil
                continue
            }
            let seconds = world.now.duration(to: held.end).components.seconds
            kept.append(
                world.grant(client, held.resource, lease: id.text, seconds: UInt32(seconds))
            )
        }
        world.welcome(kept)
    }

    private mutating func update() {
        let filters = pick(Self.filters)
        let resource = pick([Resources.app(filters), Resources.network("10.2.0.0/16", filters)])
        world.say(.portal(.resource(ToGateway.ResourceUpdate(resource: resource))))
        for id in permissions.leases.keys.sorted()
        where permissions.leases[id]?.resource.id == resource.id {
            permissions.leases[id]?.resource = resource
        }
    }

    private mutating func packet(_ client: TestClient) {
        let destination = pick(Self.proxies + Self.proxies + Self.others + Self.reals)
        let isSpoofed = Int.random(in: 0..<20, using: &random) == 0
        var source = destination.isIPv4 ? client.address : client.address6
        if isSpoofed { source = pick(Self.others) }
        guard source.isIPv4 == destination.isIPv4 else { return }
        sentTo[client.id, default: []].insert(destination)
        world.send(bytes(from: source, to: destination), by: client)
    }

    private mutating func bytes(from source: IPAddress, to destination: IPAddress) -> [UInt8] {
        let port = UInt16.random(in: 1...4, using: &random)
        let other = pick([53, 443] as [UInt16])
        let flags = pick([.syn, .syn, .ack, [.fin, .ack], [.syn, .ack], .rst] as [TCPFlags])
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 5, 6: return Packet.udp(from: source, port, to: destination, other)
        case 1: return Packet.ping(from: source, to: destination, id: port)
        case 2: return Packet.pong(from: source, to: destination, id: port)
        case 3:
            let quoted = Packet.udp(from: destination, other, to: source, port)
            return Packet.error(about: quoted, from: source)
        default: return Packet.tcp(from: source, port, to: destination, other, flags)
        }
    }

    private mutating func resource(_ client: TestClient) {
        let source = pick(Self.reals + Self.others)
        let target = source.isIPv4 ? client.address : client.address6
        var packet = bytes(from: source, to: target)
        if Int.random(in: 0..<4, using: &random) > 0, !recent.isEmpty {
            packet = answer(to: pick(recent), from: source)
        }
        if !packet.isEmpty, Int.random(in: 0..<4, using: &random) == 0 {
            let place = Int.random(in: 0..<packet.count, using: &random)
            packet[place] = UInt8.random(in: 0 ... .max, using: &random)
        }
        if !packet.isEmpty { world.resourceSends(packet) }
    }

    private mutating func answer(to packet: [UInt8], from router: IPAddress) -> [UInt8] {
        guard let header = Packet.header(packet) else { return [] }
        let (source, target) = (header.destination, header.source)
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where router.isIPv4 == source.isIPv4:
            let refusal = pick([IP.Refusal.portUnreachable, .timeExceeded])
            return Packet.error(refusal, about: packet, from: router)
        case _ where header.isEchoRequest:
            return Packet.pong(from: source, to: target, id: header.sourcePort)
        case _ where header.isUDP:
            let (port, own) = (header.destinationPort, header.sourcePort)
            return Packet.udp(from: source, port, to: target, own)
        default:
            let (port, own) = (header.destinationPort, header.sourcePort)
            let flags = pick([[.syn, .ack], .ack, [.fin, .ack], .rst] as [TCPFlags])
            return Packet.tcp(from: source, port, to: target, own, flags)
        }
    }

    private mutating func check() {
        recent = (recent + world.forwarded).suffix(8)
        for bytes in world.forwarded {
            guard let header = Packet.header(bytes) else {
                Issue.record("a forwarded packet has a wrong checksum")
                continue
            }
            let client = world.clients.first { $0.tunnel.contains(header.source) }
            #expect(client != nil, note)
            guard let client else { continue }
            #expect(permissions.permit(header, of: client.id, at: world.now), note)
        }
        for client in world.clients {
            for bytes in client.received {
                guard let header = try? PacketHeader(bytes.rawSpan) else {
                    Issue.record("a client got a packet that cannot be read")
                    continue
                }
                let known = sentTo[client.id] ?? []
                #expect(known.contains(header.source) || header.isICMPError, note)
                #expect(header.isICMPError || client.tunnel.contains(header.destination), note)
            }
        }
        world.forget()
    }
}

@Suite struct RandomTraffic {
    @Test func `never leaves towards an address that no lease grants, nor comes uninvited`() {
        var total = Gateway.Counters()
        for seed in Seeds.toTry(5) {
            var chaos = Chaos(seed: seed)
            for _ in 0..<1_000 { chaos.step() }
            let counters = chaos.world.gateway.counters
            total.forwarded += counters.forwarded
            total.returned += counters.returned
            total.refusals += counters.refusals
        }
        // Otherwise there was nothing to see.
        #expect(total.forwarded > 100)
        #expect(total.returned > 20)
        #expect(total.refusals > 100)
    }
}
