internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

extension Client {
    /// Tells a gateway which proxy addresses stand for a name; at once, or when it is connected.
    /// Where the portal told it too (a granted name), packets need not wait for its answer.
    mutating func tell(
        _ key: NameKey,
        of resource: ResourceID,
        isGranted: Bool,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let name = stub?.proxies.name(of: key.slot) else { return }
        let known = names[key].flatMap { $0.resource == resource ? $0 : nil }
        if known?.state == .active { return }
        guard names.count < NameOnGateway.Limits.names || names[key] != nil else { return }
        epoch += 1
        names[key] = NameOnGateway(
            resource: resource,
            name: name.description,
            proxies: proxies(of: key.slot),
            epoch: epoch,
            state: .unanswered(isGranted: isGranted),
            telling: NameOnGateway.Telling(since: now, nextSend: now),
            toldAt: now,
            wasActive: known?.wasActive ?? false
        )
        begin(key, at: now, into: &outbox)
    }

    /// Tells a name again that packets pass for: the gateway may have lost it.
    mutating func retell(_ key: NameKey, at now: Instant, into outbox: inout Outbox) {
        guard var known = names[key], known.toldAt.duration(to: now) >= Self.retellGap else {
            return
        }
        if case .inactive = known.state { return }
        epoch += 1
        (known.epoch, known.toldAt) = (epoch, now)
        known.proxies = proxies(of: key.slot)
        known.telling = NameOnGateway.Telling(since: now, nextSend: now)
        names[key] = known
        begin(key, at: now, into: &outbox)
    }

    private static var retellGap: Duration { NameOnGateway.Limits.retellGap }

    private mutating func begin(_ key: NameKey, at now: Instant, into outbox: inout Outbox) {
        if !toldNames.contains(key) { toldNames.append(key) }
        sendName(key, at: now, into: &outbox)
        computeDeadline()
    }

    /// Tells a gateway again of the names in use there: of one resource, or of all.
    mutating func retellNames(
        of resource: ResourceID?,
        at peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let keys = names.filter { entry in
            entry.key.peer == peer && entry.value.state == .active
                && (resource == nil || entry.value.resource == resource)
        }.keys.sorted { $0.slot < $1.slot }
        let used = keys.filter { key in
            guard let last = stub?.proxies.lastPacket(of: key.slot) else { return false }
            return last.duration(to: now) < NameOnGateway.Limits.useTime
        }
        for key in used.prefix(NameOnGateway.Limits.retold) {
            retell(key, at: now, into: &outbox)
        }
    }

    /// Sends a names frame now; the next one is due after the gap.
    mutating func sendName(_ key: NameKey, at now: Instant, into outbox: inout Outbox) {
        guard let known = names[key], var telling = known.telling else { return }
        let frame = ControlFrame.names(
            ControlFrame.Names(
                epoch: known.epoch,
                resource: known.resource.text,
                name: known.name,
                proxies: known.proxies
            )
        )
        if pool.send(frame, to: key.peer, at: now, into: &outbox) == .connecting {
            telling.nextSend = nil
        } else {
            // Patience begins with the session.
            if telling.nextSend == nil { telling.since = now }
            let gaps = NameOnGateway.Limits.resendGaps
            telling.nextSend = now.advanced(by: gaps[min(telling.sends, gaps.count - 1)])
            telling.sends += 1
        }
        names[key]?.telling = telling
        computeDeadline()
    }

    /// A gateway is heard, by another path or again: what it did not answer may never have reached
    /// it, and patience begins anew.
    mutating func resendNames(to peer: PeerIndex, at now: Instant, into outbox: inout Outbox) {
        for key in toldNames where key.peer == peer {
            names[key]?.telling?.since = now
            sendName(key, at: now, into: &outbox)
        }
    }

