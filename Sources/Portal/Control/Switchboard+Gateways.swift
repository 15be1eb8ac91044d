internal import Control
internal import Foundation
internal import IP
internal import Policy

/// Gateways as sessions: taking in, welcome, orders, leaving.
extension Switchboard {
    func enrolGateway(
        _ known: EnrolledDevice?,
        _ hello: FromRole.Hello,
        named name: String,
        _ caller: RoleCaller
    ) async throws -> EnrolledDevice {
        guard let site = directory.sites[named: caller.token.name] else {
            throw Refusal(
                .notFound,
                .mend,
                "There is no site “\(caller.token.name)” any more; add it again, or make a token for "
                    + "another site."
            )
        }
        if let known, let gateway = directory.gateways[GatewayID(known.id)], gateway.site == site.id
        {
            return known
        }
        guard directory.gateways[named: name].map({ $0.id.text == known?.id }) ?? true else {
            let sentence = "There is another gateway “\(name)”; give this one a name with --name."
            throw Refusal(.connectedElsewhere, .mend, sentence)
        }
        let (device, tunnel) = try newDevice(replacing: known, .gateway, name, caller)
        let gateway = Directory.Gateway(
            id: GatewayID(device.id),
            name: name,
            site: site.id,
            tunnel: tunnel
        )
        try await take(in: device, .upsertGateway(gateway), tunnel, by: caller)
        return device
    }

    func arrive(
        gateway device: EnrolledDevice,
        _ candidates: [Candidate],
        _ version: ProtocolVersion,
        region: String? = nil,
        on connection: ControlConnection
    ) {
        let id = GatewayID(device.id)
        guard let publicKey = device.publicKey, let entry = directory.gateways[id] else {
            return refuse(connection, Refusal(.notFound, .retry, "This gateway was just removed."))
        }
        gateways[id] = LiveGateway(
            id: id,
            site: entry.site,
            connection: connection,
            token: device.token,
            publicKey: publicKey,
            candidates: candidates,
            version: version,
            region: region
        )
        identities[connection.number] = .gateway(id)
        welcome(id)
        // What was not extended while it was away is now.
        review(leases.leases(at: id))
        gatewayReturned(id)
        reach.forget(id)
        showSite(entry.site)
        moveDraining(at: entry.site)
    }

    /// Tells a gateway everything it must know; it forgets every lease that is not in it.
    func welcome(_ id: GatewayID) {
        guard let gateway = gateways[id], let entry = directory.gateways[id],
            let site = directory.sites[gateway.site]
        else { return }
        let message = ToGateway.Welcome(
            version: gateway.version,
            instance: instance,
            revision: revision,
            account: directory.account,
            gateway: GatewayIdentity(
                id: id,
                name: entry.name,
                site: SiteReference(id: site.id, name: site.name),
                tunnel: entry.tunnel
            ),
            addresses: directory.addresses,
            grants: leases.leases(at: id).compactMap { grant(for: $0, at: gateway) },
            relays: relaysForWelcome(id.text),
            limitSeconds: site.absenceSeconds,
            heartbeatSeconds: UInt32(max(1, busyHeartbeat.components.seconds))
        )
        send(.welcome(message), to: gateway)
        setHeartbeat(of: id)
    }

    /// A gateway with live clients is asked more often whether it lives.
    func setHeartbeat(of id: GatewayID) {
        let isBusy = leases.clientCount(at: id) > 0
        gateways[id]?.connection.setHeartbeat(isBusy ? busyHeartbeat : heartbeat)
    }

    func setCandidates(_ candidates: [Candidate], of id: GatewayID) {
        let accepted = CandidateRules(plan: directory.addresses).accepted(candidates)
        guard let gateway = gateways[id], gateway.candidates != accepted else { return }
        gateways[id]?.candidates = accepted
        remember(accepted, of: id.text)
        tellClients(of: id, newKey: nil)
    }

    /// Tells the clients with live leases at a gateway where it is now, and its new key.
    func tellClients(of id: GatewayID, newKey: KeyText?) {
        guard let gateway = gateways[id] else { return }
        var told: Set<ClientID> = []
        for lease in leases.leases(at: id) where told.insert(lease.client).inserted {
            guard let client = clients[lease.client] else { continue }
            let message = self.candidates(of: gateway, for: client, withKey: newKey != nil)
            send(.gatewayCandidates(message), to: client)
        }
    }

