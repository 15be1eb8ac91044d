internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import SansIO

// New flows of a resource take another gateway, while connections that run stay where they are:
// when a gateway drains, or does not reach the resource.
extension Client {
    /// The portal wants new flows of a resource elsewhere.
    mutating func receiveMove(
        _ message: ToClient.Move,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let id = message.resource
        guard let authorization = authorizations[id], authorization.uses(message.gateway) else {
            return
        }
        output(
            .event(
                .moving(id, from: message.gateway, code: message.code, sentence: message.sentence)
            )
        )
        if let standby = authorization.standby, standby.gateway == message.gateway {
            authorizations[id]?.standby = nil
            release([standby.id])
            forgetUnused(at: now, into: &outbox)
        }
        guard authorization.lease?.gateway == message.gateway else { return }
        authorizations[id]?.exclude(message.gateway, at: now)
        // A lease that stands by elsewhere may be just what is needed, but lives for a short time
        // only: the portal is asked for one to stay with.
        request(id, isStandby: false, isMove: true, at: now)
    }

    /// A gateway cannot resolve a name: another one of the site may. Asked once in a while.
    mutating func moveFrom(_ peer: PeerIndex, _ id: ResourceID, at now: Instant) {
        guard isPortalConnected, let place = gatewayPlace(of: peer),
            let authorization = authorizations[id], authorization.request == nil,
            authorization.lease?.gateway == gateways[place].id,
            !authorization.excluded(at: now).contains(gateways[place].id)
        else { return }
        authorizations[id]?.exclude(gateways[place].id, at: now)
        request(id, isStandby: false, isMove: true, at: now)
    }

    /// Whether it is not known yet if another gateway takes a resource's new flows.
    func isMoveAwaited(_ id: ResourceID) -> Bool {
        guard let authorization = authorizations[id] else { return false }
        return authorization.isMoving || authorization.request?.isMove == true
    }

    /// The stand-by takes new flows from now on. What was begun in vain of late is begun again.
    mutating func moveNewFlows(of id: ResourceID, at now: Instant) {
        guard let authorization = authorizations[id], let next = authorization.standby,
            let old = authorization.lease
        else { return }
        // Of two former leases, the older one has had its time.
        endFormer(id, at: now)
        authorizations[id]?.standby = nil
        authorizations[id]?.lease = next
        authorizations[id]?.denial = nil
        authorizations[id]?.isAlone = false
        authorizations[id]?.lastGateway = next.gateway
        changed()
        guard let gateway = gateways.first(where: { $0.id == old.gateway }) else { return }
        var destinations: Set<Endpoint> = []
        for destination in connections.destinations(by: gateway.peer)
        where isOf(id, destination.address) {
            destinations.insert(destination)
        }
        connections.pin(gateway.peer, to: destinations, for: id)
        let begun = openings.take(by: gateway.peer, at: now)
        if connections.hasPinned(for: id, at: now) || !begun.isEmpty {
            // What was begun may be answered there yet.
            authorizations[id]?.former = old
            formersDue = formersDue ?? now.advanced(by: Limits.formerInterval)
        } else {
            release([old.id])
        }
        for segment in begun {
            guard let header = try? PacketHeader(segment.rawSpan), !connections.contains(header)
            else { continue }
            _ = authorizations[id]?.held.append(
                HeldPackets.Packet(
                    bytes: segment,
                    offload: .none,
                    attempt: HeldPackets.Attempt(header),
                    heldAt: now
                )
            )
        }
    }

    /// The answer to a first segment: the connection is the gateway's that it came by, also where
    /// others are to take another one.
    mutating func noteAnswer(_ header: PacketHeader, by peer: PeerIndex, at now: Instant) {
        guard let place = gatewayPlace(of: peer) else { return }
        let gateway = gateways[place].id
        var former: ResourceID?
        for id in authorized
        where authorizations[id]?.former?.gateway == gateway && isOf(id, header.source) {
            former = id
        }
        connections.answered(header, by: peer, for: former, at: now)
    }

    /// Whether packets to an address may be a resource's.
    private mutating func isOf(_ id: ResourceID, _ address: IPAddress) -> Bool {
        guard stub?.proxies.covers(address) == true else {
            return router.covering(address).contains(id)
        }
        guard let slot = stub?.proxies.place(of: address)?.slot else { return false }
        return stub?.resources(of: slot).contains(id) == true
    }

    /// The way of a packet whose connection stays at the gateway of before.
    func formerWay(
        _ header: PacketHeader,
        _ authorization: Authorization,
        _ id: ResourceID,
        slot: Int,
        at now: Instant
    ) -> Way? {
        guard let former = authorization.former, former.endsAt > now, header.isRunningTCP,
            let gateway = gateways.first(where: { $0.id == former.gateway }),
            gateway.health == .connected, connections.isPinned(header, to: gateway.peer)
        else { return nil }
        var way = Way(peer: gateway.peer, slot: slot, resource: id, end: former.endsAt)
        way.isSplit = true
        return way
    }

    /// Gives a former lease back; connections that still need it end.
    mutating func endFormer(_ id: ResourceID, at now: Instant) {
        guard let former = authorizations[id]?.former else { return }
        authorizations[id]?.former = nil
        connections.unpin(id, at: now)
        // It may be in use again, or be about to.
        let isNeeded =
            authorizations[id]?.lease?.id == former.id
            || authorizations[id]?.standby?.id == former.id
        if !isNeeded { release([former.id]) }
        changed()
    }

    /// Gives former leases back that no connection needs any more.
    ///
    /// - Returns: Whether there were any.
    mutating func endUnusedFormers(at now: Instant) -> Bool {
        guard let formersDue, formersDue <= now else { return false }
        self.formersDue = nil
        var hasEnded = false
        for id in authorized where authorizations[id]?.former != nil {
            if connections.hasPinned(for: id, at: now) {
                self.formersDue = now.advanced(by: Limits.formerInterval)
            } else {
                endFormer(id, at: now)
                hasEnded = true
            }
        }
        return hasEnded
    }
}
