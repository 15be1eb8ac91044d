internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

extension Client {
    /// A connection that a packet can take now.
    struct Way {
        var peer: PeerIndex
        /// The proxy table's slot of the destination; -1 for none.
        var slot: Int
        /// The resource that it is for; nil for the gateway itself.
        var resource: ResourceID?
        /// When the lease ends.
        var end: Instant
        /// Whether packets to the same place may have to take another one.
        var isSplit = false
    }

    /// What becomes of a packet.
    enum Route {
        case send(Way)
        /// It waits for what the resource needs.
        case hold(ResourceID)
        /// Its sender is told.
        case refuse(IP.Refusal)
        case drop
    }

    /// Decides about a packet of the host. What is missing is asked for by ``hold``.
    mutating func route(
        _ header: PacketHeader,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Route {
        guard header.isTCP || header.isUDP || header.isICMP || header.isLaterFragment else {
            return .refuse(.protocolUnreachable)
        }
        let destination = header.destination
        if stub?.proxies.covers(destination) ?? false {
            return routeToName(header, at: now, into: &outbox)
        }
        if plan.tunnel.contains(where: { $0.contains(destination) }) {
            return routeToGateway(destination)
        }
        switch follow(header, router.choose(for: header)) {
        case .resource(let id):
            return routeToResource(id, slot: -1, header, at: now, into: &outbox)
        case .filtered:
            counters.filtered += 1
            return .refuse(.prohibited)
        case .none:
            counters.unknownDestination += 1
            return .refuse(.networkUnreachable)
        }
    }

    /// Later fragments go where their first one went, whatever would be chosen for them.
    private mutating func follow(_ header: PacketHeader, _ choice: Router.Choice) -> Router.Choice {
        guard header.isFragment else { return choice }
        guard header.isLaterFragment else {
            fragments.note(header, choice)
            return choice
        }
        let known = fragments.choice(for: header)
        if case .resource(let id)? = known, !router.knows(id) { return choice }
        return known ?? choice
    }

    private mutating func routeToName(
        _ header: PacketHeader,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Route {
        guard let place = stub?.proxies.place(of: header.destination),
            let matching = stub?.resources(of: place.slot)
        else {
            counters.unknownDestination += 1
            return .refuse(.hostUnreachable)
        }
        switch follow(header, router.choose(among: matching, for: header)) {
        case .resource(let id):
            return routeToResource(id, slot: place.slot, header, at: now, into: &outbox)
        case .filtered:
            counters.filtered += 1
            return .refuse(.prohibited)
        case .none:
            counters.unknownDestination += 1
            return .refuse(.hostUnreachable)
        }
    }

    /// A gateway's own address: reachable while we are connected to it; other clients are not.
    private mutating func routeToGateway(_ destination: IPAddress) -> Route {
        for gateway in gateways where gateway.tunnel.contains(destination) {
            guard gateway.health == .connected else { break }
            let end = Instant(nanoseconds: .max)
            return .send(Way(peer: gateway.peer, slot: -1, resource: nil, end: end))
        }
        counters.unknownDestination += 1
        return .refuse(.hostUnreachable)
    }

    private mutating func routeToResource(
        _ id: ResourceID,
        slot: Int,
        _ header: PacketHeader,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Route {
        // The end of a flow that has no lease any more is of no use to anybody.
        if header.endsFlow, authorizations[id]?.lease == nil { return .drop }
        var authorization = authorization(of: id)
        authorization.lastUsed = now
        if slot >= 0, let name = stub?.proxies.name(of: slot) {
            authorization.name = (name.description, slot)
        }
        authorizations[id] = authorization
        if let denial = authorization.denial, denial.until > now {
            counters.denied += 1
            return .refuse(Self.refusal(of: denial))
        }
        if let former = formerWay(header, authorization, id, slot: slot, at: now) {
            return slot < 0
                ? .send(former) : routeToTold(former, header, id, at: now, into: &outbox)
        }
        guard let lease = authorization.lease, lease.endsAt > now,
            let gateway = gateways.first(where: { $0.id == lease.gateway })
        else { return .hold(id) }
        guard gateway.health == .connected else {
            return routeToSilent(gateway, authorization, header, id, at: now)
        }
        var way = Way(peer: gateway.peer, slot: slot, resource: id, end: lease.endsAt)
        way.isSplit = authorization.former != nil
        guard slot >= 0 else { return .send(way) }
        return routeToTold(way, header, id, at: now, into: &outbox)
    }

    /// The gateway is not heard, or not yet: packets wait. Where that has lasted for long and the
    /// portal knows of no other gateway, new flows are told at once; running ones may still live.
    /// What was found out long ago says nothing: after a pause it is tried anew.
    private mutating func routeToSilent(
        _ gateway: GatewayOnClient,
        _ authorization: Authorization,
        _ header: PacketHeader,
        _ id: ResourceID,
        at now: Instant
    ) -> Route {
        guard let place = gateways.firstIndex(where: { $0.id == gateway.id }) else {
            return .hold(id)
        }
        let patience = HeldPackets.Limits.patience
        let isAskedAnew = gateway.askedAt.map { $0.duration(to: now) >= patience } ?? true
        gateways[place].askedAt = now
        if isAskedAnew, gateway.lostAt != nil { gateways[place].lostAt = now }
        guard authorization.isAlone, let lostAt = gateways[place].lostAt,
            lostAt.duration(to: now) >= patience, !header.isRunningTCP
        else { return .hold(id) }
        kick(id, at: now)
        counters.unreachable += 1
        return .refuse(.hostUnreachable)
    }

    /// A name must be known to its gateway before packets for it make sense there.
    private mutating func routeToTold(
        _ way: Way,
        _ header: PacketHeader,
        _ id: ResourceID,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Route {
        let key = NameKey(peer: way.peer, slot: way.slot)
        guard let known = names[key], known.resource == id else {
            tell(key, of: id, isGranted: false, at: now, into: &outbox)
            return .hold(id)
        }
        switch known.state {
        case .active: return .send(way)
        case .unanswered(let isGranted):
            if known.telling == nil {
                tell(key, of: id, isGranted: isGranted, at: now, into: &outbox)
            }
            return isGranted ? .send(way) : .hold(id)
        case .inactive(let status, let until):
            guard until > now else {
                tell(key, of: id, isGranted: false, at: now, into: &outbox)
                return .hold(id)
            }
            // Another gateway may be able to: that is being found out.
            if status == .unresolved, isMoveAwaited(id) { return .hold(id) }
            // Sessions of before keep their address: the gateway knows which these are, also those
            // that began before this process did.
            let isOlder = known.wasActive ? !header.opensConnection : header.isRunningTCP
            if isOlder, status != .nameMismatch { return .send(way) }
            counters.unreachable += 1
            return .refuse(status == .nameMismatch ? .prohibited : .hostUnreachable)
        }
    }

    /// What the sender of a packet is told of a denial.
    static func refusal(of denial: Authorization.Denial) -> IP.Refusal {
        denial.refusal.code == .offline ? .hostUnreachable : .prohibited
    }
}

extension PacketHeader {
    /// An error about a packet, or the reset of a connection.
    var endsFlow: Bool { isICMPError || isTCP && tcpFlags.contains(.rst) }

    /// The first segment of a TCP connection.
    var opensConnection: Bool { isTCP && tcpFlags.contains(.syn) }

    /// A segment of a TCP connection that is past its first one.
    var isRunningTCP: Bool { isTCP && !tcpFlags.contains(.syn) }
}
