internal import Control
internal import Foundation
internal import IP
internal import Policy

/// Requests: decided from memory, answered at once.
extension Switchboard {
    /// Decides, chooses a gateway, answers the client and orders the gateway, without waiting.
    func authorize(_ request: FromRole.Authorize, for id: ClientID) {
        guard var client = clients[id] else { return }
        if answerAgain(request, to: client) { return }
        _ = client.answers.begin(request.id)
        clients[id] = client
        if !request.candidates.isEmpty { setCandidates(request.candidates, of: id) }
        decide(request, for: id)
    }

    /// Answers a request that was begun, or keeps it until a gateway is back.
    func decide(_ request: FromRole.Authorize, for id: ClientID) {
        let now = Date.now
        let context = context(for: id, at: now)
        let resource = known(request.resource)
        let decision = directory.decide(client: id, resource: resource, in: context)
        switch decision {
        case .allow where resource != request.resource:
            // It became permitted a moment ago; the client is about to be told of it by name.
            let refusal = Refusal(.notFound, .retry, "This was just permitted; try again.")
            deny(request, refusal, changesAt: now, to: id, at: now)
        case .allow(let permit):
            do {
                let gateway = try chooseGateway(permit.site, request, for: id)
                grant(request, permit, through: gateway, to: id, at: now)
            } catch {
                if error == .offline, keepWaiting(request, for: id, at: permit.site) { return }
                deny(request, refusal(error, at: permit.site), to: id, at: now)
            }
        case .deny(let denial):
            let words = directory.explain(
                decision,
                client: id,
                resource: resource,
                in: context
            )
            let refusal = directory.refusal(for: denial, words, at: context.now)
            let again = denial.changesAt?.date ?? .distantFuture
            deny(request, refusal, words.failed, changesAt: again, to: id, at: now)
        }
    }

    /// The resource that a client means, also by its fingerprint.
    private func known(_ resource: ResourceID) -> ResourceID {
        WithheldNames.fingerprint(in: resource).flatMap { withheld.resource($0) } ?? resource
    }

    /// What conditions look at.
    func context(for id: ClientID, at now: Date) -> Context {
        Context(
            now: WallTime(now),
            remote: clients[id]?.connection.remote ?? devices[id.text]?.remote,
            zones: zones.offsets(for: directory.zoneNames, at: now)
        )
    }

    /// The same id gets the same answer; true when it did.
    private func answerAgain(_ request: FromRole.Authorize, to client: LiveClient) -> Bool {
        var answers = client.answers
        var known: AuthorizationAnswer?
        switch answers.begin(request.id) {
        case .answered(let answer): known = answer
        case .underWay: return true
        case .new:
            // From before the client or the portal started again.
            let lease = leases.leases(of: client.id).last { $0.request == request.id }
            known = lease.map { .lease($0.id, $0.resource) }
        }
        guard let known, known.resource == request.resource else { return false }
        switch known {
        case .denied(let denied): send(.denied(denied), to: client)
        case .lease(let id, _):
            guard let lease = leases[id], let gateway = gateways[lease.gateway] else {
                return false
            }
            answer(request.id, lease, through: gateway, to: client)
        }
        return true
    }

    private func chooseGateway(
        _ site: SiteID,
        _ request: FromRole.Authorize,
        for id: ClientID
    ) throws(GatewayChoice.Failure) -> LiveGateway {
        let held = leases.leases(of: id)
        let same = held.filter { $0.resource == request.resource }
        let inUse = same.filter { $0.isStandBy != true }.map(\.gateway)
        // What stands by does so for those that are in use.
        let excluded = (request.withoutGateway ?? []) + (request.standBy == true ? inUse : [])
        // Flows of the resource go on where they are, also those of a client that was restarted.
        let holders = same.reversed().map(\.gateway)
        let preferred =
            request.connected.filter(holders.contains) + inUse.reversed() + holders
            + request.connected + held.map(\.gateway)
        let chosen = try GatewayChoice.choose(
            among: options(at: site, for: request.resource, at: .now),
            connected: preferred,
            without: excluded,
            near: clients[id]?.region,
            using: &random
        )
        guard let gateway = gateways[chosen] else { throw .offline }
        return gateway
    }

