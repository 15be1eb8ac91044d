public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
public import SansIO

extension Client {
    public mutating func handle(
        _ command: Command,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch command {
        case .portal(let message): receive(message, at: now, into: &outbox)
        case .portalConnected(let isConnected):
            isPortalConnected = isConnected
            if isConnected { portalRefusal = nil } else { revisions.reconnected() }
        case .hostResolvers(let resolvers):
            hostResolvers = resolvers
            configure()
        case .localAddresses(let addresses, let port):
            setLocalAddresses(addresses, port: port, at: now, into: &outbox)
        case .exchangeAnswered(let token, let bytes):
            finishExchange(token, with: bytes, at: now, into: &outbox)
        case .streamQuery(let id, let sentinel, let bytes):
            let asker = Asker(sentinel: sentinel, path: .stream(id: id))
            resolve(bytes.rawSpan, from: asker, at: now, into: &outbox)
        case .internetResource(let isOn):
            router.isInternetOn = isOn
            changed()
            configure()
        case .flushNames: configure(flushesCaches: true)
        case .shutdown: shutDown(at: now, into: &outbox)
        }
        settle(at: now, into: &outbox)
    }

    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        pool.advance(to: now, into: &outbox)
        stub?.advance(to: now)
        advanceNames(to: now, into: &outbox)
        advanceAuthorizations(to: now, into: &outbox)
        let waiting = draining
        draining = []
        for id in waiting { drain(id, at: now, into: &outbox) }
        settle(at: now, into: &outbox)
    }

    /// What follows from anything that happened: the pool's events, releases, records, deadlines.
    mutating func settle(at now: Instant, into outbox: inout Outbox) {
        handleEvents(at: now, into: &outbox)
        releaseNames(at: now, into: &outbox)
        sendReplies(into: &outbox)
        if isDeadlineStale { findDeadline() }
    }

    /// Queues an output; a full queue is counted.
    mutating func output(_ output: Output) {
        if !outputs.append(output) { counters.outputsRefused += 1 }
    }

    /// Something changed that decisions rest on.
    mutating func changed() {
        flows.removeAll()
        sources.removeAll()
        computeDeadline()
    }

    /// The next deadline must be looked for again.
    mutating func computeDeadline() { isDeadlineStale = true }

    private mutating func findDeadline() {
        isDeadlineStale = false
        ownDeadline = nil
        for id in authorized {
            let next = authorizations[id]?.nextDeadline(isPortalConnected: isPortalConnected)
            ownDeadline = Self.earlier(ownDeadline, next)
        }
        for key in toldNames {
            guard case .told(let nextSend, let patienceEnd, _) = names[key]?.state else { continue }
            ownDeadline = Self.earlier(ownDeadline, min(nextSend, patienceEnd))
        }
    }

    private mutating func advanceAuthorizations(to now: Instant, into outbox: inout Outbox) {
        guard let deadline = ownDeadline, deadline <= now else { return }
        computeDeadline()
        var hasEnded = false
        for id in authorized {
            guard let authorization = authorizations[id] else { continue }
            if let lease = authorization.lease, lease.endsAt <= now {
                authorizations[id]?.lease = nil
                hasEnded = true
            }
            if let standby = authorization.standby, standby.endsAt <= now {
                authorizations[id]?.standby = nil
                hasEnded = true
            }
            if let denial = authorization.denial, denial.until <= now {
                authorizations[id]?.denial = nil
            }
            refuseExpired(id, at: now, into: &outbox)
            if !authorization.held.isEmpty { kick(id, at: now) }
        }
        if hasEnded {
            changed()
            forgetUnused(at: now, into: &outbox)
        }
    }

    private mutating func setLocalAddresses(
        _ addresses: [IPAddress],
        port: UInt16,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let endpoints = addresses.filter { address in
            !plan.all.contains { $0.contains(address) }
        }.map { Endpoint($0, port: port) }
        let told = endpoints.map { Control.Candidate(kind: .host, endpoint: $0) }
        guard told != candidates else { return }
        candidates = told
        pool.setLocalCandidates(
            endpoints.map { Peering.Candidate(.host, $0) },
            at: now,
            into: &outbox
        )
        if isPortalConnected {
            output(.toPortal(.candidates(FromRole.CandidatesChanged(candidates: told))))
        }
    }

    private mutating func shutDown(at now: Instant, into outbox: inout Outbox) {
        guard !isShutDown else { return }
        isShutDown = true
        for gateway in gateways {
            pool.remove(gateway.peer, goodbye: .shutdown, at: now, into: &outbox)
        }
        gateways = []
        (names, toldNames) = ([:], [])
        for id in authorized {
            authorizations[id]?.lease = nil
            authorizations[id]?.standby = nil
        }
        changed()
        output(.finished)
    }
}

