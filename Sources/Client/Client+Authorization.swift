internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import RelayUse
internal import SansIO

extension Client {
    /// What is known of a resource's permission; made when nothing is.
    mutating func authorization(of id: ResourceID) -> Authorization {
        if let known = authorizations[id] { return known }
        authorizations[id] = Authorization()
        authorized.append(id)
        return Authorization()
    }

    /// Keeps a packet until its resource can be reached, and asks for what is missing.
    mutating func hold(
        _ bytes: RawSpan,
        _ offload: Offload,
        _ header: PacketHeader,
        for id: ResourceID,
        since heldAt: Instant?,
        at now: Instant
    ) {
        if heldAt == nil { counters.held += 1 }
        _ = authorization(of: id)
        let packet = HeldPackets.Packet(
            bytes: bytes.array,
            offload: offload,
            attempt: HeldPackets.Attempt(header),
            heldAt: heldAt ?? now
        )
        counters.overflowed += UInt64(authorizations[id]?.held.append(packet) ?? 0)
        kick(id, at: now)
        computeDeadline()
    }

    /// Asks for a lease, unless there is a usable one or it is too early.
    mutating func kick(_ id: ResourceID, at now: Instant) {
        guard let authorization = authorizations[id] else { return }
        if let lease = authorization.lease, lease.endsAt > now,
            let gateway = gateways.first(where: { $0.id == lease.gateway })
        {
            guard gateway.health != .connected else { return }
            // It may come back before the portal finds another one; and an attempt that was given
            // up, since nobody asked for it any more, begins anew.
            pool.probe(gateway.peer, at: now)
            guard gateway.health == .lost, !hasStandby(authorization, at: now), isPortalConnected,
                authorization.requestEarliest(now) <= now
            else { return }
            // Where there is no other one, the portal can make this one open its NAT.
            return request(id, isStandby: !authorization.isAlone, at: now)
        }
        guard isPortalConnected, authorization.requestEarliest(now) <= now else { return }
        request(id, isStandby: false, at: now)
    }

    /// Whether another gateway serves, or is about to.
    func hasStandby(_ authorization: Authorization, at now: Instant) -> Bool {
        guard let standby = authorization.standby, standby.endsAt > now else { return false }
        return gateways.contains { $0.id == standby.gateway && $0.health != .lost }
    }

    /// Sends a request for a lease.
    /// For a move, new flows take what comes, and running ones stay.
    mutating func request(
        _ id: ResourceID,
        isStandby: Bool,
        isMove: Bool = false,
        at now: Instant
    ) {
        guard var authorization = authorizations[id], router.knows(id) else { return }
        var without = authorization.excluded(at: now)
        if isStandby || isMove, let current = authorization.lease?.gateway,
            !without.contains(current)
        {
            without.append(current)
        }
        let name = authorization.name
        let message = FromRole.Authorize(
            id: RequestID(hex(random.next()) + hex(random.next())),
            resource: id,
            name: name?.text,
            proxies: name.map { proxies(of: $0.slot) } ?? [],
            connected: preferred(authorization, without),
            candidates: candidates,
            withoutGateway: without.isEmpty ? nil : without,
            standBy: isStandby ? true : nil
        )
        authorization.request = Authorization.Request(
            id: message.id,
            sentAt: now,
            isStandby: isStandby,
            message: message,
            isMove: isMove
        )
        authorization.requestedAt = now
        authorizations[id] = authorization
        output(.toPortal(.authorize(message)))
    }