    /// A gateway said what became of a name.
    mutating func receiveNamesAnswer(
        _ answer: ControlFrame.NamesAnswer,
        of peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let slot = slot(of: answer.name)
        guard let slot, var known = names[NameKey(peer: peer, slot: slot)],
            answer.epoch == known.epoch, known.resource.text == answer.resource
        else { return }
        let key = NameKey(peer: peer, slot: slot)
        toldNames.removeAll { $0 == key }
        known.telling = nil
        switch answer.status {
        case .active:
            known.state = .active
            known.wasActive = true
            stub?.proxies.setFamilies(
                of: slot,
                ipv4: answer.families.contains(.ipv4),
                ipv6: answer.families.contains(.ipv6)
            )
        case .notAuthorized:
            // The lease is gone there, as after a restart that we did not notice.
            names[key] = nil
            if let place = gatewayPlace(of: peer),
                authorizations[known.resource]?.lease?.gateway == gateways[place].id
            {
                authorizations[known.resource]?.lease = nil
            }
            changed()
            return drain(known.resource, at: now, into: &outbox)
        case .nameMismatch, .noAddresses, .unresolved, .other:
            if answer.status == .unresolved { moveFrom(peer, known.resource, at: now) }
            let end = now.advanced(by: NameOnGateway.Limits.refusalLifetime)
            known.state = .inactive(answer.status, until: end)
        }
        names[key] = known
        changed()
        drain(known.resource, at: now, into: &outbox)
    }

    private func slot(of name: String) -> Int? {
        switch stub {
        case .some(let stub): Self.name(name).flatMap { stub.proxies.slot(of: $0) }
        case .none: nil
        }
    }

    /// A query came for a name: what was refused for lack of addresses is tried again.
    mutating func retryName(_ slot: Int) {
        for gateway in gateways {
            let key = NameKey(peer: gateway.peer, slot: slot)
            guard case .inactive = names[key]?.state else { continue }
            // Sessions of before stay its own, whatever becomes of it now.
            if names[key]?.wasActive == true {
                names[key]?.state = .unanswered(isGranted: false)
            } else {
                names[key] = nil
            }
            flows.removeAll()
        }
    }

    mutating func forgetNames(of peer: PeerIndex) {
        names = names.filter { $0.key.peer != peer }
        toldNames.removeAll { $0.peer == peer }
    }

    /// A gateway does not know the names of one resource any more; packets tell it again.
    mutating func forgetNames(of peer: PeerIndex, for resource: ResourceID) {
        let concerned = names.filter { $0.key.peer == peer && $0.value.resource == resource }
        for key in concerned.keys.sorted(by: { $0.slot < $1.slot }) {
            guard names[key]?.wasActive == true else {
                names[key] = nil
                continue
            }
            names[key]?.state = .unanswered(isGranted: false)
            names[key]?.telling = nil
        }
        toldNames.removeAll { names[$0]?.telling == nil }
    }

    /// Repeats frames that nobody answered, and gives up on what never was answered.
    mutating func advanceNames(to now: Instant, into outbox: inout Outbox) {
        for key in toldNames {
            guard let known = names[key], let telling = known.telling else { continue }
            guard let nextSend = telling.nextSend else { continue }
            if known.state == .unanswered(isGranted: false), !known.wasActive,
                telling.patienceEnd <= now
            {
                let end = now.advanced(by: NameOnGateway.Limits.patience)
                names[key]?.state = .inactive(.unresolved, until: end)
                moveFrom(key.peer, known.resource, at: now)
                giveUp(key)
                changed()
                drain(known.resource, at: now, into: &outbox)
            } else if nextSend <= now {
                if telling.sends >= NameOnGateway.Limits.sends {
                    giveUp(key)
                } else {
                    sendName(key, at: now, into: &outbox)
                }
            }
        }
    }

    private mutating func giveUp(_ key: NameKey) {
        names[key]?.telling = nil
        toldNames.removeAll { $0 == key }
        computeDeadline()
    }

    /// Tells the gateways of names whose addresses were given back.
    mutating func releaseNames(at now: Instant, into outbox: inout Outbox) {
        while let release = stub?.proxies.popRelease() {
            for gateway in gateways {
                let key = NameKey(peer: gateway.peer, slot: release.slot)
                guard names.removeValue(forKey: key) != nil else { continue }
                toldNames.removeAll { $0 == key }
                epoch += 1
                let frame = ControlFrame.release(
                    ControlFrame.Release(
                        epoch: epoch,
                        name: release.name.description,
                        proxies: release.addresses
                    )
                )
                _ = pool.send(frame, to: gateway.peer, at: now, into: &outbox)
            }
            flows.removeAll()
            sources.removeAll()
        }
    }
}

extension NameOnGateway.Telling {
    /// When a name that never was answered counts as not served.
    var patienceEnd: Instant { since.advanced(by: NameOnGateway.Limits.patience) }
}
