public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
public import SansIO
internal import WireGuard

extension Gateway {
    public mutating func handle(
        _ command: Command,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch command {
        case .portal(let message): handle(message, at: now, into: &outbox)
        case .portalConnected(let isUp):
            isPortalUp = isUp
            isResyncing = false
            awaySince = isUp ? nil : awaySince ?? now
            if isUp { reportDeadline = now }
        case .resolvers(let servers, let hosts):
            resolver.configure(servers: servers, hosts: hosts.map { ($0.name, $0.addresses) })
        case .localAddresses(let addresses, let port):
            setLocal(addresses.map { Endpoint($0, port: port) }, at: now, into: &outbox)
        case .exchangeAnswered(let token, let bytes):
            resolver.answered(token, with: bytes, at: now)
        case .shutdown: isStopping = true
        }
        settle(at: now, into: &outbox)
    }

    private mutating func handle(
        _ message: ToGateway,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch message {
        case .welcome(let welcome): take(welcome, at: now, into: &outbox)
        case .grant(let order): take(order, at: now, into: &outbox)
        case .extend(let extend): take(extend, at: now)
        case .revoke(let revoke):
            let gone = Set(revoke.leases)
            let reason = LeaseEnd.revoked(code: revoke.code, sentence: revoke.sentence)
            let slots = revoke.leases.compactMap { clientByLease[$0] }.compactMap {
                slotByClient[$0]
            }
            for slot in Set(slots).sorted() {
                endLeases(slot, reason, at: now, into: &outbox) { gone.contains($0.id) }
            }
        case .resource(let update): take(update.resource, at: now, into: &outbox)
        case .clientCandidates(let update): take(update, at: now, into: &outbox)
        case .refusal, .unknown: break
        }
    }

    private mutating func setLocal(
        _ endpoints: [Endpoint],
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let found = endpoints.map { Control.Candidate(kind: .host, endpoint: $0) }
        guard found != candidates else { return }
        candidates = found
        pool.setLocalCandidates(
            endpoints.map { Peering.Candidate(.host, $0) },
            at: now,
            into: &outbox
        )
        outputs.append(.toPortal(.candidates(FromRole.CandidatesChanged(candidates: found))))
    }
}

// MARK: - Leases

extension Gateway {
    /// The whole state: what is listed stays as it is, what is not listed ends.
    private mutating func take(
        _ welcome: ToGateway.Welcome,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let before = HostConfiguration(tunnel: identity?.tunnel ?? [], addresses: plan)
        (identity, plan) = (welcome.gateway, welcome.addresses)
        awayMax = .seconds(welcome.limitSeconds)
        isResyncing = false
        resolver.refuse(plan.all)
        pool.setRefusedNetworks(plan.all)
        let after = HostConfiguration(tunnel: welcome.gateway.tunnel, addresses: plan)
        if before != after { outputs.append(.configure(after)) }
        var listed: Set<LeaseID> = []
        for grant in welcome.grants {
            do {
                try admit(grant, at: now, into: &outbox)
                listed.insert(grant.lease.id)
            } catch {
                outputs.append(.event(Self.refusal(of: grant, error)))
            }
        }
        for slot in clients.indices where clients[slot] != nil {
            endLeases(slot, .notListed, at: now, into: &outbox) { !listed.contains($0.id) }
        }
    }

    private mutating func take(
        _ order: ToGateway.GrantOrder,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let lease = order.grant.lease.id
        do {
            try admit(order.grant, at: now, into: &outbox)
            let answer = FromRole.GrantAnswer(id: order.id, lease: lease, accepted: true)
            outputs.append(.toPortal(.grantAnswer(answer)))
        } catch {
            let answer = FromRole.GrantAnswer(
                id: order.id,
                lease: lease,
                accepted: false,
                code: error.code,
                sentence: error.sentence
            )
            outputs.append(.toPortal(.grantAnswer(answer)))
            outputs.append(.event(Self.refusal(of: order.grant, error)))
        }
    }

    private static func refusal(of grant: Grant, _ error: GrantRefusal) -> Event {
        .leaseRefused(grant.lease.id, grant.client.id, grant.resource.id, error)
    }