// MARK: - Messages

extension Client {
    private mutating func receive(
        _ message: ToClient,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch message {
        case .welcome(let welcome): receiveWelcome(welcome, at: now, into: &outbox)
        case .changes(let changes): receiveChanges(changes, at: now, into: &outbox)
        case .authorized(let authorized): receiveAuthorized(authorized, at: now, into: &outbox)
        case .denied(let denied): receiveDenied(denied, at: now, into: &outbox)
        case .leaseExtended(let extended): receiveLeaseExtended(extended, at: now)
        case .leaseEnded(let ended): receiveLeaseEnded(ended, at: now, into: &outbox)
        case .resourceChanged(let changed): forgetDenial(changed.resource)
        case .gatewayCandidates(let candidates):
            receiveCandidates(candidates, at: now, into: &outbox)
        case .gatewayOffline(let offline):
            receiveOffline(offline.gateway, at: now, into: &outbox)
        case .refusal(let refusal):
            portalRefusal = refusal
            output(.event(.refused(refusal)))
        case .unknown: break
        }
    }

    /// The whole state: what did not change is not touched.
    private mutating func receiveWelcome(
        _ welcome: ToClient.Welcome,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        revisions.welcome(instance: welcome.instance, revision: welcome.revision)
        isPortalConnected = true
        account = welcome.account
        setPlan(welcome.addresses, at: now)
        setIdentity(welcome.client)
        dns = welcome.dns
        setWithheld(welcome.withheld)
        let kept = Set(welcome.resources.map(\.id))
        for id in router.ids where !kept.contains(id) { remove(id, at: now, into: &outbox) }
        for resource in welcome.resources { set(resource, at: now, into: &outbox) }
        // Whatever changed while nobody could tell.
        for id in authorized { forgetDenial(id) }
        configure()
        askAgain(at: now)
    }

    private mutating func receiveChanges(
        _ changes: ToClient.Changes,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch revisions.changes(to: changes.revision) {
        case .ignore: return
        case .resync(let reason):
            output(.toPortal(.resync(FromRole.Resync(reason: reason))))
            return
        case .apply: break
        }
        for change in changes.changes {
            switch change {
            case .resource(let resource): set(resource, at: now, into: &outbox)
            case .resourceRemoved(let id): remove(id, at: now, into: &outbox)
            case .dns(let settings): dns = settings
            case .client(let client): setIdentity(client)
            case .addresses(let addresses): setPlan(addresses, at: now)
            case .withheld(let names): setWithheld(names)
            }
        }
        configure()
    }

    /// After a new session the portal may not know what was asked: the same questions again, which
    /// get the same answers.
    private mutating func askAgain(at now: Instant) {
        for id in authorized {
            guard let authorization = authorizations[id] else { continue }
            if let request = authorization.request {
                authorizations[id]?.request?.sentAt = now
                authorizations[id]?.requestedAt = now
                output(.toPortal(.authorize(request.message)))
            } else if !authorization.held.isEmpty {
                kick(id, at: now)
            }
        }
        computeDeadline()
    }

    private mutating func setIdentity(_ client: ClientIdentity) {
        identity = client
        stub?.setTunnelAddresses(client.tunnel)
        changed()
    }

