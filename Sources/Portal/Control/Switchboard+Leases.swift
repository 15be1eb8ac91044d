internal import Control
internal import Foundation
internal import Policy

/// Leases: extended while they stay permitted, ended at once when they do not.
extension Switchboard {
    /// Why leases at one gateway end, all in one message.
    private struct Ending: Hashable {
        let gateway: GatewayID
        let code: Refusal.Code
        let sentence: String
    }

    /// Decides leases again: extends, passes them to another policy, or ends them; gateways hear of
    /// those that end before anything else is done.
    func review(_ records: [LeaseRecord], at now: Date = .now) {
        var ended: [Ending: [LeaseRecord]] = [:]
        var order: [Ending] = []
        func end(_ lease: LeaseRecord, _ code: Refusal.Code, _ sentence: String) {
            let ending = Ending(gateway: lease.gateway, code: code, sentence: sentence)
            if ended[ending] == nil { order.append(ending) }
            ended[ending, default: []].append(lease)
        }
        var kept: [(lease: LeaseRecord, permit: Permit)] = []
        for record in records {
            guard let lease = leases[record.id] else { continue }
            let context = context(for: lease.client, at: now)
            let decision = directory.decide(
                client: lease.client,
                resource: lease.resource,
                in: context
            )
            guard case .allow(let permit) = decision else {
                let words = directory.explain(
                    decision,
                    client: lease.client,
                    resource: lease.resource,
                    in: context
                )
                end(lease, .revoked, words.person)
                continue
            }
            guard permit.site == directory.gateways[lease.gateway]?.site else {
                end(lease, .revoked, "The resource moved to another site; ask again.")
                continue
            }
            guard now < lease.endsAt else {
                end(lease, .expired, "The lease ran out while its client was away.")
                continue
            }
            kept.append((lease, permit))
        }
        for ending in order { revoke((ended[ending] ?? []).map(\.id), ending) }
        for ending in order {
            for lease in ended[ending] ?? [] {
                self.end(lease, ending.code, ending.sentence, tellGateway: false)
            }
        }
        for (record, permit) in kept {
            var lease = record
            let oldEnd = lease.endsAt
            renew(&lease, by: permit, at: now)
            keep(lease)
            if abs(lease.endsAt.timeIntervalSince(oldEnd)) >= 1 { tellEnd(of: lease, at: now) }
        }
    }

    private func revoke(_ leases: [LeaseID], _ ending: Ending) {
        guard let gateway = gateways[ending.gateway] else { return }
        for start in stride(from: 0, to: leases.count, by: Limits.revokedAtOnce) {
            let part = Array(leases[start..<min(start + Limits.revokedAtOnce, leases.count)])
            let revoke = ToGateway.Revoke(
                leases: part,
                code: ending.code.rawValue,
                sentence: ending.sentence
            )
            send(.revoke(revoke), to: gateway)
        }
    }

    /// Gives a lease the life that its permit and site allow; one whose client or gateway is away
    /// is not extended, only shortened, and neither is one that stands by.
    func renew(_ lease: inout LeaseRecord, by permit: Permit, at now: Date) {
        let absence = directory.sites[permit.site].map { Double($0.absenceSeconds) }
        let limit = min(Limits.leaseSeconds, absence ?? Limits.leaseSeconds)
        let until = permit.until?.date ?? .distantFuture
        let isAway = clients[lease.client] == nil || gateways[lease.gateway] == nil
        let full = isAway ? lease.endsAt : now.addingTimeInterval(limit)
        (lease.policy, lease.revision) = (permit.policy, revision)
        if lease.isStandBy == true {
            let life = min(limit, Limits.standBySeconds)
            if lease.begunAt == now { lease.endsAt = now.addingTimeInterval(life) }
            lease.endsAt = min(lease.endsAt, until)
            lease.reviewAt = lease.endsAt
            return
        }
        let half = now.addingTimeInterval(limit * Limits.extensionShare)
        // Running flows need no message as long as most of the life is left.
        if lease.endsAt < half || lease.endsAt > until || lease.begunAt == now {
            lease.endsAt = min(full, until)
        }
        let extensionAt = lease.endsAt.addingTimeInterval(-limit * (1 - Limits.extensionShare))
        lease.reviewAt = isAway || extensionAt <= now ? lease.endsAt : extensionAt
        lease.reviewAt = min(lease.reviewAt, lease.endsAt)
    }

