public import Bytes
internal import IP
public import SansIO

// The way to the relay: Bindings, the choice among endpoints, streams, changes of the network.

extension TURNClient {
    /// The relay is reached at this loopback endpoint, which stands for a TCP or TLS connection to
    /// it; nil: by datagrams. An allocation on another way is given up.
    public mutating func useStream(_ bridge: Endpoint?, at now: Instant) {
        self.now = now
        let former = links.first { $0.kind == .stream }?.endpoint
        guard phase != .closed, bridge != former else { return }
        let wasChosen = chosen != nil && chosen == former
        links.removeAll { $0.kind == .stream }
        cancel { $0.remote == former }
        guard let bridge else {
            guard wasChosen else { return }
            move(at: now)
            return seek(at: now)
        }
        move(at: now)
        for index in links.indices {
            links[index].isAlive = false
            guard let family = links[index].mapped?.address.family else { continue }
            links[index].mapped = nil
            say(.unmapped(family))
        }
        links.append(Link(endpoint: bridge, kind: .stream))
        probe(links.count - 1, .stream, at: now)
        choose(bridge, at: now)
    }

    /// The network changed, or a peer asks to be reached: whether the relay answers, sees us at
    /// the same address and still has our allocation is asked at once, and known within a second.
    public mutating func renew(at now: Instant) {
        self.now = now
        let last = renewedAt?.advanced(by: Limits.renewInterval)
        guard phase != .closed, last.map({ $0 <= now }) ?? true else { return }
        renewedAt = now
        for index in links.indices where !isAsked(links[index], at: now) {
            probe(index, .quick, at: now)
        }
        switch phase {
        case .standing: refresh(at: now)
        case .seeking:
            let due = now.advanced(by: Limits.unreachableAfter)
            unreachableDue = min(unreachableDue ?? due, due)
        case .waiting where saidFailure == .noAnswer || saidFailure == .mismatch:
            failureCount = 0
            phase = .waiting(until: now)
        case .waiting, .allocating, .checking, .closed: break
        }
    }

    /// Whether a Binding is on its way that soon tells whether the relay is there: another one in
    /// its place would only put that off.
    private func isAsked(_ link: Link, at now: Instant) -> Bool {
        transactions.contains { transaction in
            guard transaction.purpose == .binding, transaction.remote == link.endpoint else {
                return false
            }
            return switch transaction.pace {
            case .patient: false
            case .quick: true
            case .stream: transaction.due <= now.advanced(by: Limits.quickStreamPatience)
            }
        }
    }

    /// Looks for a way anew: a Binding to each endpoint.
    mutating func seek(at now: Instant) {
        (phase, chosen, heardAt, roundTrip) = (.seeking, nil, nil, nil)
        links.removeAll { $0.kind == .alternate && $0.endpoint != allocation?.remote }
        for index in links.indices { probe(index, .patient, at: now) }
        unreachableDue = now.advanced(by: links.isEmpty ? .zero : Limits.unreachableAfter)
    }

    /// A Binding in place of the one that is on its way.
    private mutating func probe(_ index: Int, _ pace: TURNTransaction.Pace, at now: Instant) {
        let remote = links[index].endpoint
        cancel { $0.purpose == .binding && $0.remote == remote }
        links[index].due = nil
        start(.binding, to: remote, pace: pace, at: now)
    }

    private mutating func choose(_ remote: Endpoint, at now: Instant) {
        (chosen, heardAt, unreachableDue) = (remote, now, nil)
        if let allocation, allocation.remote == remote, allocation.expiresAt > now {
            phase = .checking
            start(.refresh, at: now)
        } else {
            forgetAllocation(at: now)
            allocate(.both, at: now)
        }
    }

    /// Leaves the way in use, for another one.
    private mutating func move(at now: Instant) {
        if let chosen, isAllocated, isServer(chosen) { start(.release, to: chosen, at: now) }
        lose(.moved, at: now)
        session = TURNSession(server.credentials)
        (chosen, roundTrip, heardAt, failureCount) = (nil, nil, nil, 0)
    }

    /// Nothing answers on the way in use. The allocation is kept aside: the relay may come back.
    private mutating func loseWay(at now: Instant) {
        switch phase {
        case .standing: say(.lost(.noAnswer))
        case .allocating: sayFailed(.noAnswer)
        case .seeking, .checking, .waiting, .closed: break
        }
        cancel { $0.purpose != .binding && $0.purpose != .release }
        permissions.forgetRequests(at: now)
        channels.forgetRequests(at: now)
        seek(at: now)
    }
}

// MARK: - Bindings

extension TURNClient {
    mutating func advanceLinks(to now: Instant) {
        let horizon = now.advanced(by: Limits.slack)
        for index in links.indices {
            guard let due = links[index].due, due <= (links[index].isAlive ? horizon : now) else {
                continue
            }
            let isHopeful = links[index].missCount <= Limits.patientMisses
            probe(index, isHopeful ? .patient : .quick, at: now)
        }
        if let due = unreachableDue, due <= now {
            unreachableDue = nil
            if phase == .seeking { say(.unreachable) }
        }
    }