    private func hex(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    /// All proxy addresses of a name, IPv4 first.
    func proxies(of slot: Int) -> [IPAddress] {
        switch stub {
        case .some(let stub):
            stub.proxies.addresses(of: slot, .ipv4) + stub.proxies.addresses(of: slot, .ipv6)
        case .none: []
        }
    }

    /// Gateways that flows would stick to: the one used last, then those we are connected to.
    private func preferred(_ authorization: Authorization, _ without: [GatewayID]) -> [GatewayID] {
        var preferred: [GatewayID] = []
        if let last = authorization.lastGateway { preferred.append(last) }
        for gateway in gateways where gateway.health == .connected && !gateway.isSuspect {
            if !preferred.contains(gateway.id) { preferred.append(gateway.id) }
        }
        return preferred.filter { !without.contains($0) }
    }
}

// MARK: - Answers of the portal

extension Client {
    mutating func receiveAuthorized(
        _ message: ToClient.Authorized,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let id = message.resource
        guard router.knows(id), var authorization = authorizations[id],
            let request = authorization.request, request.id == message.id
        else { return }
        authorization.request = nil
        authorization.isAlone = false
        guard let gateway = upsert(message.gateway, at: now, into: &outbox) else {
            authorizations[id] = authorization
            return
        }
        expectAnswer(of: gateway.id, at: now)
        let lease = Authorization.Lease(
            id: message.lease.id,
            gateway: gateway.id,
            endsAt: now.advanced(by: message.lease.lifetime)
        )
        // With the lease that was, the gateway forgot its names.
        if authorization.lease?.id != lease.id, authorization.standby?.id != lease.id {
            forgetNames(of: gateway.peer, for: id)
        }
        if isBeside(authorization.lease, gateway.id, request, at: now) {
            if let old = authorization.standby, old.id != lease.id { release([old.id]) }
            authorization.standby = lease
            authorization.isMoving = request.isMove
        } else {
            if let old = authorization.lease, old.gateway != lease.gateway {
                stirConnections(by: old.gateway, at: now)
            }
            // What stood by serves now: were it let go of, the lease would end.
            if let old = authorization.standby, old.gateway == lease.gateway {
                if old.id != lease.id { release([old.id]) }
                authorization.standby = nil
            }
            authorization.lease = lease
            authorization.denial = nil
            authorization.lastGateway = gateway.id
        }
        authorizations[id] = authorization
        if let name = request.message.name, let slot = authorization.name?.slot,
            authorization.name?.text == name
        {
            let key = NameKey(peer: gateway.peer, slot: slot)
            tell(key, of: id, isGranted: true, at: now, into: &outbox)
        }
        // A lease that is renewed may have ended there meanwhile, and its names with it.
        retellNames(of: id, at: gateway.peer, at: now, into: &outbox)
        output(.event(.authorized(id, gateway.id)))
        changed()
        _ = promote(id, at: now)
        drain(id, at: now, into: &outbox)
        forgetUnused(at: now, into: &outbox)
    }

    /// Whether a new lease stands beside the one that there is: that may still come back.
    private func isBeside(
        _ lease: Authorization.Lease?,
        _ gateway: GatewayID,
        _ request: Authorization.Request,
        at now: Instant
    ) -> Bool {
        guard let lease, lease.endsAt > now, lease.gateway != gateway,
            let current = gateways.first(where: { $0.id == lease.gateway })
        else { return false }
        return request.isStandby || request.isMove || current.health == .lost
    }

    /// Packets take the stand-by lease as soon as its gateway is heard and the first one is not.
    ///
    /// - Returns: Whether they do now.
    mutating func promote(_ id: ResourceID, at now: Instant) -> Bool {
        guard var authorization = authorizations[id], let standby = authorization.standby,
            standby.endsAt > now,
            let next = gateways.first(where: { $0.id == standby.gateway }),
            next.health == .connected, !next.isSuspect
        else { return false }
        if let lease = authorization.lease, lease.endsAt > now,
            let current = gateways.first(where: { $0.id == lease.gateway })
        {
            if authorization.isMoving, current.health != .lost {
                moveNewFlows(of: id, at: now)
                return true
            }
            guard current.health == .lost else { return false }
            // When nobody is heard the fault is ours: whoever is heard first serves.
            guard hasHeard(next, since: current.suspectSince) else {
                isStandbyAwaited = true
                let isAsked = standbyAskedAt.map { $0.duration(to: now) < Limits.standbyInterval }
                if isAsked != true {
                    standbyAskedAt = now
                    pool.probe(next.peer, at: now)
                }
                return false
            }
            guard isOver(headStartOf: current, before: next, for: id, at: now) else {
                return false
            }
        }
        if let old = authorization.lease {
            release([old.id])
            stirConnections(by: old.gateway, at: now)
        }
        authorization.lease = standby
        authorization.standby = nil
        authorization.denial = nil
        authorization.isAlone = false
        authorization.lastGateway = standby.gateway
        authorizations[id] = authorization
        changed()
        return true
    }