    /// Remembers a lease and sees to its next review.
    func keep(_ lease: LeaseRecord) {
        leases.upsert(lease)
        writeBehind.save(lease)
        scheduleSweep(at: lease.reviewAt)
    }

    /// Ends a lease; its client and its gateway are told.
    func end(
        _ lease: LeaseRecord,
        _ code: Refusal.Code,
        _ sentence: String,
        tellGateway: Bool = true,
        tellClient: Bool = true
    ) {
        guard leases.remove(lease.id) != nil else { return }
        writeBehind.delete(lease.id)
        metrics.count(.leasesEnded)
        if tellGateway, let gateway = gateways[lease.gateway] {
            let revoke = ToGateway.Revoke(
                leases: [lease.id],
                code: code.rawValue,
                sentence: sentence
            )
            send(.revoke(revoke), to: gateway)
        }
        setHeartbeat(of: lease.gateway)
        guard tellClient else { return }
        let ended = ToClient.LeaseEnded(
            lease: lease.id,
            resource: lease.resource,
            code: code.rawValue,
            sentence: sentence
        )
        if let client = clients[lease.client] {
            send(.leaseEnded(ended), to: client)
        } else {
            missed[lease.client, default: []].append(ended)
            if missed[lease.client, default: []].count > Limits.missedEndings {
                missed[lease.client]?.removeFirst()
            }
        }
    }

    /// A gateway's answer to an order: a refusal ends the lease, and the client asks again without
    /// it.
    func take(_ answer: FromRole.GrantAnswer, from id: GatewayID) {
        guard !answer.accepted, let lease = leases[answer.lease], lease.gateway == id else {
            return
        }
        let sentence = answer.sentence ?? "The gateway does not serve this; another one is tried."
        let code = Refusal.Code(rawValue: answer.code ?? "gateway-refused")
        end(lease, code, sentence, tellGateway: false)
    }

    /// A client needs leases no longer: their gateway is told, the client knows.
    func take(_ release: FromRole.Release, from id: ClientID) {
        for lease in release.leases.prefix(Limits.missedEndings) {
            guard let lease = leases[lease], lease.client == id else { continue }
            end(lease, .released, "The client uses another gateway now.", tellClient: false)
        }
    }

    /// A client started anew: what stood by for a lease that is in use is of no help to it.
    func endStandBys(of id: ClientID) {
        let held = leases.leases(of: id)
        for lease in held where lease.isStandBy == true {
            let isNeeded = !held.contains { $0.resource == lease.resource && $0.isStandBy != true }
            guard !isNeeded else { continue }
            end(lease, .released, "The client was started again.", tellClient: false)
        }
    }

    /// Sees to a look at the leases at `date` at the latest.
    func scheduleSweep(at date: Date) {
        let capped = min(date, Date.now.addingTimeInterval(Limits.sweepSeconds))
        guard capped < sweepAt else { return }
        sweepTask?.cancel()
        sweepAt = capped
        sweepTask = Task {
            do {
                try await Task.sleep(for: .seconds(max(0, capped.timeIntervalSinceNow)))
                sweep()
            } catch {}
        }
    }

    /// Looks at what is due: leases, and denials that the clock may have changed.
    private func sweep() {
        sweepAt = .distantFuture
        let now = Date.now
        review(leases.due(at: now), at: now)
        var next = min(leases.nextReview, endDrains(at: now) ?? .distantFuture)
        for id in clients.keys.sorted() {
            let denied = clients[id]?.denied ?? [:]
            for resource in denied.keys.sorted() {
                guard let at = denied[resource] else { continue }
                if at <= now { tellChanged(resource, to: id) } else { next = min(next, at) }
            }
        }
        if next < .distantFuture { scheduleSweep(at: next) }
    }

    private func tellEnd(of lease: LeaseRecord, at now: Date) {
        metrics.count(.leasesExtended)
        let seconds = Lease(lease, now: now).lifetimeSeconds
        if let client = clients[lease.client] {
            let message = ToClient.LeaseExtended(lease: lease.id, lifetimeSeconds: seconds)
            send(.leaseExtended(message), to: client)
        }
        if let gateway = gateways[lease.gateway] {
            let message = ToGateway.Extend(lease: lease.id, lifetimeSeconds: seconds)
            send(.extend(message), to: gateway)
        }
    }
}
