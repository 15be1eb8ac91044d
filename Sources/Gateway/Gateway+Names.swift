internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

// What clients say about names inside the tunnel, and the packets that wait for real addresses.
extension Gateway {
    /// A control frame of a client.
    mutating func receive(
        _ frame: ControlFrame,
        from peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let slot = slot(of: peer) else { return }
        switch frame {
        case .names(let names): receive(names, since: nil, slot, at: now, into: &outbox)
        case .release(let release): receive(release, slot)
        case .goodbye: noteDisconnected(slot) { .clientLeft($0) }
        case .probe, .probeAnswer, .path, .namesAnswer: break
        }
    }

    /// A name of an authorised resource: checked against the pattern, bound, looked up, answered.
    /// One that waited for a grant comes with the time since which it does.
    mutating func receive(
        _ frame: ControlFrame.Names,
        since: Instant?,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let client = clients[slot]?.id, let name = Name(frame.name),
            (try? check(frame.proxies)) != nil, !frame.proxies.isEmpty
        else {
            counters.malformed += 1
            return
        }
        if let known = clients[slot]?.names[name], known.epoch > frame.epoch { return }
        guard since != nil || clients[slot]?.lookups.take(at: now) == true else {
            counters.namesLimited += 1
            return
        }
        guard let resource = clients[slot]?.grants.resource(ResourceID(frame.resource)) else {
            if !keepEarly(frame, since: since, slot, at: now) {
                answer(frame, .notAuthorized, slot, at: now, into: &outbox)
            }
            return
        }
        guard case .names(_, let alias) = resource.target, let realName = alias.realName(of: name)
        else {
            answer(frame, .nameMismatch, slot, at: now, into: &outbox)
            return
        }
        let claim = NameTable.Claim(resource: resource.number, realName: realName)
        guard bind(name, claim, frame.proxies, epoch: frame.epoch, slot) else { return }
        let asked = NameTable.Asked(
            epoch: frame.epoch,
            resource: resource.number,
            resourceID: frame.resource,
            name: frame.name
        )
        _ = clients[slot]?.names.change(name) {
            $0.asked.removeAll { $0.resource == asked.resource }
            $0.asked.append(asked)
        }
        _ = resolver.resolve(realName, isQuery: true, at: now, by: &site)
        ready.append(Waiter(client: client, name: name))
        markEarly(slot)
    }

    /// Makes the proxy addresses stand for the name; flows of what they stood for before are over.
    ///
    /// - Returns: False when the client has too many names.
    mutating func bind(
        _ name: Name,
        _ claim: NameTable.Claim,
        _ proxies: [IPAddress],
        epoch: UInt64?,
        _ slot: Int
    ) -> Bool {
        let moved = try? clients[slot]?.names.bind(name, claim, proxies: proxies, epoch: epoch)
        guard let moved else { return false }
        end(flowsTo: moved, slot)
        return true
    }

    private mutating func end(flowsTo proxies: [IPAddress], _ slot: Int) {
        guard !proxies.isEmpty else { return }
        clients[slot]?.nat.removeAll(.revoked) { proxies.contains($0.inside.destination) }
    }

    private mutating func receive(_ frame: ControlFrame.Release, _ slot: Int) {
        guard let name = Name(frame.name) else { return }
        let over = clients[slot]?.names.release(name, proxies: frame.proxies, epoch: frame.epoch)
        guard let over else { return }
        heldCount -= over.heldCount
        end(flowsTo: over.released, slot)
    }

    private mutating func answer(
        _ frame: ControlFrame.Names,
        _ status: ControlFrame.Status,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let peer = clients[slot]?.peer else { return }
        let answer = ControlFrame.NamesAnswer(
            epoch: frame.epoch,
            resource: frame.resource,
            name: frame.name,
            status: status
        )
        _ = pool.send(.namesAnswer(answer), to: peer, at: now, into: &outbox)
    }

    /// Throws unless each of `proxies` is a proxy address of the account, and none comes twice.
    func check(_ proxies: [IPAddress]) throws(GrantRefusal) {
        guard proxies.count <= ControlFrame.Limits.proxies else {
            throw .tooMany("proxy addresses")
        }
        for (index, proxy) in proxies.enumerated() {
            guard plan.proxies.contains(where: { $0.contains(proxy) }),
                !plan.sentinels.contains(where: { $0.contains(proxy) }),
                !proxies[..<index].contains(proxy)
            else { throw .unusableProxy(proxy) }
        }
    }
}