    /// Whether a gateway that was lost while nothing was heard of anybody, who could have been, had
    /// its time to be heard as the stand-by is now.
    private mutating func isOver(
        headStartOf current: GatewayOnClient,
        before next: GatewayOnClient,
        for id: ResourceID,
        at now: Instant
    ) -> Bool {
        guard let suspectSince = current.suspectSince, let resumedAt = pool.resumedAt,
            suspectSince.duration(to: resumedAt) >= Limits.ownFault,
            !relays.list.isEmpty || next.connectedSince.map({ $0 < suspectSince }) ?? false
        else { return true }
        let heardAt = authorizations[id]?.standbyHeardAt ?? now
        authorizations[id]?.standbyHeardAt = heardAt
        let due = heardAt.advanced(by: Limits.headStart)
        guard due > now else { return true }
        isStandbyAwaited = true
        standbyDue = standbyDue.map { min($0, due) } ?? due
        computeDeadline()
        return false
    }

    private func hasHeard(_ gateway: GatewayOnClient, since start: Instant?) -> Bool {
        guard let start else { return true }
        return pool.status(of: gateway.peer)?.lastHeard.map { $0 >= start } ?? false
    }

    /// Tells the portal of leases that are not needed any more.
    mutating func release(_ leases: [LeaseID]) {
        guard isPortalConnected, !leases.isEmpty else { return }
        output(.toPortal(.release(FromRole.Release(leases: leases))))
    }

    mutating func receiveDenied(
        _ message: ToClient.Denied,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let id = message.resource
        guard var authorization = authorizations[id], let request = authorization.request,
            request.id == message.id
        else { return }
        authorization.request = nil
        let denial = Authorization.Denial(
            refusal: message.refusal,
            failed: message.failed,
            until: now.advanced(by: Self.denialLifetime(of: message.refusal, request))
        )
        authorization.lastDenial = denial
        // Only those left out are there: the next request may be for them again.
        let isOffline = message.refusal.code == .offline
        if isOffline { authorization.excluded = [] }
        // That nobody else serves takes nothing from who does, or comes back.
        let isKept =
            (request.isStandby || request.isMove || isOffline)
            && !authorization.leases(at: now).isEmpty
        if isKept {
            authorization.isAlone = isOffline && !request.isMove
            authorizations[id] = authorization
            if request.isMove { drain(id, at: now, into: &outbox) }
            return computeDeadline()
        }
        authorization.denial = denial
        if let old = authorization.lease { stirConnections(by: old.gateway, at: now) }
        authorization.lease = nil
        authorizations[id] = authorization
        output(.event(.denied(id, message.refusal)))
        changed()
        forgetUnused(at: now, into: &outbox)
        drain(id, at: now, into: &outbox)
    }

    /// A portal in trouble is asked again sooner than one that decided, and so is one that knows of
    /// no gateway but those that we left out.
    private static func denialLifetime(
        of refusal: Control.Refusal,
        _ request: Authorization.Request
    ) -> Duration {
        let whole = Authorization.Limits.denialLifetime
        if refusal.code == .offline, request.message.withoutGateway?.isEmpty == false {
            return Authorization.Limits.requestInterval
        }
        switch refusal.kind {
        case .retry: return Authorization.Limits.requestInterval
        case .retryAfter:
            return refusal.retryAfterSeconds.map { min(.seconds($0), whole) } ?? whole
        case .mend, .signIn: return whole
        }
    }