    func candidates(
        of gateway: LiveGateway,
        for client: LiveClient,
        withKey: Bool
    ) -> ToClient.GatewayCandidates {
        let key = keys.key(client: client.publicKey, gateway: gateway.publicKey)
        return ToClient.GatewayCandidates(
            gateway: gateway.id,
            publicKey: withKey ? gateway.publicKey : nil,
            presharedKey: withKey ? key : nil,
            candidates: gateway.candidates
        )
    }

    func take(_ report: FromRole.Report, from id: GatewayID) {
        gateways[id]?.report = report
        gateways[id]?.isDraining = report.draining
        if let site = gateways[id]?.site { showSite(site) }
    }

    func gatewayLeft(
        _ id: GatewayID,
        _ connection: ControlConnection,
        _ ending: ControlConnection.Ending
    ) {
        guard let gateway = gateways[id], gateway.connection.number == connection.number else {
            return
        }
        gateways[id] = nil
        relayDesk.rise(id.text)
        if var device = devices[id.text] {
            device.lastSeen = .now
            // One that is cut off because the portal stops is expected back.
            if !isStopping { device.isConnected = nil }
            devices.upsert(device)
            writeBehind.save(device)
        }
        if case .closed(ControlConnection.CloseCode.goingAway) = ending {
            for client in Set(leases.leases(at: id).map(\.client)).sorted() {
                guard let client = clients[client] else { continue }
                send(.gatewayOffline(ToClient.GatewayOffline(gateway: id)), to: client)
            }
        }
        Task {
            try? await Task.sleep(for: Limits.offlineGrace)
            showSite(gateway.site)
        }
    }

    /// Tells clients when a site's first gateway has come, or its last one has gone.
    func showSite(_ site: SiteID) {
        let isOnline = gateways.values.contains { $0.site == site }
        let wasOnline = sitesShownOnline.contains(site)
        guard isOnline != wasOnline || isOnline else { return }
        if isOnline { sitesShownOnline.insert(site) } else { sitesShownOnline.remove(site) }
        for id in clients.keys.sorted() {
            guard let client = clients[id] else { continue }
            let affected = client.shown.values.filter { $0.site.id == site }
            guard !affected.isEmpty else { continue }
            if isOnline != wasOnline { tellDifferences(id) }
            if isOnline {
                for resource in affected.map(\.id).sorted() { tellChanged(resource, to: id) }
            }
        }
    }

    /// The networks of a site's resources, into which no client may aim a gateway.
    func networks(of site: SiteID) -> [IPPrefix] {
        directory.resources.compactMap { resource in
            guard resource.site == site, case .prefix(let prefix) = resource.address else {
                return nil
            }
            return prefix
        }
    }

    /// A lease as an order to its gateway; nil when its client or resource is gone.
    func grant(for lease: LeaseRecord, at gateway: LiveGateway) -> Grant? {
        guard let resource = directory.resources[lease.resource],
            let client = directory.clients[lease.client],
            let device = devices[lease.client.text],
            let publicKey = clients[lease.client]?.publicKey ?? device.publicKey
        else { return nil }
        let candidates = CandidateRules(plan: directory.addresses).passable(
            clients[lease.client]?.candidates ?? device.candidates,
            toSiteOf: networks(of: gateway.site),
            clientSeenAt: device.remote,
            isRelay: relayDesk.isRelay
        )
        return Grant(
            lease: Lease(lease),
            resource: ResourceForGateway(resource),
            client: ClientForGateway(
                id: lease.client,
                publicKey: publicKey,
                presharedKey: keys.key(client: publicKey, gateway: gateway.publicKey),
                tunnel: client.tunnel,
                candidates: candidates,
                device: client.name,
                person: directory.actors[client.actor]?.name
            ),
            name: lease.name,
            proxies: lease.proxies
        )
    }
}

extension Lease {
    /// A lease as it travels, with what is left of its life.
    init(_ record: LeaseRecord, now: Date = .now) {
        self.init(
            id: record.id,
            revision: record.revision,
            lifetimeSeconds: UInt32(max(1, record.endsAt.timeIntervalSince(now).rounded()))
        )
    }
}

extension ResourceForGateway {
    init(_ resource: Directory.Resource) {
        self.init(
            id: resource.id,
            name: resource.name,
            address: resource.address,
            alias: resource.alias,
            filters: resource.filters,
            family: resource.family
        )
    }
}
