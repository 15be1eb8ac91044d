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
        if let known = names[key], known.resource == resource, known.state == .active { return }
        guard names.count < NameOnGateway.Limits.names || names[key] != nil else { return }
        epoch += 1
        names[key] = NameOnGateway(
            resource: resource,
            name: name.description,
            proxies: proxies(of: key.slot),
            epoch: epoch,
            state: .told(
                nextSend: now,
                patienceEnd: now.advanced(by: NameOnGateway.Limits.patience),
                isGranted: isGranted
            )
        )
        if !toldNames.contains(key) { toldNames.append(key) }
        sendName(key, at: now, into: &outbox)
        computeDeadline()
    }

    /// Sends a names frame now; the next one is due after the gap.
    mutating func sendName(_ key: NameKey, at now: Instant, into outbox: inout Outbox) {
        guard var known = names[key],
            case .told(_, let patienceEnd, let isGranted) = known.state
        else { return }
        let frame = ControlFrame.names(
            ControlFrame.Names(
                epoch: known.epoch,
                resource: known.resource.text,
                name: known.name,
                proxies: known.proxies
            )
        )
        let outcome = pool.send(frame, to: key.peer, at: now, into: &outbox)
        // While there is no session, patience has not begun.
        let end =
            outcome == .connecting
            ? now.advanced(by: NameOnGateway.Limits.patience) : patienceEnd
        known.state = .told(
            nextSend: now.advanced(by: NameOnGateway.Limits.resendGap),
            patienceEnd: end,
            isGranted: isGranted
        )
        names[key] = known
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
        switch answer.status {
        case .active:
            known.state = .active
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
            if case .inactive = names[key]?.state {
                names[key] = nil
                flows.removeAll()
            }
        }
    }

    mutating func forgetNames(of peer: PeerIndex) {
        names = names.filter { $0.key.peer != peer }
        toldNames.removeAll { $0.peer == peer }
    }

    /// A gateway does not know the names of one resource any more.
    mutating func forgetNames(of peer: PeerIndex, for resource: ResourceID) {
        names = names.filter { $0.key.peer != peer || $0.value.resource != resource }
        toldNames.removeAll { names[$0] == nil }
    }

    /// Repeats frames that nobody answered, and gives up on what got no answer.
    mutating func advanceNames(to now: Instant, into outbox: inout Outbox) {
        for key in toldNames {
            guard let known = names[key],
                case .told(let nextSend, let patienceEnd, _) = known.state
            else { continue }
            if patienceEnd <= now {
                let end = now.advanced(by: NameOnGateway.Limits.patience)
                names[key]?.state = .inactive(.unresolved, until: end)
                toldNames.removeAll { $0 == key }
                changed()
                drain(known.resource, at: now, into: &outbox)
            } else if nextSend <= now {
                sendName(key, at: now, into: &outbox)
            }
        }
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
