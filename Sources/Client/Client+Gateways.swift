internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

extension Client {
    /// Takes over what the portal said of a gateway; a new key is a new gateway process, whose
    /// session and names begin anew.
    ///
    /// - Returns: nil when its keys cannot be used.
    mutating func upsert(
        _ told: GatewayForClient,
        at now: Instant,
        into outbox: inout Outbox
    ) -> GatewayOnClient? {
        guard let publicKey = Key(copying: told.publicKey.bytes.rawSpan),
            let presharedKey = Key(copying: told.presharedKey.bytes.rawSpan)
        else { return nil }
        let candidates = Self.candidates(told.candidates)
        let configuration = PeerConfiguration(
            publicKey: publicKey,
            presharedKey: presharedKey,
            candidates: candidates
        )
        if gateways.contains(where: { $0.id == told.id && $0.publicKey != publicKey }) {
            remove(told.id, goodbye: nil, at: now, into: &outbox)
        }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else { return nil }
        var gateway = GatewayOnClient(
            id: told.id,
            name: told.name,
            publicKey: publicKey,
            presharedKey: presharedKey,
            tunnel: told.tunnel,
            peer: peer
        )
        if let place = gateways.firstIndex(where: { $0.id == told.id }) {
            gateway.isSuspect = gateways[place].isSuspect
            gateway.health = gateways[place].health
            // The portal gave it again though it was lost: it deserves another chance.
            if gateway.health == .lost { gateway.health = .connecting }
            if pool.status(of: peer)?.isConnected ?? false, !gateway.isSuspect {
                gateway.health = .connected
            }
            gateways[place] = gateway
        } else {
            gateways.append(gateway)
        }
        return gateway
    }

    static func candidates(_ told: [Control.Candidate]) -> [Peering.Candidate] {
        told.map { candidate in
            let kind: Peering.Candidate.Kind =
                switch candidate.kind {
                case .host: .host
                case .serverReflexive: .serverReflexive
                case .relayed: .relayed
                case .peerReflexive: .peerReflexive
                }
            return Peering.Candidate(kind, candidate.endpoint)
        }
    }

    func gatewayPlace(of peer: PeerIndex) -> Int? { gateways.firstIndex { $0.peer == peer } }

    /// The portal said where a gateway can be reached now, and with which key.
    mutating func receiveCandidates(
        _ message: ToClient.GatewayCandidates,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        if message.publicKey != nil { forgive(message.gateway) }
        guard let known = gateways.first(where: { $0.id == message.gateway }),
            let publicKey = message.publicKey ?? KeyText(bytes: known.publicKey.array),
            let presharedKey = message.presharedKey
                ?? PresharedKeyText(bytes: known.presharedKey.array)
        else { return }
        let isNewProcess = publicKey.bytes != known.publicKey.array
        let told = GatewayForClient(
            id: known.id,
            name: known.name,
            publicKey: publicKey,
            presharedKey: presharedKey,
            tunnel: known.tunnel,
            candidates: message.candidates
        )
        _ = upsert(told, at: now, into: &outbox)
        if isNewProcess { changed() }
    }

    /// A gateway that works, or that started anew, is asked for again.
    private mutating func forgive(_ gateway: GatewayID) {
        for id in authorized {
            authorizations[id]?.excluded.removeAll { $0.gateway == gateway }
        }
    }

    /// The portal lost a gateway. What works between us and it goes on working.
    mutating func receiveOffline(
        _ gateway: GatewayID,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gateways.firstIndex(where: { $0.id == gateway }) else { return }
        if gateways[place].isSuspect || gateways[place].health != .connected {
            lose(place, at: now, into: &outbox)
        }
    }
}

// MARK: - What the pool tells

extension Client {
    /// Handles all that the pool has to say.
    mutating func handleEvents(at now: Instant, into outbox: inout Outbox) {
        while let event = pool.pollEvent() {
            switch event {
            case .connected(let peer): connected(peer, at: now, into: &outbox)
            case .distress(let peer): distressed(peer, at: now)
            case .recovered(let peer): recovered(peer, at: now, into: &outbox)
            case .lost(let peer):
                guard let place = gatewayPlace(of: peer) else { break }
                output(.event(.gatewayLost(gateways[place].id)))
                lose(place, at: now, into: &outbox)
            case .pathChanged, .unknownKey: break
            }
        }
    }