    private mutating func take(_ extend: ToGateway.Extend, at now: Instant) {
        let lifetime = Duration.seconds(extend.lifetimeSeconds)
        guard let client = clientByLease[extend.lease], let slot = slotByClient[client],
            clients[slot]?.grants.extend(extend.lease, by: lifetime, at: now) == true
        else {
            // The portal believes in a lease that is not here: it should say everything again.
            guard !isResyncing else { return }
            isResyncing = true
            let reason = "lease \(extend.lease) is not known here"
            outputs.append(.toPortal(.resync(FromRole.Resync(reason: reason))))
            return
        }
        watchLeases(slot)
    }

    private mutating func take(
        _ resource: ResourceForGateway,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        for slot in clients.indices where clients[slot] != nil {
            let before = clients[slot]?.grants.leases ?? []
            guard clients[slot]?.grants.update(resource) == true else { continue }
            let after = Set(clients[slot]?.grants.leases.map(\.id) ?? [])
            let ended = before.map(\.id).filter { !after.contains($0) }
            concludeLeases(slot, ended, .unservable, at: now, into: &outbox)
        }
    }

    /// Ends those leases of a client that `condition` names.
    mutating func endLeases(
        _ slot: Int,
        _ reason: LeaseEnd,
        at now: Instant,
        into outbox: inout Outbox,
        where condition: (Grants.LiveLease) -> Bool
    ) {
        guard let ended = clients[slot]?.grants.end(where: condition), !ended.isEmpty else {
            return
        }
        concludeLeases(slot, ended, reason, at: now, into: &outbox)
    }

    /// Names without a resource go; so does the client without a lease. Flows are checked again
    /// with their next packet.
    private mutating func concludeLeases(
        _ slot: Int,
        _ ended: [LeaseID],
        _ reason: LeaseEnd,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let client = clients[slot]?.id, let grants = clients[slot]?.grants else { return }
        for lease in ended {
            clientByLease[lease] = nil
            outputs.append(.event(.leaseEnded(lease, client, reason)))
        }
        heldCount -= clients[slot]?.names.removeClaims { grants.resource($0) == nil } ?? 0
        if grants.leases.isEmpty { removeClient(slot, .finished, at: now, into: &outbox) }
    }
}

// MARK: - Clients

extension Gateway {
    /// Takes a grant, all of it or nothing; one that is held already changes nothing but its end.
    private mutating func admit(
        _ grant: Grant,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) {
        guard !isStopping else { throw .stopping }
        let configuration = try checkedConfiguration(grant.client)
        let claimed = try checkedName(grant)
        let known = slotByClient[grant.client.id]
        if let known, let leases = clients[known]?.grants.leases,
            leases.count >= Grants.Limits.leases,
            !leases.contains(where: { $0.id == grant.lease.id })
        {
            throw .tooMany("leases of one client")
        }
        let slot = try place(grant.client, configuration, at: now, into: &outbox)
        guard
            let granted = try clients[slot]?.grants.grant(grant.lease, for: grant.resource, at: now)
        else { return }
        clientByLease[grant.lease.id] = grant.client.id
        watchLeases(slot)
        if granted.isNew {
            if let known, let peer = clients[slot]?.peer, known == slot,
                clients[slot]?.isConnected == false
            {
                pool.punch(peer, at: now, into: &outbox)
            }
            outputs.append(
                .event(.leaseGranted(grant.lease.id, grant.client.id, grant.resource.id))
            )
        }
        // A lease that is held already may come again for another name.
        guard let (name, realName) = claimed else { return }
        let claim = NameTable.Claim(resource: granted.resource, realName: realName)
        if !grant.proxies.isEmpty { _ = bind(name, claim, grant.proxies, epoch: nil, slot) }
        _ = resolver.resolve(realName, isQuery: true, at: now)
    }

    /// What the pool must know of the client.
    private func checkedConfiguration(
        _ client: ClientForGateway
    ) throws(GrantRefusal) -> PeerConfiguration {
        guard let key = Key(copying: client.publicKey.bytes.rawSpan),
            let secret = Key(copying: client.presharedKey.bytes.rawSpan)
        else { throw .unreadableKey }
        let own = slotByClient[client.id]
        if let other = pool.index(of: key), other.slot != own { throw .keyTaken }
        guard !client.tunnel.isEmpty else { throw .unusableTunnelAddress }
        for address in client.tunnel {
            guard plan.tunnel.contains(where: { $0.contains(address) }),
                identity?.tunnel.contains(address) != true
            else { throw .unusableTunnelAddress }
            if let other = slotByAddress[address], other != own {
                throw .tunnelAddressTaken(address)
            }
        }
        return PeerConfiguration(
            publicKey: key,
            presharedKey: secret,
            candidates: client.candidates.map { Peering.Candidate($0) }
        )
    }

