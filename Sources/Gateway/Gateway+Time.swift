public import Bytes
internal import Control
internal import Peering
internal import RelayUse
public import SansIO

extension Gateway {
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        noteTurn(at: now, into: &outbox)
        pool.advance(to: now, into: &outbox)
        site.advance(to: now)
        resolver.advance(to: now, by: &site)
        advanceReach(to: now)
        expireLeases(at: now, into: &outbox)
        sweepFlows(at: now)
        settle(at: now, into: &outbox)
    }

    /// The earliest of all that depends on time; now when anything is queued.
    public var nextDeadline: Instant? {
        let isQueued =
            !outputs.isEmpty || !ready.isEmpty || isEarlyReady || (isStopping && !hasFinished)
        guard !isQueued else { return Instant(nanoseconds: 0) }
        let all = [
            pool.nextDeadline, site.nextDeadline, resolver.nextDeadline, leaseTimers.next,
            flowDeadline,
            awayDeadline, earlyDeadline, flowLogDeadline, relays.nextDeadline, reach.nextDeadline,
            isPortalUp ? reportDeadline : nil,
        ]
        return all.compactMap { $0 }.min()
    }

    private var awayDeadline: Instant? { awaySince.map { $0.advanced(by: awayMax) } }

    /// What every turn ends with.
    mutating func settle(at now: Instant, into outbox: inout Outbox) {
        while let event = pool.pollEvent() { take(event, at: now, into: &outbox) }
        handleRelayEvents(at: now)
        leaveRelays(at: now, into: &outbox)
        reportRelayTimes(at: now)
        serveEarly(at: now, into: &outbox)
        takeFindings(at: now, into: &outbox)
        serveReady(at: now, into: &outbox)
        handOutFlowRecords(at: now)
        if isStopping { leave(at: now, into: &outbox) }
        report(at: now)
    }
}

// MARK: - Leases and flows

extension Gateway {
    mutating func expireLeases(at now: Instant, into outbox: inout Outbox) {
        while let slot = leaseTimers.popDue(at: now) {
            endLeases(slot, .expired, at: now, into: &outbox) { $0.end <= now }
            watchLeases(slot)
        }
        guard let awayDeadline, awayDeadline <= now else { return }
        awaySince = nil
        guard !slotByClient.isEmpty else { return }
        outputs.append(.event(.portalAwayTooLong))
        for slot in clients.indices where clients[slot] != nil {
            endLeases(slot, .portalAway, at: now, into: &outbox) { _ in true }
        }
    }

    /// Sees to it that the end of the client's next lease is noticed.
    mutating func watchLeases(_ slot: Int) {
        leaseTimers[slot] = clients[slot]?.grants.nextExpiry
    }

    /// Flows whose time is over go: they are not found since then, only their room is freed here,
    /// so many in a turn that packets do not wait for it.
    private mutating func sweepFlows(at now: Instant) {
        guard let flowDeadline, flowDeadline <= now else { return }
        var left = Limits.sweep
        while sweepSlot < clients.count {
            if let client = clients[sweepSlot] {
                left -= client.nat.expire(at: now, countMax: left)
                guard left > 0 else { return }
                nextFlowEnd = [nextFlowEnd, client.nat.nextExpiry].compactMap { $0 }.min()
            }
            sweepSlot += 1
        }
        self.flowDeadline = nextFlowEnd.map { max($0, now.advanced(by: Limits.sweepInterval)) }
        (sweepSlot, nextFlowEnd) = (0, nil)
        expectFlowRecords(at: now)
    }
}

// MARK: - Connections

extension Gateway {
    private mutating func take(
        _ event: PeerEvent,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch event {
        case .connected(let peer):
            guard let slot = slot(of: peer), clients[slot]?.isConnected == false,
                let client = clients[slot]?.id
            else { return }
            clients[slot]?.isConnected = true
            connectedCount += 1
            outputs.append(.event(.clientConnected(client)))
        case .lost(let peer):
            // Leases, names and flows stay: the client may come back by another path.
            if let slot = slot(of: peer) { noteDisconnected(slot) { .clientLost($0) } }
        case .distress: counters.distresses += 1
        case .pathChanged, .recovered, .unknownKey: break
        }
    }

    /// A client has no session any more.
    mutating func noteDisconnected(_ slot: Int, _ event: (ClientID) -> Event?) {
        guard clients[slot]?.isConnected == true, let client = clients[slot]?.id else { return }
        clients[slot]?.isConnected = false
        connectedCount -= 1
        if let event = event(client) { outputs.append(.event(event)) }
    }

    /// Says goodbye to as many clients as there is room for, each on its path; then gives back what
    /// relays lend.
    private mutating func leave(at now: Instant, into outbox: inout Outbox) {
        guard !hasLeft else { return }
        for slot in clients.indices where clients[slot] != nil {
            guard outbox.hasNetworkRoom(datagrams: 1, byteCount: 256) else { return }
            removeClient(slot, .shutdown, at: now, into: &outbox)
        }
        pool.closeRelays(at: now, into: &outbox)
        if flowLogDeadline != nil { flowLogDeadline = now }
        handOutFlowRecords(at: now)
        hasLeft = true
    }

    /// Tells the portal how many clients and flows there are, when the number of clients changed.
    private mutating func report(at now: Instant) {
        if connectedCount != reportedClients, reportDeadline == nil {
            let earliest = reportedAt?.advanced(by: Limits.reportInterval) ?? now
            reportDeadline = max(earliest, now)
        }
        guard isPortalUp, let reportDeadline, reportDeadline <= now else { return }
        (self.reportDeadline, reportedAt, reportedClients) = (nil, now, connectedCount)
        let flows = clients.reduce(0) { $0 + ($1?.nat.count ?? 0) }
        let report = FromRole.Report(
            clients: UInt32(clamping: connectedCount),
            flows: UInt32(clamping: flows),
            draining: isStopping
        )
        outputs.append(.toPortal(.report(report)))
    }
}