    private mutating func connected(
        _ peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        gateways[place].health = .connected
        gateways[place].isSuspect = false
        let id = gateways[place].id
        output(.event(.gatewayConnected(id)))
        forgive(id)
        changed()
        for key in toldNames where key.peer == peer { sendName(key, at: now, into: &outbox) }
        drainAll(of: id, at: now, into: &outbox)
    }

    /// Silence: the portal is asked to let the gateway open its NAT towards us, and for a second
    /// gateway for what is in use.
    private mutating func distressed(_ peer: PeerIndex, at now: Instant) {
        guard let place = gatewayPlace(of: peer) else { return }
        gateways[place].isSuspect = true
        guard isPortalConnected else { return }
        if punchedAt.map({ $0.duration(to: now) >= Limits.punchInterval }) ?? true {
            punchedAt = now
            output(.toPortal(.candidates(FromRole.CandidatesChanged(candidates: candidates))))
        }
        for id in inUse(at: gateways[place].id, now) {
            guard let authorization = authorizations[id], authorization.standby == nil,
                authorization.requestEarliest(now) <= now
            else { continue }
            request(id, isStandby: true, at: now)
        }
    }

    private mutating func recovered(
        _ peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        gateways[place].isSuspect = false
        if pool.status(of: peer)?.isConnected ?? false { gateways[place].health = .connected }
        let id = gateways[place].id
        for resource in authorized where authorizations[resource]?.lease?.gateway == id {
            authorizations[resource]?.standby = nil
        }
        changed()
        drainAll(of: id, at: now, into: &outbox)
        forgetUnused(at: now, into: &outbox)
    }

    /// Resources leased at a gateway that were used lately, or are waited for.
    private func inUse(at gateway: GatewayID, _ now: Instant) -> [ResourceID] {
        authorized.filter { id in
            guard let authorization = authorizations[id],
                authorization.lease?.gateway == gateway
            else { return false }
            let isRecent = authorization.lastUsed.map {
                $0.duration(to: now) < Authorization.Limits.activeTime
            }
            return !authorization.held.isEmpty || isRecent ?? false
        }
    }

    /// A gateway is not reached any more: what it served goes to the stand-by, or is asked for.
    mutating func lose(_ place: Int, at now: Instant, into outbox: inout Outbox) {
        gateways[place].health = .lost
        let id = gateways[place].id
        let active = inUse(at: id, now)
        changed()
        for resource in authorized where authorizations[resource]?.lease?.gateway == id {
            authorizations[resource]?.exclude(id, at: now)
            if let standby = authorizations[resource]?.standby, standby.endsAt > now {
                authorizations[resource]?.lease = standby
                authorizations[resource]?.lastGateway = standby.gateway
                authorizations[resource]?.standby = nil
                drain(resource, at: now, into: &outbox)
            } else if active.contains(resource), isPortalConnected,
                authorizations[resource]?.request == nil
            {
                request(resource, isStandby: false, at: now)
            }
        }
        computeDeadline()
    }

    /// A gateway said goodbye: nothing of it is of use any more.
    mutating func leave(
        _ peer: PeerIndex,
        _ reason: ControlFrame.Goodbye,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        let id = gateways[place].id
        output(.event(.gatewayLeft(id)))
        // One whose leases are over is as good as any for the next one.
        if reason != .finished { lose(place, at: now, into: &outbox) }
        for resource in authorized where authorizations[resource]?.lease?.gateway == id {
            authorizations[resource]?.lease = nil
        }
        remove(id, goodbye: nil, at: now, into: &outbox)
        changed()
    }

    /// Ends what no lease needs any more.
    mutating func forgetUnused(at now: Instant, into outbox: inout Outbox) {
        let unused = gateways.map(\.id).filter { id in
            !authorized.contains { resource in
                authorizations[resource]?.lease?.gateway == id
                    || authorizations[resource]?.standby?.gateway == id
            }
        }
        for id in unused { remove(id, goodbye: .finished, at: now, into: &outbox) }
    }

    private mutating func remove(
        _ id: GatewayID,
        goodbye: ControlFrame.Goodbye?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gateways.firstIndex(where: { $0.id == id }) else { return }
        let gateway = gateways.remove(at: place)
        forgetNames(of: gateway.peer)
        pool.remove(gateway.peer, goodbye: goodbye, at: now, into: &outbox)
    }
}
