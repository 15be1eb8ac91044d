internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import RelayUse
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
        let configuration = PeerConfiguration(
            publicKey: publicKey,
            presharedKey: presharedKey,
            candidates: told.candidates.map { Peering.Candidate($0) }
        )
        if gateways.contains(where: { $0.id == told.id && $0.publicKey != publicKey }) {
            remove(told.id, goodbye: nil, at: now, into: &outbox)
        }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else { return nil }
        guard let place = gateways.firstIndex(where: { $0.id == told.id }) else {
            let gateway = GatewayOnClient(
                id: told.id,
                name: told.name,
                publicKey: publicKey,
                presharedKey: presharedKey,
                tunnel: told.tunnel,
                peer: peer
            )
            gateways.append(gateway)
            return gateway
        }
        // The portal gave it again though it was lost: it deserves another chance.
        if gateways[place].health == .lost { gateways[place].health = .connecting }
        if pool.status(of: peer)?.isConnected ?? false, !gateways[place].isSuspect {
            gateways[place].health = .connected
        }
        (gateways[place].name, gateways[place].tunnel) = (told.name, told.tunnel)
        (gateways[place].presharedKey, gateways[place].peer) = (presharedKey, peer)
        return gateways[place]
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
        guard let gateway = upsert(told, at: now, into: &outbox) else { return }
        // It lives: what waits for it is not told yet that nothing will come.
        if let place = gateways.firstIndex(where: { $0.id == gateway.id }),
            gateways[place].lostAt != nil
        {
            gateways[place].lostAt = now
        }
        if isNewProcess {
            changed()
        } else {
            // It may have been away from the portal, and have let leases and their names end.
            retellNames(of: nil, at: gateway.peer, at: now, into: &outbox)
        }
    }

    /// A gateway that works, or that started anew, is asked for again.
    mutating func forgive(_ gateway: GatewayID) {
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
        } else {
            // Its goodbye may be lost: it is asked now, and not when the next packet needs it.
            pool.probe(gateways[place].peer, at: now)
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
            case .distress(let peer): distressed(peer, at: now, into: &outbox)
            case .recovered(let peer): recovered(peer, at: now, into: &outbox)
            case .lost(let peer):
                guard let place = gatewayPlace(of: peer) else { break }
                output(.event(.gatewayLost(gateways[place].id)))
                lose(place, at: now, into: &outbox)
            case .pathChanged(let peer, _, _):
                guard let place = gatewayPlace(of: peer) else { break }
                gateways[place].pathSince = now
                counters.pathChanges += 1
                resendNames(to: peer, at: now, into: &outbox)
            case .unknownKey: break
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
        gateways[place].suspectSince = nil
        gateways[place].connectedSince = now
        gateways[place].pathSince = gateways[place].pathSince ?? now
        gateways[place].lostAt = nil
        gateways[place].nextCall = nil
        let id = gateways[place].id
        output(.event(.gatewayConnected(id)))
        forgive(id)
        changed()
        resendNames(to: peer, at: now, into: &outbox)
        promoteAll(at: now, into: &outbox)
        drainAll(of: id, at: now, into: &outbox)
        forgetUnused(at: now, into: &outbox)
    }

    /// Silence: the portal is asked for help.
    private mutating func distressed(
        _ peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        gateways[place].suspectSince = gateways[place].suspectSince ?? now
        counters.distresses += 1
        call(place, at: now)
    }

    /// Asks the portal to let a gateway open its NAT towards us, and at the same moment for a
    /// second gateway for what is in use; again after a while, as long as that lasts.
    mutating func call(_ place: Int, at now: Instant) {
        let gateway = gateways[place].id
        let active = inUse(at: gateway, now)
        gateways[place].nextCall =
            active.isEmpty ? nil : now.advanced(by: Limits.callInterval)
        computeDeadline()
        guard isPortalConnected else { return }
        punch(gateway)
        for id in active {
            guard let authorization = authorizations[id], !hasStandby(authorization, at: now),
                authorization.request.map({ $0.sentAt.duration(to: now) >= Limits.callInterval })
                    ?? true
            else { continue }
            request(id, isStandby: true, at: now)
        }
    }

    /// A gateway is new: where the portal believes that it is may be where it was.
    mutating func expectAnswer(of gateway: GatewayID, at now: Instant) {
        guard let place = gateways.firstIndex(where: { $0.id == gateway }),
            gateways[place].health == .connecting, gateways[place].nextCall == nil
        else { return }
        gateways[place].nextCall = now.advanced(by: Limits.answerPatience)
        computeDeadline()
    }

    /// Calls again for gateways that are still not heard.
    mutating func callForHelp(at now: Instant) {
        for place in gateways.indices {
            guard let next = gateways[place].nextCall, next <= now else { continue }
            gateways[place].nextCall = nil
            computeDeadline()
            if gateways[place].isSuspect {
                call(place, at: now)
            } else if gateways[place].health == .connecting {
                let gateway = gateways[place].id
                punch(gateway)
                guard !inUse(at: gateway, now).isEmpty else { continue }
                gateways[place].nextCall = now.advanced(by: Limits.punchInterval)
            }
        }
    }

    private mutating func recovered(
        _ peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        gateways[place].suspectSince = nil
        if pool.status(of: peer)?.isConnected ?? false { gateways[place].health = .connected }
        let id = gateways[place].id
        gateways[place].lostAt = nil
        gateways[place].nextCall = nil
        var released: [LeaseID] = []
        for resource in authorized where authorizations[resource]?.lease?.gateway == id {
            authorizations[resource]?.isAlone = false
            if authorizations[resource]?.isMoving == true { continue }
            if let standby = authorizations[resource]?.standby { released.append(standby.id) }
            authorizations[resource]?.standby = nil
        }
        release(released)
        forgive(id)
        changed()
        resendNames(to: peer, at: now, into: &outbox)
        promoteAll(at: now, into: &outbox)
        drainAll(of: id, at: now, into: &outbox)
        forgetUnused(at: now, into: &outbox)
    }

    /// What waits for a stand-by gateway to be heard.
    mutating func promoteAll(at now: Instant, into outbox: inout Outbox) {
        if standbyDue != nil { computeDeadline() }
        (isStandbyAwaited, standbyDue) = (false, nil)
        var hasPromoted = false
        for resource in authorized
        where authorizations[resource]?.standby != nil && promote(resource, at: now) {
            hasPromoted = true
            drain(resource, at: now, into: &outbox)
        }
        if hasPromoted { forgetUnused(at: now, into: &outbox) }
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
            return !authorization.held.isEmpty || siteQuestions.waits(for: id)
                || isRecent ?? false
        }
    }

    /// A gateway is not heard any more: what it served goes to the stand-by where there is one,
    /// else another one is asked for. Its leases stay: it may be heard again before that.
    mutating func lose(_ place: Int, at now: Instant, into outbox: inout Outbox) {
        guard gateways[place].health != .lost else { return }
        gateways[place].health = .lost
        gateways[place].suspectSince = gateways[place].suspectSince ?? now
        gateways[place].lostAt = now
        let id = gateways[place].id
        let active = inUse(at: id, now)
        changed()
        for resource in authorized {
            // A stand-by stays, too: it may be heard before anybody else.
            guard authorizations[resource]?.uses(id) == true else { continue }
            authorizations[resource]?.exclude(id, at: now)
            guard authorizations[resource]?.lease?.gateway == id else { continue }
            _ = promote(resource, at: now)
            drain(resource, at: now, into: &outbox)
        }
        if !active.isEmpty { call(place, at: now) }
        computeDeadline()
        forgetUnused(at: now, into: &outbox)
    }

    /// A gateway said goodbye: nothing of it is of use any more. What is in use is asked for again
    /// at once.
    mutating func leave(
        _ peer: PeerIndex,
        _ reason: ControlFrame.Goodbye,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gatewayPlace(of: peer) else { return }
        let id = gateways[place].id
        output(.event(.gatewayLeft(id)))
        let active = inUse(at: id, now)
        gateways[place].health = .lost
        // One whose leases are over is as good as any for the next one.
        let isGone = reason != .finished
        for resource in authorized where authorizations[resource]?.uses(id) == true {
            if isGone { authorizations[resource]?.exclude(id, at: now) }
            if authorizations[resource]?.standby?.gateway == id {
                authorizations[resource]?.standby = nil
            }
            if authorizations[resource]?.former?.gateway == id { endFormer(resource, at: now) }
            guard let ended = authorizations[resource]?.lease, ended.gateway == id else { continue }
            authorizations[resource]?.lease = nil
            authorizations[resource]?.requestedAt = nil
            // The portal must not take it for the one in use when the gateway is back.
            if promote(resource, at: now), isGone { release([ended.id]) }
            if isGone, active.contains(resource), isPortalConnected,
                authorizations[resource]?.lease == nil
            {
                request(resource, isStandby: false, at: now)
            }
        }
        remove(id, goodbye: nil, at: now, into: &outbox)
        changed()
        for resource in authorized where authorizations[resource]?.lease != nil {
            drain(resource, at: now, into: &outbox)
        }
    }

    /// Ends what no lease needs any more.
    mutating func forgetUnused(at now: Instant, into outbox: inout Outbox) {
        let unused = gateways.map(\.id).filter { id in
            !authorized.contains { resource in
                authorizations[resource]?.uses(id) == true
            }
        }
        for id in unused { remove(id, goodbye: .finished, at: now, into: &outbox) }
    }

    /// What a gateway carried goes elsewhere now, or nowhere: applications that wait shall notice.
    mutating func stirConnections(by id: GatewayID, at now: Instant) {
        guard let gateway = gateways.first(where: { $0.id == id }) else { return }
        connections.stir(gateway.peer, at: now)
    }

    private mutating func remove(
        _ id: GatewayID,
        goodbye: ControlFrame.Goodbye?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let place = gateways.firstIndex(where: { $0.id == id }) else { return }
        let gateway = gateways.remove(at: place)
        connections.stir(gateway.peer, at: now)
        forgetNames(of: gateway.peer)
        pool.remove(gateway.peer, goodbye: goodbye, at: now, into: &outbox)
    }
}
