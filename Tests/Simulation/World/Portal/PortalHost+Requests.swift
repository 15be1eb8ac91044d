internal import Bytes
internal import Control
internal import IP
internal import Policy
internal import SansIO

// Requests for leases: decided by the real policy engine, answered at once.
extension PortalHost {
    func authorize(_ request: FromRole.Authorize) {
        switch answers.begin(request.id) {
        case .answered(let answer): return send(answer)
        case .underWay: return
        case .new: break
        }
        decide(request)
    }

    /// A gateway came back, or none is waited for any longer.
    func decideWaiting() {
        let requests = waiting
        waiting = []
        for request in requests { decide(request) }
    }

    private func decide(_ request: FromRole.Authorize) {
        if !request.candidates.isEmpty, request.candidates != clientDevice.candidates {
            setClientCandidates(request.candidates)
        }
        let decision = directory.decide(client: client, resource: request.resource, in: context)
        switch decision {
        case .allow(let permit):
            guard let seat = choose(for: request, at: permit.site) else {
                let excluded = request.withoutGateway ?? []
                let isExpected = awaited.contains { !excluded.contains($0) }
                if isExpected, isAtGateways(request.resource) { return waiting.append(request) }
                return deny(
                    request,
                    Control.Refusal(.offline, .retry, "No gateway of the site is connected.")
                )
            }
            grant(request, permit, at: seat)
        case .deny(let denial):
            let words = directory.explain(
                decision,
                client: client,
                resource: request.resource,
                in: context
            )
            deny(request, directory.refusal(for: denial, words, at: context.now), words.failed)
        }
    }

    /// The real rule, with the real order of what the client would like.
    private func choose(for request: FromRole.Authorize, at site: SiteID) -> GatewaySeat? {
        let own = leases.filter { $0.resource == request.resource }
        let inUse = own.filter { !$0.isStandBy }.sorted { $0.begunAt < $1.begunAt }.map(\.gateway)
        // What stands by does so for those that are in use.
        let excluded = (request.withoutGateway ?? []) + (request.standBy == true ? inUse : [])
        // Flows stick, also over a start of the client.
        let holders = own.reversed().map(\.gateway)
        let preferred =
            request.connected.filter(holders.contains) + inUse.reversed() + holders
            + request.connected + leases.map(\.gateway)
        let chosen = try? GatewayChoice.choose(
            among: options(at: site, for: request.resource),
            connected: preferred,
            without: excluded,
            using: &world.random
        )
        return chosen.flatMap { seat($0) }
    }

    private func grant(_ request: FromRole.Authorize, _ permit: Permit, at seat: GatewaySeat) {
        let known = leases.firstIndex {
            $0.resource == request.resource && $0.gateway == seat.id
        }
        let end = world.now.advanced(by: leaseLifetime)
        if let known {
            (leases[known].name, leases[known].proxies) = (request.name, request.proxies)
            (leases[known].revision, leases[known].endsAt) = (revision, end)
            leases[known].begunAt = world.now
            if request.standBy != true { leases[known].isStandBy = false }
        } else {
            leaseCount += 1
            leases.append(
                LeaseRecord(
                    id: LeaseID("lease-\(leaseCount)"),
                    client: client,
                    resource: request.resource,
                    gateway: seat.id,
                    revision: revision,
                    request: request.id,
                    isStandBy: request.standBy == true,
                    name: request.name,
                    proxies: request.proxies,
                    begunAt: world.now,
                    endsAt: end
                )
            )
        }
        let lease = leases[known ?? leases.count - 1]
        denied.removeAll { $0 == request.resource }
        guard let answer = authorized(request, lease, permit.site, seat) else {
            return world.fail("the portal has no keys for a lease")
        }
        answers.finish(request.id, with: answer)
        send(answer)
        if let grant = grant(lease) {
            orderCount += 1
            let order = ToGateway.GrantOrder(id: RequestID("order-\(orderCount)"), grant: grant)
            send(.grant(order), to: seat)
        }
        watch(lease.id)
    }

    private func authorized(
        _ request: FromRole.Authorize,
        _ lease: LeaseRecord,
        _ site: SiteID,
        _ seat: GatewaySeat
    ) -> ToClient? {
        guard let key = seat.device.publicKey, let secret = presharedKey(with: seat) else {
            return nil
        }
        let entry = directory.gateways[seat.id]
        return .authorized(
            ToClient.Authorized(
                id: request.id,
                resource: request.resource,
                lease: told(lease),
                site: site,
                gateway: GatewayForClient(
                    id: seat.id,
                    name: entry?.name ?? "",
                    publicKey: key,
                    presharedKey: secret,
                    tunnel: entry?.tunnel ?? [],
                    candidates: seat.device.candidates
                )
            )
        )
    }

    /// A lease as it travels, with what is left of its life.
    func told(_ lease: LeaseRecord) -> Lease {
        let left = world.now.duration(to: lease.endsAt).components.seconds
        return Lease(
            id: lease.id,
            revision: lease.revision,
            lifetimeSeconds: UInt32(clamping: max(1, left))
        )
    }

    func grant(_ lease: LeaseRecord) -> Grant? {
        guard let resource = directory.resources[lease.resource],
            let entry = directory.clients[client], let key = clientDevice.publicKey,
            let seat = seat(lease.gateway), let secret = presharedKey(with: seat)
        else { return nil }
        return Grant(
            lease: told(lease),
            resource: Self.forGateway(resource),
            client: ClientForGateway(
                id: client,
                publicKey: key,
                presharedKey: secret,
                tunnel: entry.tunnel,
                candidates: clientDevice.candidates
            ),
            name: lease.name,
            proxies: lease.proxies
        )
    }

    static func forGateway(_ resource: Directory.Resource) -> ResourceForGateway {
        ResourceForGateway(
            id: resource.id,
            name: resource.name,
            address: resource.address,
            alias: resource.alias,
            filters: resource.filters,
            family: resource.family
        )
    }

    private func deny(
        _ request: FromRole.Authorize,
        _ refusal: Control.Refusal,
        _ failed: [FailedCondition] = []
    ) {
        let answer = ToClient.denied(
            ToClient.Denied(
                id: request.id,
                resource: request.resource,
                refusal: refusal,
                failed: failed
            )
        )
        answers.finish(request.id, with: answer)
        if request.standBy != true, !denied.contains(request.resource) {
            denied.append(request.resource)
        }
        send(answer)
    }
}