// MARK: - Waiting

extension Gateway {
    /// Keeps a packet until the real address of its name is known.
    mutating func hold(
        _ bytes: [UInt8],
        _ header: PacketHeader,
        _ slot: Int,
        _ name: Name,
        _ realName: Name,
        at now: Instant
    ) {
        guard let client = clients[slot]?.id, heldCount < Limits.held else {
            counters.heldRefused += 1
            return
        }
        let synKey = header.isOpeningTCP ? FlowKey(outbound: header) : nil
        let packet = NameTable.Held(synKey: synKey, bytes: bytes)
        heldCount += clients[slot]?.names.change(name) { $0.hold(packet) } ?? 0
        counters.held += 1
        wait(Waiter(client: client, name: name), for: realName)
        expectLookup(of: name, realName, slot, at: now)
    }

    private mutating func wait(_ waiter: Waiter, for realName: Name) {
        guard waiting[realName]?.contains(waiter) != true else { return }
        waiting[realName, default: []].append(waiter)
    }

    /// Names of which more is known than before: their packets go, their frames are answered.
    mutating func serveReady(at now: Instant, into outbox: inout Outbox) {
        while let name = resolver.pollChange() {
            ready += waiting.removeValue(forKey: name) ?? []
        }
        guard !ready.isEmpty else { return }
        let waiters = ready
        ready.removeAll(keepingCapacity: true)
        for waiter in waiters {
            guard let slot = slotByClient[waiter.client] else { continue }
            let isDone =
                sendHeld(of: waiter.name, slot, at: now, into: &outbox)
                && answerAsked(waiter, slot, at: now, into: &outbox)
            if !isDone { ready.append(waiter) }
        }
    }

    /// The packets that waited for `name` take the way of all packets; those whose family is still
    /// not known come back to where they waited.
    ///
    /// - Returns: False when there was no room for all.
    private mutating func sendHeld(
        of name: Name,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        guard let peer = clients[slot]?.peer, let held = clients[slot]?.names[name]?.held,
            !held.isEmpty
        else { return true }
        _ = clients[slot]?.names.change(name) { $0.held.removeAll() }
        heldCount -= held.count
        for (index, packet) in held.enumerated() {
            guard outbox.hasTunnelRoom(packets: 1, byteCount: packet.bytes.count),
                outbox.hasNetworkRoom(datagrams: 1, byteCount: Limits.sealedByteCount)
            else {
                let rest = Array(held[index...])
                _ = clients[slot]?.names.change(name) { $0.held.insert(contentsOf: rest, at: 0) }
                heldCount += rest.count
                return false
            }
            var room = outbox.reserveTunnel(packet.bytes.count)
            room.write(packet.bytes.rawSpan, at: 0)
            receive(packet.bytes.count, from: peer, at: now, into: &outbox)
        }
        return true
    }

    /// Answers the names frames about a name, once both families are known.
    ///
    /// - Returns: False when there was no room.
    private mutating func answerAsked(
        _ waiter: Waiter,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        guard let peer = clients[slot]?.peer, let entry = clients[slot]?.names[waiter.name] else {
            return true
        }
        for asked in entry.asked {
            guard let claim = entry.claims.first(where: { $0.resource == asked.resource }) else {
                continue
            }
            let known = resolver.resolve(claim.realName, isQuery: false, at: now, by: &site)
            guard known.isComplete else {
                wait(waiter, for: claim.realName)
                expectLookup(of: waiter.name, claim.realName, slot, at: now)
                continue
            }
            noteResolved(known, claim.resource, slot, at: now)
            let answer = ControlFrame.NamesAnswer(
                epoch: asked.epoch,
                resource: asked.resourceID,
                name: asked.name,
                status: known.status,
                families: known.families
            )
            let outcome = pool.send(.namesAnswer(answer), to: peer, at: now, into: &outbox)
            if outcome == .noRoom { return false }
            _ = clients[slot]?.names.change(waiter.name) { $0.asked.removeAll { $0 == asked } }
        }
        return true
    }
}

extension ResolvedName {
    /// What a names answer says of it.
    var status: ControlFrame.Status {
        if !families.isEmpty { return .active }
        return ipv4 == .failed || ipv6 == .failed ? .unresolved : .noAddresses
    }
}