    /// Takes over the account's ranges. Others than before make all proxy addresses void.
    private mutating func setPlan(_ addresses: AddressPlan, at now: Instant) {
        let isSame: Bool =
            switch stub {
            case .some: addresses == plan
            case .none: false
            }
        guard !isSame else { return }
        plan = addresses
        pool.setRefusedNetworks(addresses.all)
        var proxies: ProxyTable
        if savedNames.isEmpty {
            proxies = ProxyTable(proxies: addresses.proxies, sentinels: addresses.sentinels)
        } else {
            proxies = ProxyTable(
                reading: savedNames.rawSpan,
                proxies: addresses.proxies,
                sentinels: addresses.sentinels,
                at: now
            )
            while proxies.popRecord() != nil {}
            // A file that only ever grows is written anew once in each life.
            output(.replaceNames(proxies.write()))
            savedNames = []
        }
        var resolver = StubResolver(
            proxies: proxies,
            sentinels: Sentinels(ranges: addresses.sentinels),
            random: random.fork()
        )
        resolver.setTunnelAddresses(identity?.tunnel ?? [])
        for id in router.ids {
            if let name = router[id].flatMap(Self.protectedName) { _ = resolver.setResource(name) }
        }
        _ = resolver.setWithheld(withheld)
        stub = consume resolver
        (names, toldNames) = ([:], [])
        changed()
    }

    /// The names that are to be refused by their first packet.
    private mutating func setWithheld(_ names: WithheldNames?) {
        guard names != withheld else { return }
        withheld = names
        _ = stub?.setWithheld(names)
        for id in authorized where Router.isWithheld(id) { forgetDenial(id) }
        configuration.flushesCaches = true
        changed()
    }

    static func protectedName(_ resource: ResourceForClient) -> ProtectedName? {
        // A pattern that this version cannot read protects nothing.
        guard let text = resource.pattern, let pattern = try? NamePattern(text) else { return nil }
        return ProtectedName(id: resource.id, pattern: pattern, families: resource.family)
    }
}

// MARK: - Resources

extension Client {
    /// Takes over a resource. What its leases rest on being other than before, they end.
    private mutating func set(
        _ resource: ResourceForClient,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let old = router[resource.id]
        guard old != resource else { return }
        if let old,
            old.address != resource.address || old.site != resource.site
                || old.alias != resource.alias
        {
            remove(resource.id, at: now, into: &outbox)
        }
        router.set(resource)
        if let name = Self.protectedName(resource) {
            if stub?.setResource(name) ?? false { configuration.flushesCaches = true }
        }
        forgetDenial(resource.id)
        changed()
    }

    /// A resource is gone: its leases end, its names are anybody's, what waits is refused.
    private mutating func remove(
        _ id: ResourceID,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        router.remove(id)
        if stub?.removeResource(id) ?? false { configuration.flushesCaches = true }
        let held = authorizations[id]?.held.takeAll() ?? []
        authorizations[id] = nil
        authorized.removeAll { $0 == id }
        names = names.filter { $0.value.resource != id }
        toldNames.removeAll { names[$0] == nil }
        changed()
        for packet in held where outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom) {
            guard let header = try? PacketHeader(packet.bytes.rawSpan) else { continue }
            refuse(.prohibited, packet.bytes.rawSpan, header, into: &outbox)
        }
        forgetUnused(at: now, into: &outbox)
    }

    /// Puts out what the host must set up, when it is other than before.
    mutating func configure(flushesCaches: Bool = false) {
        let upstreams = upstreams
        if stub?.setUpstreams(upstreams) ?? false { configuration.flushesCaches = true }
        guard let identity else { return }
        var next = HostConfiguration()
        next.tunnel = identity.tunnel
        next.routes = plan.all + router.routes
        switch stub {
        case .some(let stub): next.sentinels = stub.sentinels.addresses
        case .none: break
        }
        next.search = dns.search
        next.domains = domains
        next.flushesCaches = flushesCaches || configuration.flushesCaches
        configuration.flushesCaches = false
        guard next != configuration else { return }
        configuration = next
        configuration.flushesCaches = false
        output(.configure(next))
    }

    /// The fixed tails of all patterns, without those below another one.
    private var domains: [String] {
        let suffixes = router.ids.compactMap { id in
            router[id].flatMap(Self.protectedName)?.pattern.literalSuffix
        }.sorted()
        var covering: [Name] = []
        for suffix in suffixes where !covering.contains(where: suffix.isAtOrBelow) {
            covering.append(suffix)
        }
        return covering.map(\.description)
    }
}
