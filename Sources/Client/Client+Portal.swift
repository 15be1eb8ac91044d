public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import RelayUse
public import SansIO

extension Client {
    public mutating func handle(
        _ command: Command,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        noteTurn(at: now, into: &outbox)
        switch command {
        case .portal(let message): receive(message, at: now, into: &outbox)
        case .portalConnected(let isConnected):
            isPortalConnected = isConnected
            if isConnected {
                portalRefusal = nil
                helloLeases = heldLeases(at: now)
                relays.forgetTold(at: now)
                tellCandidates()
            } else {
                revisions.reconnected()
            }
        case .hostResolvers(let resolvers):
            setHostUpstreams(resolvers.map { Upstream($0) })
        case .hostUpstreams(let upstreams): setHostUpstreams(upstreams)
        case .hostZones(let zones): setHostZones(zones)
        case .conflicts(let networks): setConflicts(networks)
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
        case .relayStream(let id, let bridge):
            setRelayStream(id, bridge: bridge, at: now, into: &outbox)
        case .checkFiltering: checkFiltering()
        case .portOpened(let isOpen): noteFilteringPort(isOpen, at: now, into: &outbox)
        case .flushNames: flushNames()
        case .cache(let isOn): setCache(isOn)
        case .shutdown: shutDown(at: now, into: &outbox)
        }
        settle(at: now, into: &outbox)
    }

    private mutating func shutDown(at now: Instant, into outbox: inout Outbox) {
        guard !isShutDown else { return }
        isShutDown = true
        for gateway in gateways {
            pool.remove(gateway.peer, goodbye: .shutdown, at: now, into: &outbox)
        }
        pool.closeRelays(at: now, into: &outbox)
        gateways = []
        (names, toldNames) = ([:], [])
        for id in authorized {
            authorizations[id]?.lease = nil
            authorizations[id]?.standby = nil
            authorizations[id]?.former = nil
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
        case .leaseExtended(let extended):
            receiveLeaseExtended(extended, at: now, into: &outbox)
        case .leaseEnded(let ended): receiveLeaseEnded(ended, at: now, into: &outbox)
        case .resourceChanged(let changed): forgetDenial(changed.resource)
        case .gatewayCandidates(let candidates):
            receiveCandidates(candidates, at: now, into: &outbox)
        case .gatewayOffline(let offline):
            receiveOffline(offline.gateway, at: now, into: &outbox)
        case .refusal(let refusal):
            portalRefusal = refusal
            output(.event(.refused(refusal)))
        case .move(let move): receiveMove(move, at: now, into: &outbox)
        case .relays(let list): setRelays(list.relays, at: now, into: &outbox)
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
        setRelays(welcome.relays, at: now, into: &outbox)
        reconcile(welcome.leases, at: now, into: &outbox)
        configure()
        askAgain(at: now)
        for place in gateways.indices where gateways[place].isSuspect {
            call(place, at: now)
        }
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

    /// The leases that live, for hello.
    func heldLeases(at now: Instant) -> [LeaseID] {
        authorized.flatMap { authorizations[$0]?.leases(at: now) ?? [] }.map(\.id)
    }

    /// Takes over which of the leases that hello told of are still live; nil tells nothing.
    private mutating func reconcile(
        _ states: [LeaseState]?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let states else { return }
        let told = helloLeases
        helloLeases = []
        for state in states {
            let extended = ToClient.LeaseExtended(
                lease: state.lease,
                lifetimeSeconds: state.lifetimeSeconds
            )
            receiveLeaseExtended(extended, at: now, into: &outbox)
        }
        for id in authorized {
            for lease in authorizations[id]?.leases(at: now) ?? []
            where told.contains(lease.id) && !states.contains(where: { $0.lease == lease.id }) {
                let ended = ToClient.LeaseEnded(
                    lease: lease.id,
                    resource: id,
                    code: "ended",
                    sentence: "It ended while the portal could not say so."
                )
                receiveLeaseEnded(ended, at: now, into: &outbox)
            }
        }
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
            } else if !authorization.held.isEmpty || siteQuestions.waits(for: id) {
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
        resolver.isCacheEnabled = isCacheEnabled
        resolver.setConflicts(conflicts)
        stub = consume resolver
        siteQuestions.removeAll()
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
}
