internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
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
            guard gateway.health == .lost else { return }
            // It may come back before the portal finds another one.
            pool.probe(gateway.peer, at: now)
        }
        guard isPortalConnected, authorization.requestEarliest(now) <= now else { return }
        request(id, isStandby: false, at: now)
    }

    /// Sends a request for a lease.
    mutating func request(_ id: ResourceID, isStandby: Bool, at now: Instant) {
        guard var authorization = authorizations[id], router.knows(id) else { return }
        var without = authorization.excluded(at: now)
        if isStandby, let current = authorization.lease?.gateway, !without.contains(current) {
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
            withoutGateway: without.isEmpty ? nil : without
        )
        authorization.request = Authorization.Request(
            id: message.id,
            sentAt: now,
            isStandby: isStandby,
            message: message
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
        guard let gateway = upsert(message.gateway, at: now, into: &outbox) else {
            authorizations[id] = authorization
            return
        }
        let lease = Authorization.Lease(
            id: message.lease.id,
            gateway: gateway.id,
            endsAt: now.advanced(by: message.lease.lifetime)
        )
        // With the lease that was, the gateway forgot its names.
        if authorization.lease?.id != lease.id, authorization.standby?.id != lease.id {
            forgetNames(of: gateway.peer, for: id)
        }
        let isStandby = request.isStandby && isUsable(authorization.lease, at: now)
        if isStandby, authorization.lease?.gateway != gateway.id {
            authorization.standby = lease
        } else {
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
        output(.event(.authorized(id, gateway.id)))
        changed()
        drain(id, at: now, into: &outbox)
    }

    /// Whether packets can still take a lease: its gateway is not given up.
    private func isUsable(_ lease: Authorization.Lease?, at now: Instant) -> Bool {
        guard let lease, lease.endsAt > now else { return false }
        return gateways.contains { $0.id == lease.gateway && $0.health != .lost }
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
            until: now.advanced(by: Self.denialLifetime(of: message.refusal))
        )
        authorization.lastDenial = denial
        // Only those left out are there: the next request may be for them again.
        if message.refusal.code == .offline { authorization.excluded = [] }
        if !request.isStandby {
            authorization.denial = denial
            authorization.lease = nil
        }
        authorizations[id] = authorization
        guard !request.isStandby else { return }
        output(.event(.denied(id, message.refusal)))
        changed()
        forgetUnused(at: now, into: &outbox)
        drain(id, at: now, into: &outbox)
    }

    /// A portal in trouble is asked again sooner than one that decided.
    private static func denialLifetime(of refusal: Control.Refusal) -> Duration {
        let whole = Authorization.Limits.denialLifetime
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
        let isCurrent = authorization.lease?.id == message.lease
        if isCurrent { authorization.lease = nil }
        authorizations[message.resource] = authorization
        guard isCurrent else { return }
        output(
            .event(
                .leaseEnded(message.resource, code: message.code, sentence: message.sentence)
            )
        )
        changed()
        forgetUnused(at: now, into: &outbox)
    }

    mutating func receiveLeaseExtended(_ message: ToClient.LeaseExtended, at now: Instant) {
        let end = now.advanced(by: .seconds(message.lifetimeSeconds))
        for id in authorized {
            if authorizations[id]?.lease?.id == message.lease {
                authorizations[id]?.lease?.endsAt = end
            }
            if authorizations[id]?.standby?.id == message.lease {
                authorizations[id]?.standby?.endsAt = end
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
            refuse(.hostUnreachable, bytes, header, into: &outbox)
        }
    }
}