    private func grant(
        _ request: FromRole.Authorize,
        _ permit: Permit,
        through gateway: LiveGateway,
        to id: ClientID,
        at now: Date
    ) {
        guard let client = clients[id] else { return }
        let known = leases.lease(of: id, for: request.resource, at: gateway.id)
        var lease =
            known
            ?? LeaseRecord(
                id: nextLease(),
                client: id,
                resource: request.resource,
                gateway: gateway.id,
                policy: permit.policy,
                revision: revision,
                request: request.id,
                isStandBy: request.standBy == true ? true : nil,
                proxies: [],
                begunAt: now,
                endsAt: now,
                reviewAt: now
            )
        // Asked for without standing by, it is in use from now on.
        if request.standBy != true { lease.isStandBy = nil }
        (lease.name, lease.proxies) = (request.name, request.proxies)
        renew(&lease, by: permit, at: now)
        keep(lease)
        // The gateway first, so that it knows the client when the client's first packet comes.
        if let grant = grant(for: lease, at: gateway) {
            send(.grant(ToGateway.GrantOrder(id: nextOrder(), grant: grant)), to: gateway)
        }
        answer(request.id, lease, through: gateway, to: client)
        clients[id]?.answers.finish(request.id, with: .lease(lease.id, lease.resource))
        clients[id]?.denied[request.resource] = nil
        setHeartbeat(of: gateway.id)
        metrics.count(.allowed)
        record(request, of: id, gateway: gateway.id, refusal: nil, at: now)
    }

    private func answer(
        _ request: RequestID,
        _ lease: LeaseRecord,
        through gateway: LiveGateway,
        to client: LiveClient
    ) {
        let entry = directory.gateways[gateway.id]
        let message = ToClient.Authorized(
            id: request,
            resource: lease.resource,
            lease: Lease(lease),
            site: gateway.site,
            gateway: GatewayForClient(
                id: gateway.id,
                name: entry?.name ?? gateway.id.text,
                publicKey: gateway.publicKey,
                presharedKey: keys.key(client: client.publicKey, gateway: gateway.publicKey),
                tunnel: entry?.tunnel ?? [],
                candidates: gateway.candidates
            )
        )
        send(.authorized(message), to: client)
    }

    private func deny(
        _ request: FromRole.Authorize,
        _ refusal: Refusal,
        _ failed: [FailedCondition] = [],
        changesAt: Date = .distantFuture,
        to id: ClientID,
        at now: Date
    ) {
        let denied = ToClient.Denied(
            id: request.id,
            resource: request.resource,
            refusal: refusal,
            failed: failed
        )
        clients[id]?.answers.finish(request.id, with: .denied(denied))
        clients[id]?.denied[request.resource] = changesAt
        if let client = clients[id] { send(.denied(denied), to: client) }
        if changesAt < sweepAt { scheduleSweep(at: changesAt) }
        metrics.count(.denied)
        record(request, of: id, gateway: nil, refusal: refusal, at: now)
    }

    private func record(
        _ request: FromRole.Authorize,
        of id: ClientID,
        gateway: GatewayID?,
        refusal: Refusal?,
        at now: Date
    ) {
        let client = directory.clients[id]
        writeBehind.save(
            Activity(
                at: now.timeIntervalSince1970,
                actor: client.flatMap { directory.actors[$0.actor]?.name } ?? "",
                client: client?.name ?? id.text,
                resource: directory.resources[known(request.resource)]?.name
                    ?? request.resource.text,
                name: request.name,
                remote: clients[id]?.connection.remote?.description,
                isAllowed: refusal == nil,
                gateway: gateway.flatMap { directory.gateways[$0]?.name },
                sentence: refusal?.sentence
            )
        )
    }

    private func nextLease() -> LeaseID { LeaseID("lease-\(Secrets.randomText(9))") }

    private func nextOrder() -> RequestID {
        orderCount += 1
        return RequestID("order-\(orderCount)")
    }
}

extension Refusal {
    /// Why no gateway can serve.
    init(_ failure: GatewayChoice.Failure, site: String) {
        switch failure {
        case .offline:
            self.init(
                .offline,
                .retry,
                "No gateway of the site “\(site)” is connected; whoever runs it has to look."
            )
        case .versionMismatch:
            self.init(
                .versionMismatch,
                .mend,
                "The gateways of the site “\(site)” are too old for this client; upgrade one of them."
            )
        }
    }
}
