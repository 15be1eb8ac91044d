public import Bytes
internal import Control
internal import IP
internal import Peering
internal import RelayUse
public import SansIO

extension Client {
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        noteTurn(at: now, into: &outbox)
        pool.advance(to: now, into: &outbox)
        stub?.advance(to: now)
        advanceNames(to: now, into: &outbox)
        advanceFiltering(to: now, into: &outbox)
        advanceQuestions(to: now, into: &outbox)
        advanceAuthorizations(to: now, into: &outbox)
        let waiting = draining
        draining = []
        for id in waiting { drain(id, at: now, into: &outbox) }
        settle(at: now, into: &outbox)
    }

    /// What follows from anything that happened: the pool's events, releases, records, deadlines.
    mutating func settle(at now: Instant, into outbox: inout Outbox) {
        handleEvents(at: now, into: &outbox)
        handleRelayEvents(at: now)
        leaveRelays(at: now, into: &outbox)
        reportRelayTimes(at: now)
        if isStandbyAwaited { promoteAll(at: now, into: &outbox) }
        releaseNames(at: now, into: &outbox)
        sendReplies(into: &outbox)
        stirConnections(into: &outbox)
        if isDeadlineStale { findDeadline() }
    }

    /// Queues an output; a full queue is counted.
    mutating func output(_ output: Output) {
        if !outputs.append(output) { counters.outputsRefused += 1 }
    }

    /// Something changed that decisions rest on.
    mutating func changed() {
        flows.removeAll()
        sources.removeAll()
        computeDeadline()
    }

    /// The next deadline must be looked for again.
    mutating func computeDeadline() { isDeadlineStale = true }

    private mutating func findDeadline() {
        isDeadlineStale = false
        ownDeadline = nil
        let awaited = siteQuestions.awaited
        for id in authorized {
            let next = authorizations[id]?.nextDeadline(
                isPortalConnected: isPortalConnected,
                isAwaited: awaited.contains(id)
            )
            ownDeadline = Self.earlier(ownDeadline, next)
        }
        for key in toldNames {
            guard let known = names[key], let telling = known.telling,
                let nextSend = telling.nextSend
            else { continue }
            ownDeadline = Self.earlier(ownDeadline, nextSend)
            if known.state == .unanswered(isGranted: false), !known.wasActive {
                ownDeadline = Self.earlier(ownDeadline, telling.patienceEnd)
            }
        }
        ownDeadline = Self.earlier(ownDeadline, siteQuestions.nextDeadline)
        ownDeadline = Self.earlier(ownDeadline, relays.nextDeadline)
        ownDeadline = Self.earlier(ownDeadline, standbyDue)
        ownDeadline = Self.earlier(ownDeadline, formersDue)
        for gateway in gateways { ownDeadline = Self.earlier(ownDeadline, gateway.nextCall) }
    }

    private mutating func advanceAuthorizations(to now: Instant, into outbox: inout Outbox) {
        guard let deadline = ownDeadline, deadline <= now else { return }
        computeDeadline()
        var hasEnded = false
        for id in authorized {
            guard let authorization = authorizations[id] else { continue }
            if let lease = authorization.lease, lease.endsAt <= now {
                stirConnections(by: lease.gateway, at: now)
                authorizations[id]?.lease = nil
                hasEnded = true
            }
            if let standby = authorization.standby, standby.endsAt <= now {
                authorizations[id]?.standby = nil
                hasEnded = true
            }
            if let former = authorization.former, former.endsAt <= now {
                endFormer(id, at: now)
                hasEnded = true
            }
            if let denial = authorization.denial, denial.until <= now {
                authorizations[id]?.denial = nil
            }
            refuseExpired(id, at: now, into: &outbox)
            if !authorization.held.isEmpty || siteQuestions.waits(for: id) { kick(id, at: now) }
        }
        callForHelp(at: now)
        if endUnusedFormers(at: now) { hasEnded = true }
        if hasEnded {
            changed()
            forgetUnused(at: now, into: &outbox)
        }
    }
}
