import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import WireGuard

@testable import Client

/// A client between a host, a scripted portal and gateways that are real pools without NAT: what
/// they receive is noted, names are answered as told.
final class ClientWorld {
    final class Site {
        let id: GatewayID
        var pool: PeerPool
        var endpoint: Endpoint
        let tunnel: [IPAddress]
        var isCut = false
        /// What names frames are answered with; nil: not at all.
        var status: ControlFrame.Status? = .active
        var families: Set<IPFamily> = [.ipv4]
        var packets: [(at: Instant, bytes: [UInt8])] = []
        var frames: [(at: Instant, frame: ControlFrame)] = []

        init(_ id: GatewayID, pool: consuming PeerPool, endpoint: Endpoint, tunnel: [IPAddress]) {
            self.id = id
            self.pool = pool
            self.endpoint = endpoint
            self.tunnel = tunnel
        }
    }

    struct Flying {
        var due: Instant
        var order: Int
        /// The gateway's place; nil: towards the client, from `source`.
        var site: Int?
        var source: Endpoint
        var destination: Endpoint
        var bytes: [UInt8]
    }

    static let own = IPAddress(ipv4: 0x6440_0007)
    static let ownIPv6 = IPAddress("fd00:2021:1111::7") ?? IPAddress(ipv4: 0)
    var client: Client
    var sites: [Site] = []
    var now = Instant(nanoseconds: 1_000_000_000)
    var delay: Duration = .milliseconds(10)
    var clientEndpoint = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5000)
    /// Resource to gateways, best first; what is not here is denied.
    var served: [ResourceID: [Int]] = [:]
    var answersPortal = true
    var portalDelay: Duration = .milliseconds(20)
    var denial = Control.Refusal(.forbidden, .mend, "No policy permits it.")
    /// What the host got.
    var delivered: [(at: Instant, bytes: [UInt8])] = []
    var outputs: [(at: Instant, output: Client.Output)] = []
    var persisted: [UInt8] = []
    var nextLease = 0
    var leaseSeconds: UInt32 = 3600
    /// Whether a lease that lives is given again, as portals do, and not a new one.
    var keepsLeases = false
    private var random: RandomSource
    var flying: [Flying] = []
    var portalInbox: [(due: Instant, message: ToClient)] = []
    var decisions: [FromRole.Authorize] = []
    var order = 0
    var outbox = Outbox(byteCount: 1 << 18)
    var batch = Batch(byteCount: 1 << 17)
    var steps = 0

    init(seed: UInt64 = 1, names: [UInt8] = [], gateways: Int = 2) {
        random = RandomSource(seed: seed)
        let wall = WallStart(unixNanoseconds: 1_800_000_000_000_000_000, at: now)
        client = Client(wallClock: wall, random: random.fork(), names: names)
        for place in 0..<gateways {
            let pool = PeerPool(role: .gateway, wallClock: wall, random: random.fork())
            let address = IPAddress(ipv4: 0xcb00_7100 + UInt32(place) + 1)
            sites.append(
                Site(
                    GatewayID("gateway-\(place)"),
                    pool: pool,
                    endpoint: Endpoint(address, port: 51_830),
                    tunnel: [IPAddress(ipv4: 0x6440_0100 + UInt32(place))]
                )
            )
        }
    }

    // MARK: Resources

    static let site = SiteReference(id: "site", name: "Berlin")

    static func name(_ id: ResourceID, _ pattern: String, _ filters: [Filter] = [])
        -> ResourceForClient
    {
        ResourceForClient(
            id: id,
            name: id.text,
            address: .name(pattern),
            filters: filters,
            site: site
        )
    }

    static func prefix(_ id: ResourceID, _ text: String, _ filters: [Filter] = [])
        -> ResourceForClient
    {
        let prefix = IPPrefix(text) ?? IPPrefix(host: IPAddress(ipv4: 0))
        return ResourceForClient(
            id: id,
            name: id.text,
            address: .prefix(prefix),
            filters: filters,
            site: site
        )
    }

    // MARK: Host

    func start(_ resources: [ResourceForClient], dns: DNSSettings = DNSSettings()) {
        handle(.localAddresses([clientEndpoint.address], port: clientEndpoint.port))
        handle(.hostResolvers([Endpoint(IPAddress(ipv4: 0x0a00_0001), port: 53)]))
        handle(.portalConnected(true))
        handle(.portal(.welcome(welcome(resources, dns: dns))))
    }

    func welcome(
        _ resources: [ResourceForClient],
        revision: UInt64 = 1,
        dns: DNSSettings = DNSSettings()
    ) -> ToClient.Welcome {
        ToClient.Welcome(
            instance: "portal-1",
            revision: revision,
            account: "Example",
            client: ClientIdentity(
                id: "client",
                name: "laptop",
                actor: "ada@example.com",
                tunnel: [Self.own, Self.ownIPv6]
            ),
            resources: resources,
            dns: dns
        )
    }

    func handle(_ command: Client.Command) {
        client.handle(command, at: now, into: &outbox)
        settle()
    }

    /// The host sends a packet; false: the client had no room.
    @discardableResult
    func send(_ packet: [UInt8], _ offload: Offload = .none) -> Bool {
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        batch.append(Batch.Packet(range: 0..<packet.count, offload: offload))
        let taken = client.receive(batch, from: .tunnel, at: now, into: &outbox)
        settle()
        return taken == 1
    }

    /// Asks a sentinel for the addresses of a name, as the host's resolver does.
    func resolve(_ name: String, _ type: RecordType = .a) -> [IPAddress] {
        guard let sentinel = sentinels.first, let name = Name(name) else { return [] }
        let query = Message(query: Question(name, type), id: 77, edns: nil).wire()
        let before = delivered.count
        let ip = IPHeader(from: Self.own, to: sentinel, transportProtocol: .udp)
        send(ip.packet(UDPHeader(sourcePort: 5353, destinationPort: 53), payload: query))
        for packet in delivered[before...] {
            guard let header = try? PacketHeader(packet.bytes.rawSpan), header.isUDP,
                let answer = try? Message(
                    packet.bytes.rawSpan.extracting(header.payloadOffset..<header.totalByteCount)
                )
            else { continue }
            return answer.answers.compactMap(\.data.address)
        }
        return []
    }

    var sentinels: [IPAddress] { configuration?.sentinels ?? [] }

    var configuration: Client.HostConfiguration? {
        outputs.reversed().lazy.compactMap {
            if case .configure(let configuration) = $0.output { configuration } else { nil }
        }.first
    }

    static func tcp(
        to destination: IPAddress,
        port: UInt16 = 443,
        from source: UInt16 = 40_000,
        flags: TCPFlags = .syn,
        sequence: UInt32 = 1
    ) -> [UInt8] {
        let ip = IPHeader(
            from: destination.isIPv4 ? own : ownIPv6,
            to: destination,
            transportProtocol: .tcp
        )
        var tcp = TCPHeader(sourcePort: source, destinationPort: port, window: 1000)
        tcp.flags = flags
        tcp.sequence = sequence
        return ip.packet(tcp, payload: [])
    }

    static func udp(
        to destination: IPAddress,
        port: UInt16 = 2000,
        from source: IPAddress = own,
        mark: UInt8 = 1
    ) -> [UInt8] {
        let ip = IPHeader(from: source, to: destination, transportProtocol: .udp)
        return ip.packet(UDPHeader(sourcePort: 1000, destinationPort: port), payload: [mark])
    }

    /// What the host was told about a packet that it sent.
    enum Told: Equatable {
        case prohibited, hostUnreachable, networkUnreachable, portUnreachable, reset
        case other(String)
    }

    /// The errors and resets delivered since `start`, each checked to come from where the packet
    /// went, and to the own address.
    func told(since start: Int = 0) -> [Told] {
        delivered[start...].compactMap { packet in
            guard let header = try? PacketHeader(packet.bytes.rawSpan) else { return nil }
            if header.isTCP, header.tcpFlags.contains(.rst) { return .reset }
            guard header.isICMPError else { return nil }
            let quoted = try? PacketHeader(
                embedded: packet.bytes.rawSpan.extracting(
                    header.transportOffset + 8..<packet.bytes.count
                )
            )
            guard quoted?.destination == header.source, quoted?.source == header.destination else {
                return .other("from \(header.source) to \(header.destination)")
            }
            switch (header.icmpType, header.icmpCode) {
            case (3, 13), (1, 1): return .prohibited
            case (3, 1), (1, 3): return .hostUnreachable
            case (3, 0), (1, 0): return .networkUnreachable
            case (3, 3), (1, 4): return .portUnreachable
            default: return .other("\(header.icmpType)/\(header.icmpCode)")
            }
        }
    }

    // MARK: Portal

    var requests: [FromRole.Authorize] {
        outputs.compactMap {
            if case .toPortal(.authorize(let request)) = $0.output { request } else { nil }
        }
    }

    func tell(_ message: ToClient) { handle(.portal(message)) }

    /// The portal's decision, which the gateway is told of at the same time.
    func decide(_ request: FromRole.Authorize) -> ToClient {
        let without = request.withoutGateway ?? []
        let possible = (served[request.resource] ?? []).filter { !without.contains(sites[$0].id) }
        let preferred = possible.first { request.connected.contains(sites[$0].id) }
        guard served[request.resource] != nil else {
            return .denied(
                ToClient.Denied(id: request.id, resource: request.resource, refusal: denial)
            )
        }
        guard let place = preferred ?? possible.first else {
            let offline = Control.Refusal(.offline, .retry, "No gateway of the site is online.")
            return .denied(
                ToClient.Denied(id: request.id, resource: request.resource, refusal: offline)
            )
        }
        introduce(place, request)
        nextLease += 1
        let number = keepsLeases ? "of-\(request.resource)-at-\(place)" : "\(nextLease)"
        return .authorized(
            ToClient.Authorized(
                id: request.id,
                resource: request.resource,
                lease: Lease(
                    id: LeaseID("lease-\(number)"),
                    revision: 1,
                    lifetimeSeconds: leaseSeconds
                ),
                site: "site",
                gateway: gateway(place)
            )
        )
    }

    static let presharedKey = [UInt8](repeating: 9, count: 32)

    func gateway(_ place: Int) -> GatewayForClient {
        let site = sites[place]
        guard let key = KeyText(bytes: site.pool.publicKey.array),
            let preshared = PresharedKeyText(bytes: Self.presharedKey)
        else { fatalError("keys have 32 bytes") }
        return GatewayForClient(
            id: site.id,
            name: site.id.text,
            publicKey: key,
            presharedKey: preshared,
            tunnel: site.tunnel,
            candidates: [Control.Candidate(kind: .host, endpoint: site.endpoint)]
        )
    }

    private func introduce(_ place: Int, _ request: FromRole.Authorize) {
        _ = sites[place].pool.upsert(
            PeerConfiguration(
                publicKey: client.publicKey,
                presharedKey: Key(copying: Self.presharedKey.rawSpan),
                candidates: request.candidates.map { Peering.Candidate(.host, $0.endpoint) }
            ),
            at: now,
            into: &outbox
        )
        launch(from: place)
    }

    // MARK: Gateways

    func gatewaySends(_ place: Int, _ packet: [UInt8]) {
        guard let peer = sites[place].pool.index(of: client.publicKey) else { return }
        _ = sites[place].pool.send(packet.rawSpan, .none, to: peer, at: now, into: &outbox)
        launch(from: place)
    }

    func gatewaySends(_ place: Int, _ frame: ControlFrame) {
        guard let peer = sites[place].pool.index(of: client.publicKey) else { return }
        _ = sites[place].pool.send(frame, to: peer, at: now, into: &outbox)
        launch(from: place)
    }
}