    mutating func bindingAnswered(
        _ transaction: TURNTransaction,
        _ mapped: Endpoint?,
        at now: Instant
    ) {
        guard let index = links.firstIndex(where: { $0.endpoint == transaction.remote }) else {
            return
        }
        (links[index].isAlive, links[index].missCount) = (true, 0)
        links[index].due = now.advanced(by: Limits.keepalive)
        let isNewAddress = note(mapped, of: index)
        let isCutOff = isCutOff(from: transaction.remote, mapped)
        if phase == .seeking {
            if isCutOff { forgetAllocation(at: now) }
            choose(transaction.remote, at: now)
        } else if isCutOff {
            lose(.mismatch, at: now)
            allocate(.both, at: now)
        } else if isNewAddress, transaction.remote == chosen {
            refresh(at: now)
        } else if isStream, links[index].kind == .datagram {
            say(.reachable)
        }
    }

    /// Whether the relay sees us elsewhere than when it gave us the allocation, which then cannot
    /// be reached any more. A Refresh does not tell: it may find another one, of a former life.
    private func isCutOff(from remote: Endpoint, _ mapped: Endpoint?) -> Bool {
        guard let allocation, allocation.remote == remote, let before = allocation.mapped else {
            return false
        }
        return mapped.map { $0 != before } ?? false
    }

    /// Takes up the address that the relay sees us at; whether it replaces another one.
    @discardableResult
    mutating func note(_ mapped: Endpoint?, of index: Int) -> Bool {
        guard let mapped, links[index].kind != .stream, links[index].mapped != mapped else {
            return false
        }
        let replaces = links[index].mapped != nil
        let before = mappedAddresses
        links[index].mapped = mapped
        if mappedAddresses != before { say(.mapped(mapped)) }
        return replaces
    }

    mutating func bindingUnanswered(_ transaction: TURNTransaction, at now: Instant) {
        guard let index = links.firstIndex(where: { $0.endpoint == transaction.remote }) else {
            return
        }
        if transaction.remote == chosen, let heardAt, heardAt > transaction.sentAt {
            // Only the answers got lost: data came.
            links[index].due = now.advanced(by: Limits.keepalive / 5)
            return
        }
        // Where it saw us last we may still be: the NAT need not know that the relay is gone.
        links[index].isAlive = false
        links[index].missCount += 1
        links[index].due = now.advanced(by: pauseAfterMiss(links[index].missCount))
        if transaction.remote == chosen { loseWay(at: now) }
    }

    /// 1 s, 2 s, 4 s … up to a minute, or five where there is another way.
    private func pauseAfterMiss(_ count: Int) -> Duration {
        let pauseMax = phase == .seeking ? Limits.pauseMax : Limits.sparePauseMax
        return min(.seconds(1 << min(max(count - 1, 0), 9)), pauseMax)
    }
}

// MARK: - Another configuration

extension TURNClient {
    /// What the portal says now. New credentials keep the allocation, which goes on with those
    /// that it was made with until the relay refuses them; endpoints that are gone are left.
    public mutating func update(_ server: TURNServer, at now: Instant) {
        self.now = now
        guard phase != .closed, server != self.server else { return }
        let hadCredentials = self.server.credentials
        self.server = server
        if server.credentials != hadCredentials { takeCredentials(at: now) }
        let wanted = Self.links(to: server.endpoints)
        links.removeAll { link in
            link.kind != .stream && !wanted.contains { $0.endpoint == link.endpoint }
        }
        for link in wanted where !isServer(link.endpoint) {
            links.append(link)
            probe(links.count - 1, .patient, at: now)
        }
        let remotes = links.map(\.endpoint)
        cancel { !remotes.contains($0.remote) }
        guard let chosen, !isServer(chosen) else { return }
        lose(.moved, at: now)
        session = TURNSession(server.credentials)
        seek(at: now)
    }

    private mutating func takeCredentials(at now: Instant) {
        let wasRefused = saidFailure == .unauthorized
        switch phase {
        case .standing where wasRefused:
            session.use(server.credentials)
            refresh(at: now)
        case .waiting:
            session.use(server.credentials)
            (failureCount, phase) = (0, .waiting(until: now))
        case .seeking where allocation == nil: session.use(server.credentials)
        case .seeking, .standing, .allocating, .checking, .closed: break
        }
    }

    /// Gives the allocation back; nothing is done any more but to poll what this queues.
    public mutating func close(at now: Instant) {
        self.now = now
        guard phase != .closed else { return }
        let holds = allocation != nil || phase == .allocating
        transactions = []
        if let chosen, holds, session.proof != nil { start(.release, to: chosen, at: now) }
        (phase, allocation, unreachableDue) = (.closed, nil, nil)
    }
}
