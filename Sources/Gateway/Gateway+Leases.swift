internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import RelayUse
internal import SansIO
internal import WireGuard

// What the portal permits, from its order to its end.
extension Gateway {
    mutating func take(
        _ order: ToGateway.GrantOrder,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let lease = order.grant.lease.id
        do {
            try admit(order.grant, isOrder: true, at: now, into: &outbox)
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

    static func refusal(of grant: Grant, _ error: GrantRefusal) -> Event {
        .leaseRefused(grant.lease.id, grant.client.id, grant.resource.id, error)
    }

    mutating func take(_ extend: ToGateway.Extend, at now: Instant) {
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

    mutating func take(
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
        watchLeases(slot)
        if grants.leases.isEmpty { removeClient(slot, .finished, at: now, into: &outbox) }
    }
}

// MARK: - Grants

extension Gateway {
    /// Takes a grant, all of it or nothing; one that is held already changes nothing but its end.
    /// An order comes with what its client said just now; what welcome lists may be older than the
    /// client's own frames.
    mutating func admit(
        _ grant: Grant,
        isOrder: Bool,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) {
        guard !isStopping else { throw .stopping }
        let configuration = try checkedConfiguration(grant.client)
        let claimed = try checkedName(grant)
        let known = slotByClient[grant.client.id]
        if isOrder { refuseCandidates(in: [grant.resource]) }
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
        markEarly(slot)
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
        if !grant.proxies.isEmpty, isOrder || !isOverruled(name, grant.proxies, slot) {
            _ = bind(name, claim, grant.proxies, epoch: nil, slot)
        }
        _ = resolver.resolve(realName, isQuery: true, at: now, by: &site)
    }

    /// Whether the client said otherwise since: other addresses for the name, or another name for
    /// the addresses.
    private func isOverruled(_ name: Name, _ proxies: [IPAddress], _ slot: Int) -> Bool {
        guard let names = clients[slot]?.names else { return false }
        if let known = names[name], known.epoch > 0, known.proxies != proxies { return true }
        return proxies.contains { proxy in names.name(of: proxy).map { $0 != name } ?? false }
    }

    /// Candidates of clients must not aim us at what our site protects.
    mutating func refuseCandidates(in resources: [ResourceForGateway]) {
        for resource in resources {
            guard case .prefix(let network) = resource.address, network.bitCount > 0,
                siteNetworks.count < Limits.siteNetworks, !siteNetworks.contains(network)
            else { continue }
            siteNetworks.append(network)
        }
        pool.setRefusedNetworks(plan.all + siteNetworks)
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
}
