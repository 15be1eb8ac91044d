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
    private(set) var directory: Directory
    private(set) var leases: [LeaseRecord] = []
    private(set) var clientDevice = Device()
    private(set) var gatewayDevice = Device()
    /// Whether a client that comes back is told how long its leases live.
    var tellsLeases = false
    /// Where the client's connection comes from, as conditions see it.
    var clientRemote: IPAddress?

    var toClient: (ToClient) -> Void = { _ in }
    var toGateway: (ToGateway) -> Void = { _ in }

    private var instance = 1
    private var revision: UInt64 = 1
    private var channelRevision: UInt64 = 1
    private var shown: [ResourceForClient] = []
    private var shownDNS = DNSSettings()
    private var denied: [ResourceID] = []
    /// Endings that the client has not heard of, since it was away.
    private var missed: [ToClient.LeaseEnded] = []
    private var answers = AnswerCache<RequestID, ToClient>(countMax: 256)
    private var isSiteShownOnline = false
    private var leaseCount = 0
    private var orderCount = 0

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

    private func send(_ message: ToClient) {
        guard clientDevice.isOnline else { return }
        world.note("portal → client: \(message.type)")
        clientChannel.sendToRole { [unowned self] in toClient(message) }
    }

    private func send(_ message: ToGateway) {
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

    private func setClientCandidates(_ candidates: [Candidate]) {
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
    private var presharedKey: PresharedKeyText? {
        guard let one = clientDevice.publicKey?.bytes, let other = gatewayDevice.publicKey?.bytes
        else { return nil }
        let (first, second) = (one.rawSpan.uint64(at: 0), other.rawSpan.uint64(at: 0))
        var source = RandomSource(seed: (first, second, 7, 7))
        return PresharedKeyText(bytes: source.bytes(32))
    }
}

// MARK: - Requests

extension PortalHost {
    private func authorize(_ request: FromRole.Authorize) {
        switch answers.begin(request.id) {
        case .answered(let answer): return send(answer)
        case .underWay: return
        case .new: break
        }
        if !request.candidates.isEmpty, request.candidates != clientDevice.candidates {
            setClientCandidates(request.candidates)
        }
        let decision = directory.decide(client: client, resource: request.resource, in: context)
        switch decision {
        case .allow(let permit):
            guard gatewayDevice.isOnline,
                !(request.withoutGateway ?? []).contains(gateway)
            else {
                return deny(
                    request,
                    Control.Refusal(.offline, .retry, "No gateway of the site is connected.")
                )
            }
            grant(request, permit)
        case .deny(let denial):
            let words = directory.explain(
                decision,
                client: client,
                resource: request.resource,
                in: context
            )
            deny(request, directory.refusal(for: denial, words, at: context.now), words.failed)
        }
    }

    private func grant(_ request: FromRole.Authorize, _ permit: Permit) {
        let known = leases.firstIndex { $0.resource == request.resource }
        let end = world.now.advanced(by: leaseLifetime)
        if let known {
            (leases[known].name, leases[known].proxies) = (request.name, request.proxies)
            (leases[known].revision, leases[known].endsAt) = (revision, end)
        } else {
            leaseCount += 1
            leases.append(
                LeaseRecord(
                    id: LeaseID("lease-\(leaseCount)"),
                    client: client,
                    resource: request.resource,
                    gateway: gateway,
                    revision: revision,
                    request: request.id,
                    name: request.name,
                    proxies: request.proxies,
                    begunAt: world.now,
                    endsAt: end
                )
            )
        }
        let lease = leases[known ?? leases.count - 1]
        denied.removeAll { $0 == request.resource }
        guard let answer = authorized(request, lease, permit.site) else {
            return world.fail("the portal has no keys for a lease")
        }
        answers.finish(request.id, with: answer)
        send(answer)
        if let grant = grant(lease) {
            orderCount += 1
            send(.grant(ToGateway.GrantOrder(id: RequestID("order-\(orderCount)"), grant: grant)))
        }
        watch(lease.id)
    }

    private func authorized(
        _ request: FromRole.Authorize,
        _ lease: LeaseRecord,
        _ site: SiteID
    ) -> ToClient? {
        guard let key = gatewayDevice.publicKey, let secret = presharedKey else { return nil }
        let entry = directory.gateways[gateway]
        return .authorized(
            ToClient.Authorized(
                id: request.id,
                resource: request.resource,
                lease: told(lease),
                site: site,
                gateway: GatewayForClient(
                    id: gateway,
                    name: entry?.name ?? "",
                    publicKey: key,
                    presharedKey: secret,
                    tunnel: entry?.tunnel ?? [],
                    candidates: gatewayDevice.candidates
                )
            )
        )
    }

    /// A lease as it travels, with what is left of its life.
    private func told(_ lease: LeaseRecord) -> Lease {
        let left = world.now.duration(to: lease.endsAt).components.seconds
        return Lease(
            id: lease.id,
            revision: lease.revision,
            lifetimeSeconds: UInt32(clamping: max(1, left))
        )
    }

    private func grant(_ lease: LeaseRecord) -> Grant? {
        guard let resource = directory.resources[lease.resource],
            let entry = directory.clients[client], let key = clientDevice.publicKey,
            let secret = presharedKey
        else { return nil }
        return Grant(
            lease: told(lease),
            resource: Self.forGateway(resource),
            client: ClientForGateway(
                id: client,
                publicKey: key,
                presharedKey: secret,
                tunnel: entry.tunnel,
                candidates: clientDevice.candidates
            ),
            name: lease.name,
            proxies: lease.proxies
        )
    }

    private static func forGateway(_ resource: Directory.Resource) -> ResourceForGateway {
        ResourceForGateway(
            id: resource.id,
            name: resource.name,
            address: resource.address,
            alias: resource.alias,
            filters: resource.filters,
            family: resource.family
        )
    }

    private func deny(
        _ request: FromRole.Authorize,
        _ refusal: Control.Refusal,
        _ failed: [FailedCondition] = []
    ) {
        let answer = ToClient.denied(
            ToClient.Denied(
                id: request.id,
                resource: request.resource,
                refusal: refusal,
                failed: failed
            )
        )
        answers.finish(request.id, with: answer)
        if !denied.contains(request.resource) { denied.append(request.resource) }
        send(answer)
    }
}

// MARK: - Leases and changes

extension PortalHost {
    /// Looks at a lease when half of its life is over.
    private func watch(_ id: LeaseID) {
        guard let lease = leases.first(where: { $0.id == id }) else { return }
        let left = world.now.duration(to: lease.endsAt)
        world.after(max(.seconds(1), left - leaseLifetime / 2)) { [weak self] in
            guard let self, isRunning,
                let place = leases.firstIndex(where: { $0.id == id })
            else { return }
            guard leases[place].endsAt > world.now else {
                return end(place, "expired", "The lease ran out.")
            }
            let left = world.now.duration(to: leases[place].endsAt)
            if clientDevice.isOnline, left <= leaseLifetime / 2 + .seconds(1) { extend(place) }
            watch(id)
        }
    }

    private func extend(_ place: Int) {
        leases[place].endsAt = world.now.advanced(by: leaseLifetime)
        let seconds = told(leases[place]).lifetimeSeconds
        let id = leases[place].id
        send(.leaseExtended(ToClient.LeaseExtended(lease: id, lifetimeSeconds: seconds)))
        send(.extend(ToGateway.Extend(lease: id, lifetimeSeconds: seconds)))
    }

    private func end(_ place: Int, _ code: String, _ sentence: String, isTold: Bool = true) {
        let lease = leases.remove(at: place)
        if isTold {
            send(.revoke(ToGateway.Revoke(leases: [lease.id], code: code, sentence: sentence)))
        }
        let ended = ToClient.LeaseEnded(
            lease: lease.id,
            resource: lease.resource,
            code: code,
            sentence: sentence
        )
        if clientDevice.isOnline { send(.leaseEnded(ended)) } else { missed.append(ended) }
    }

    /// Decides all leases again.
    private func review() {
        for lease in leases {
            guard let place = leases.firstIndex(where: { $0.id == lease.id }) else { continue }
            if !isAllowed(lease.resource) {
                end(place, "revoked", "No policy permits it any more.")
            } else if lease.endsAt <= world.now {
                end(place, "expired", "The lease ran out.")
            } else if world.now.duration(to: lease.endsAt) < leaseLifetime / 2 {
                extend(place)
                watch(lease.id)
            }
        }
    }

    /// Makes a change and tells whom it touches.
    func commit(_ change: Change) {
        let before = directory
        let scope: Scope
        do { scope = try directory.apply(change) } catch {
            return world.fail("a change is refused: \(error.sentence)")
        }
        revision += 1
        var told: [ResourceID] = []
        for lease in leases where !told.contains(lease.resource) {
            told.append(lease.resource)
            guard let new = directory.resources[lease.resource],
                before.resources[lease.resource] != new
            else { continue }
            send(.resource(ToGateway.ResourceUpdate(resource: Self.forGateway(new))))
        }
        review()
        tellDifferences()
        tellChanged(denied.filter { scope.touches(client, $0) })
    }

    private func tellDifferences() {
        guard clientDevice.isOnline else { return }
        let (now, dns) = (visible, directory.dns)
        var changes: [ChangeForClient] = []
        if dns != shownDNS { changes.append(.dns(dns)) }
        for old in shown where !now.contains(where: { $0.id == old.id }) {
            changes.append(.resourceRemoved(old.id))
        }
        for resource in now where !shown.contains(resource) { changes.append(.resource(resource)) }
        guard !changes.isEmpty else { return }
        (shown, shownDNS) = (now, dns)
        channelRevision += 1
        send(.changes(ToClient.Changes(revision: channelRevision, changes: changes)))
    }

    private func tellChanged(_ resources: [ResourceID]) {
        for resource in resources {
            denied.removeAll { $0 == resource }
            send(.resourceChanged(ToClient.ResourceChanged(resource: resource)))
        }
    }
}
