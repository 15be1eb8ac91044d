internal import Bytes
internal import Control
internal import IP
internal import Policy
internal import SansIO

/// The portal as a script around the real policy engine: sessions, requests, leases, changes.
///
/// It stands for the server, of which it keeps the order: the directory changes first, then leases
/// are decided again, then clients are told what they may see. Messages travel as values.
final class PortalHost {
    struct LeaseRecord {
        let id: LeaseID
        let client: ClientID
        let resource: ResourceID
        let gateway: GatewayID
        var revision: UInt64
        let request: RequestID
        var name: String?
        var proxies: [IPAddress]
        let begunAt: Instant
        var endsAt: Instant
    }

    /// What the portal remembers of a role.
    struct Device {
        var publicKey: KeyText?
        var candidates: [Candidate] = []
        var isOnline = false
    }

    unowned let world: World
    let clientChannel: ControlChannel
    let gatewayChannel: ControlChannel
    let client: ClientID
    let gateway: GatewayID
    /// How long a lease lives unless extended.
    let leaseLifetime: Duration
    var directory: Directory
    var leases: [LeaseRecord] = []
    private(set) var clientDevice = Device()
    private(set) var gatewayDevice = Device()
    /// Whether a client that comes back is told how long its leases live.
    var tellsLeases = false
    /// Where the client's connection comes from, as conditions see it.
    var clientRemote: IPAddress?

    var toClient: (ToClient) -> Void = { _ in }
    var toGateway: (ToGateway) -> Void = { _ in }

    private var instance = 1
    var revision: UInt64 = 1
    var channelRevision: UInt64 = 1
    var shown: [ResourceForClient] = []
    var shownDNS = DNSSettings()
    var denied: [ResourceID] = []
    /// Endings that the client has not heard of, since it was away.
    var missed: [ToClient.LeaseEnded] = []
    var answers = AnswerCache<RequestID, ToClient>(countMax: 256)
    var isSiteShownOnline = false
    var leaseCount = 0
    var orderCount = 0

    init(
        in world: World,
        directory: Directory,
        client: ClientID,
        gateway: GatewayID,
        leaseLifetime: Duration,
        clientDelay: Duration,
        gatewayDelay: Duration
    ) {
        (self.world, self.directory) = (world, directory)
        (self.client, self.gateway, self.leaseLifetime) = (client, gateway, leaseLifetime)
        clientChannel = ControlChannel("client", delay: clientDelay, in: world)
        gatewayChannel = ControlChannel("gateway", delay: gatewayDelay, in: world)
        clientChannel.onBreakAtPortal = { [unowned self] in clientDevice.isOnline = false }
        gatewayChannel.onBreakAtPortal = { [unowned self] in gatewayLeft(politely: false) }
    }

    var isRunning: Bool { clientChannel.isPortalRunning }

    /// The process is gone; what it wrote down stays.
    func stop() {
        for channel in [clientChannel, gatewayChannel] {
            channel.isPortalRunning = false
            channel.breakNow()
        }
    }

    /// The process is back, with what was written down.
    func start() {
        instance += 1
        isSiteShownOnline = false
        answers = AnswerCache(countMax: 256)
        for channel in [clientChannel, gatewayChannel] { channel.isPortalRunning = true }
    }

    var context: Context {
        let seconds = Int64(1_790_000_000) + world.elapsed.components.seconds
        return Context(now: WallTime(seconds: seconds), remote: clientRemote)
    }

    func isAllowed(_ resource: ResourceID) -> Bool {
        directory.decide(client: client, resource: resource, in: context).isAllowed
    }

    /// What the client may see, as the directory says now.
    var visible: [ResourceForClient] {
        directory.resources(for: client).compactMap { resource in
            guard let site = directory.sites[resource.site] else { return nil }
            return ResourceForClient(
                id: resource.id,
                name: resource.name,
                address: resource.address,
                alias: resource.alias,
                filters: resource.filters,
                family: resource.family,
                site: SiteReference(id: site.id, name: site.name),
                online: isSiteShownOnline
            )
        }
    }

    func send(_ message: ToClient) {
        guard clientDevice.isOnline else { return }
        world.note("portal → client: \(message.type)")
        clientChannel.sendToRole { [unowned self] in toClient(message) }
    }

    func send(_ message: ToGateway) {
        guard gatewayDevice.isOnline else { return }
        world.note("portal → gateway: \(message.type)")
        gatewayChannel.sendToRole { [unowned self] in toGateway(message) }
    }
}

// MARK: - Sessions

extension PortalHost {
    func receive(fromClient message: FromRole) {
        world.note("client → portal: \(message.type)")
        switch message {
        case .hello(let hello):
            let isNewKey = clientDevice.publicKey != hello.publicKey
            let isNews = isNewKey || clientDevice.candidates != hello.candidates
            clientDevice = Device(
                publicKey: hello.publicKey,
                candidates: hello.candidates,
                isOnline: true
            )
            welcomeClient()
            for ended in missed { send(.leaseEnded(ended)) }
            missed = []
            review()
            // Known: the server does not say again how long leases live.
            if tellsLeases { leases.indices.forEach(extend) }
            if leases.isEmpty { return }
            if gatewayDevice.isOnline { send(.gatewayCandidates(gatewayCandidates(withKey: true))) }
            if isNews { tellGatewayOfClient(withKey: isNewKey) }
        case .authorize(let request): authorize(request)
        case .candidates(let change): setClientCandidates(change.candidates)
        case .resync: welcomeClient()
        case .grantAnswer, .report, .unknown: world.fail("a client sent \(message.type)")
        }
    }