    /// The name of a grant, and the one to resolve for it; throws where the resource cannot be
    /// served.
    private func checkedName(
        _ grant: Grant
    ) throws(GrantRefusal) -> (name: Name, realName: Name)? {
        let resource = try GrantedResource(grant.resource, number: 0)
        guard case .names(let pattern, let alias) = resource.target, let text = grant.name else {
            return nil
        }
        guard let name = Name(text), let realName = alias.realName(of: name) else {
            throw .nameMismatch(name: text, pattern: pattern.text)
        }
        try check(grant.proxies)
        return (name, realName)
    }

    /// The slot of a client, which is made, or brought up to date.
    private mutating func place(
        _ client: ClientForGateway,
        _ configuration: PeerConfiguration,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) -> Int {
        if let slot = slotByClient[client.id] {
            let moved = try update(slot, configuration, at: now, into: &outbox)
            if clients[moved]?.tunnel != client.tunnel {
                for address in clients[moved]?.tunnel ?? [] { slotByAddress[address] = nil }
                for address in client.tunnel { slotByAddress[address] = moved }
                clients[moved]?.tunnel = client.tunnel
                // Flows carry the old source address outside.
                clients[moved]?.nat.removeAll { _ in true }
            }
            return moved
        }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else {
            throw .tooMany("clients")
        }
        while clients.count <= peer.slot { clients.append(nil) }
        clients[peer.slot] = ClientOnGateway(
            id: client.id,
            peer: peer,
            configuration: configuration,
            tunnel: client.tunnel
        )
        slotByClient[client.id] = peer.slot
        for address in client.tunnel { slotByAddress[address] = peer.slot }
        outputs.append(.event(.clientAdded(client.id)))
        return peer.slot
    }

    /// Tells the pool what changed of a client; a client that started anew has another key, and so
    /// another slot. Its flows and names stay.
    private mutating func update(
        _ slot: Int,
        _ configuration: PeerConfiguration,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) -> Int {
        guard let client = clients[slot], client.configuration != configuration else { return slot }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else {
            throw .tooMany("clients")
        }
        clients[slot]?.configuration = configuration
        guard peer != client.peer else { return slot }
        noteDisconnected(slot) { _ in nil }
        pool.remove(client.peer, goodbye: nil, at: now, into: &outbox)
        clients[slot] = nil
        client.peer = peer
        client.names.forgetEpochs()
        while clients.count <= peer.slot { clients.append(nil) }
        clients[peer.slot] = client
        slotByClient[client.id] = peer.slot
        for address in client.tunnel { slotByAddress[address] = peer.slot }
        return peer.slot
    }

    private mutating func take(
        _ update: ToGateway.ClientCandidates,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let slot = slotByClient[update.client],
            var configuration = clients[slot]?.configuration
        else { return }
        configuration.candidates = update.candidates.map { Peering.Candidate($0) }
        if let publicKey = update.publicKey, let secret = update.presharedKey,
            let key = Key(copying: publicKey.bytes.rawSpan),
            pool.index(of: key).map({ $0.slot == slot }) ?? true
        {
            configuration.publicKey = key
            configuration.presharedKey = Key(copying: secret.bytes.rawSpan)
        }
        _ = try? self.update(slot, configuration, at: now, into: &outbox)
    }

    /// A client's last lease ended, or the gateway goes.
    mutating func removeClient(
        _ slot: Int,
        _ goodbye: ControlFrame.Goodbye,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        noteDisconnected(slot) { _ in nil }
        guard let client = clients[slot] else { return }
        pool.remove(client.peer, goodbye: goodbye, at: now, into: &outbox)
        heldCount -= client.names.heldCount
        slotByClient[client.id] = nil
        for address in client.tunnel { slotByAddress[address] = nil }
        for lease in client.grants.leases { clientByLease[lease.id] = nil }
        clients[slot] = nil
        outputs.append(.event(.clientRemoved(client.id)))
    }
}

extension Peering.Candidate {
    /// The same candidate, as the connections know it.
    init(_ candidate: Control.Candidate) {
        let kind: Kind =
            switch candidate.kind {
            case .host: .host
            case .serverReflexive: .serverReflexive
            case .relayed: .relayed
            case .peerReflexive: .peerReflexive
            }
        self.init(kind, candidate.endpoint)
    }
}