    mutating func receiveLeaseEnded(
        _ message: ToClient.LeaseEnded,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard var authorization = authorizations[message.resource] else { return }
        if authorization.standby?.id == message.lease { authorization.standby = nil }
        if authorization.former?.id == message.lease {
            endFormer(message.resource, at: now)
            authorization.former = nil
        }
        let ended = authorization.lease.flatMap { $0.id == message.lease ? $0 : nil }
        if ended != nil { authorization.lease = nil }
        authorizations[message.resource] = authorization
        guard let ended else { return forgetUnused(at: now, into: &outbox) }
        stirConnections(by: ended.gateway, at: now)
        output(
            .event(
                .leaseEnded(message.resource, code: message.code, sentence: message.sentence)
            )
        )
        changed()
        forgetUnused(at: now, into: &outbox)
    }

    mutating func receiveLeaseExtended(
        _ message: ToClient.LeaseExtended,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let end = now.advanced(by: .seconds(message.lifetimeSeconds))
        for id in authorized {
            if authorizations[id]?.lease?.id == message.lease {
                authorizations[id]?.lease?.endsAt = end
            }
            if authorizations[id]?.standby?.id == message.lease {
                authorizations[id]?.standby?.endsAt = end
            }
            if authorizations[id]?.former?.id == message.lease {
                authorizations[id]?.former?.endsAt = end
            }
            // Away from the portal the gateway may have let it end, and its names with it.
            for lease in authorizations[id]?.leases(at: now) ?? [] where lease.id == message.lease {
                guard let gateway = gateways.first(where: { $0.id == lease.gateway }) else {
                    continue
                }
                retellNames(of: id, at: gateway.peer, at: now, into: &outbox)
            }
        }
        changed()
    }

    /// Something changed for a resource: what was denied may be allowed now.
    mutating func forgetDenial(_ id: ResourceID) {
        authorizations[id]?.excluded = []
        guard authorizations[id]?.denial != nil else { return }
        authorizations[id]?.denial = nil
        authorizations[id]?.requestedAt = nil
        changed()
    }
}

// MARK: - Packets that wait

extension Client {
    /// Sends the packets that wait for a resource through the normal routing; those that still lack
    /// something are kept again.
    mutating func drain(_ id: ResourceID, at now: Instant, into outbox: inout Outbox) {
        proceedQuestions(of: id, at: now, into: &outbox)
        guard let packets = authorizations[id]?.held.takeAll(), !packets.isEmpty else { return }
        for (index, packet) in packets.enumerated() {
            let bytes = packet.bytes.rawSpan
            guard let header = try? PacketHeader(bytes) else { continue }
            let isTaken =
                outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom)
                && forward(
                    bytes,
                    packet.offload,
                    header,
                    heldAt: packet.heldAt,
                    at: now,
                    into: &outbox
                )
            guard isTaken else {
                for rest in packets[index...] { authorizations[id]?.held.append(rest) }
                if !draining.contains(id) { draining.append(id) }
                break
            }
        }
        computeDeadline()
    }

    /// Drains whatever waits for a gateway.
    mutating func drainAll(of gateway: GatewayID, at now: Instant, into outbox: inout Outbox) {
        for id in authorized where authorizations[id]?.lease?.gateway == gateway {
            drain(id, at: now, into: &outbox)
        }
    }

    /// Tells the senders of packets that waited in vain.
    mutating func refuseExpired(_ id: ResourceID, at now: Instant, into outbox: inout Outbox) {
        guard outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom),
            let packets = authorizations[id]?.held.takeExpired(at: now)
        else { return }
        for packet in packets {
            let bytes = packet.bytes.rawSpan
            guard let header = try? PacketHeader(bytes) else { continue }
            counters.unreachable += 1
            // A connection whose lease lives may go on when its gateway is heard again.
            if header.isRunningTCP, !(authorizations[id]?.leases(at: now).isEmpty ?? true) {
                continue
            }
            refuse(.hostUnreachable, bytes, header, into: &outbox)
        }
    }
}