    func receive(fromGateway message: FromRole) {
        world.note("gateway → portal: \(message.type)")
        switch message {
        case .hello(let hello):
            let isNewKey = gatewayDevice.publicKey != hello.publicKey
            let isNews = isNewKey || gatewayDevice.candidates != hello.candidates
            gatewayDevice = Device(
                publicKey: hello.publicKey,
                candidates: hello.candidates,
                isOnline: true
            )
            welcomeGateway()
            showSite()
            if isNews, !leases.isEmpty {
                send(.gatewayCandidates(gatewayCandidates(withKey: isNewKey)))
            }
        case .candidates(let change):
            guard gatewayDevice.candidates != change.candidates else { return }
            gatewayDevice.candidates = change.candidates
            if !leases.isEmpty { send(.gatewayCandidates(gatewayCandidates(withKey: false))) }
        case .resync: welcomeGateway()
        case .grantAnswer(let answer):
            guard !answer.accepted, let place = leases.firstIndex(where: { $0.id == answer.lease })
            else { return }
            end(
                place,
                answer.code ?? "gateway-refused",
                "The gateway does not serve this.",
                isTold: false
            )
        case .report: break
        case .authorize, .unknown: world.fail("a gateway sent \(message.type)")
        }
    }

    private func welcomeClient() {
        (shown, shownDNS, denied) = (visible, directory.dns, [])
        channelRevision = max(channelRevision, revision)
        guard let entry = directory.clients[client] else { return }
        let welcome = ToClient.Welcome(
            instance: "portal-\(instance)",
            revision: channelRevision,
            account: directory.account,
            client: ClientIdentity(
                id: client,
                name: entry.name,
                actor: directory.actors[entry.actor]?.name ?? "",
                tunnel: entry.tunnel
            ),
            addresses: directory.addresses,
            resources: shown,
            dns: shownDNS
        )
        send(.welcome(welcome))
    }

    private func welcomeGateway() {
        guard let entry = directory.gateways[gateway], let site = directory.sites[entry.site] else {
            return
        }
        let welcome = ToGateway.Welcome(
            instance: "portal-\(instance)",
            revision: revision,
            account: directory.account,
            gateway: GatewayIdentity(
                id: gateway,
                name: entry.name,
                site: SiteReference(id: site.id, name: site.name),
                tunnel: entry.tunnel
            ),
            addresses: directory.addresses,
            grants: leases.compactMap(grant),
            limitSeconds: site.absenceSeconds
        )
        send(.welcome(welcome))
    }

    /// A gateway's channel is gone, with a goodbye or without.
    func gatewayLeft(politely: Bool) {
        guard gatewayDevice.isOnline else { return }
        gatewayDevice.isOnline = false
        if politely, !leases.isEmpty {
            send(.gatewayOffline(ToClient.GatewayOffline(gateway: gateway)))
        }
        world.after(.seconds(5)) { [weak self] in self?.showSite() }
    }

    private func showSite() {
        let isOnline = gatewayDevice.isOnline
        if isOnline != isSiteShownOnline {
            isSiteShownOnline = isOnline
            tellDifferences()
        }
        if isOnline { tellChanged(denied) }
    }

    func setClientCandidates(_ candidates: [Candidate]) {
        clientDevice.candidates = candidates
        // Also how a client in distress asks for its gateway's help.
        tellGatewayOfClient(withKey: false)
    }

    private func tellGatewayOfClient(withKey: Bool) {
        guard !leases.isEmpty else { return }
        let message = ToGateway.ClientCandidates(
            client: client,
            publicKey: withKey ? clientDevice.publicKey : nil,
            presharedKey: withKey ? presharedKey : nil,
            candidates: clientDevice.candidates
        )
        send(.clientCandidates(message))
    }

    private func gatewayCandidates(withKey: Bool) -> ToClient.GatewayCandidates {
        ToClient.GatewayCandidates(
            gateway: gateway,
            publicKey: withKey ? gatewayDevice.publicKey : nil,
            presharedKey: withKey ? presharedKey : nil,
            candidates: gatewayDevice.candidates
        )
    }

    /// The pair's key follows from both public keys.
    var presharedKey: PresharedKeyText? {
        guard let one = clientDevice.publicKey?.bytes, let other = gatewayDevice.publicKey?.bytes
        else { return nil }
        let (first, second) = (one.rawSpan.uint64(at: 0), other.rawSpan.uint64(at: 0))
        var source = RandomSource(seed: (first, second, 7, 7))
        return PresharedKeyText(bytes: source.bytes(32))
    }
}
