internal import Control
internal import Foundation
internal import GRDB
internal import IP
internal import Policy

/// Clients as sessions: taking in, welcome, differences, leaving.
extension Switchboard {
    /// The device behind a hello, taken in when it is new.
    func enrol(
        _ hello: FromRole.Hello,
        named name: String,
        _ caller: RoleCaller
    ) async throws -> EnrolledDevice {
        let known = devices.device(of: caller.token.id, named: name)
        switch hello.role {
        case .client: return try await enrolClient(known, hello, named: name, caller)
        case .gateway: return try await enrolGateway(known, hello, named: name, caller)
        }
    }

    private func enrolClient(
        _ known: EnrolledDevice?,
        _ hello: FromRole.Hello,
        named name: String,
        _ caller: RoleCaller
    ) async throws -> EnrolledDevice {
        guard let actor = directory.actors[named: caller.token.name] else {
            throw Refusal(
                .notFound,
                .mend,
                "There is no person or service account “\(caller.token.name)” any more; ask an "
                    + "administrator to add it again."
            )
        }
        let version = SoftwareVersion(hello.software)
        let system = String(hello.os.lowercased().prefix(32))
        if let known, var client = directory.clients[ClientID(known.id)] {
            let isSame = client.device.version == version && client.device.system == system
            if !isSame || client.actor != actor.id {
                (client.device.version, client.device.system) = (version, system)
                client.actor = actor.id
                try await commit([.upsertClient(client)], by: caller.name, why: "software changed")
            }
            return known
        }
        let (device, tunnel) = try newDevice(replacing: known, .client, name, caller)
        let client = Directory.Client(
            id: ClientID(device.id),
            actor: actor.id,
            name: name,
            device: Device(version: version, system: system),
            tunnel: tunnel
        )
        try await take(in: device, .upsertClient(client), tunnel, by: caller)
        return device
    }

    /// A device that has not been here before, and its addresses.
    func newDevice(
        replacing known: EnrolledDevice?,
        _ role: Role,
        _ name: String,
        _ caller: RoleCaller
    ) throws(Refusal) -> (EnrolledDevice, [IPAddress]) {
        if let known { devices.remove(known.id) }
        guard devices.count(of: caller.token.id) < DeviceTable.Limits.perToken else {
            throw Refusal(
                .overloaded,
                .mend,
                "This token has brought \(DeviceTable.Limits.perToken) devices; use another one."
            )
        }
        guard let tunnel = addresses.next(in: directory.addresses) else {
            throw Refusal(
                .overloaded,
                .mend,
                "All tunnel addresses are given away; remove devices, or give the account a larger range."
            )
        }
        let device = EnrolledDevice(
            id: "\(role)-\(Secrets.randomText(9))",
            role: role,
            token: caller.token.id,
            name: name,
            software: "",
            firstSeen: .now,
            lastSeen: .now,
            candidates: []
        )
        return (device, tunnel)
    }

    /// Writes a new device down, with the change that makes it known, in one transaction.
    func take(
        in device: EnrolledDevice,
        _ change: Change,
        _ tunnel: [IPAddress],
        by caller: RoleCaller
    ) async throws {
        devices.upsert(device)
        do {
            try await commit([change], by: caller.name, why: "first connection") { database in
                try Store.write(device, database)
            }
        } catch {
            devices.remove(device.id)
            for address in tunnel { addresses.release(address) }
            throw error
        }
    }

    func arrive(
        client device: EnrolledDevice,
        _ candidates: [Candidate],
        region: String? = nil,
        holding held: Set<LeaseID>? = nil,
        on connection: ControlConnection
    ) {
        let id = ClientID(device.id)
        guard let publicKey = device.publicKey, let settings = settings(of: id) else {
            return refuse(connection, Refusal(.notFound, .retry, "This client was just removed."))
        }
        clients[id] = LiveClient(
            id: id,
            connection: connection,
            token: device.token,
            publicKey: publicKey,
            candidates: candidates,
            channelRevision: revision,
            shown: [:],
            settings: settings,
            denied: [:],
            region: region
        )
        identities[connection.number] = .client(id)
        welcome(id, holding: held)
        tellMissedEndings(id)
        review(leases.leases(of: id))
        tellAboutGateways(id)
    }

    /// Tells a client that missed something everything it may know.
    func welcome(_ id: ClientID) {
        welcome(id, holding: Set(leases.leases(of: id).map(\.id)))
    }

    /// Tells a client everything it may know, also which of the leases that it holds are live;
    /// nil means that it said nothing of leases.
    private func welcome(_ id: ClientID, holding held: Set<LeaseID>?) {
        guard var client = clients[id], let settings = settings(of: id) else { return }
        let live = leases.leases(of: id).filter { $0.endsAt > .now }
        let states = held.map { held in
            live.filter { held.contains($0.id) }.map { lease in
                LeaseState(lease: lease.id, lifetimeSeconds: Lease(lease).lifetimeSeconds)
            }
        }
        let resources = visibleResources(of: id)
        client.settings = settings
        client.shown = Dictionary(uniqueKeysWithValues: resources.map { ($0.id, $0) })
        client.channelRevision = max(client.channelRevision, revision)
        client.denied = [:]
        clients[id] = client
        let welcome = ToClient.Welcome(
            instance: instance,
            revision: client.channelRevision,
            account: directory.account,
            client: settings.identity,
            addresses: settings.addresses,
            resources: resources,
            dns: settings.dns,
            withheld: settings.withheld,
            relays: relaysForWelcome(id.text),
            leases: states,
            heartbeatSeconds: UInt32(max(1, heartbeat.components.seconds))
        )
        send(.welcome(welcome), to: client)
    }

    /// Tells a client what is other than what it was told before; nothing when nothing is.
    func tellDifferences(_ id: ClientID) {
        guard var client = clients[id] else { return }
        guard let settings = settings(of: id) else {
            return refuse(
                client.connection,
                Refusal(.notFound, .mend, "An administrator removed this client.")
            )
        }
        let resources = visibleResources(of: id)
        var changes: [ChangeForClient] = []
        if settings.identity != client.settings.identity {
            changes.append(.client(settings.identity))
        }
        if settings.dns != client.settings.dns { changes.append(.dns(settings.dns)) }
        if settings.addresses != client.settings.addresses {
            changes.append(.addresses(settings.addresses))
        }
        if settings.withheld != client.settings.withheld {
            let none = WithheldNames(salt: keys.withheldSalt, fingerprints: [])
            changes.append(.withheld(settings.withheld ?? none))
        }
        let now = Dictionary(uniqueKeysWithValues: resources.map { ($0.id, $0) })
        for gone in client.shown.keys.sorted() where now[gone] == nil {
            changes.append(.resourceRemoved(gone))
        }
        for resource in resources where client.shown[resource.id] != resource {
            changes.append(.resource(resource))
        }
        guard !changes.isEmpty else { return }
        client.channelRevision += 1
        (client.settings, client.shown) = (settings, now)
        clients[id] = client
        send(
            .changes(ToClient.Changes(revision: client.channelRevision, changes: changes)),
            to: client
        )
    }

    /// Tells a client that asking again for `resource` may give another answer, if it was denied.
    func tellChanged(_ resource: ResourceID, to id: ClientID) {
        guard clients[id]?.denied.removeValue(forKey: resource) != nil, let client = clients[id]
        else { return }
        send(.resourceChanged(ToClient.ResourceChanged(resource: resource)), to: client)
    }

    func setCandidates(_ candidates: [Candidate], of id: ClientID) {
        let accepted = CandidateRules(plan: directory.addresses).accepted(candidates)
        guard let client = clients[id], client.candidates != accepted else { return }
        clients[id]?.candidates = accepted
        remember(accepted, of: id.text)
        tellGateways(of: id, newKey: nil)
    }

    func remember(_ candidates: [Candidate], of id: String) {
        guard var device = devices[id] else { return }
        device.candidates = candidates
        devices.upsert(device)
        writeBehind.save(device)
    }

    /// Tells the gateways of a client's live leases where it is now, and its new key.
    func tellGateways(of id: ClientID, newKey: KeyText?) {
        guard let device = devices[id.text] else { return }
        var told: Set<GatewayID> = []
        for lease in leases.leases(of: id) where told.insert(lease.gateway).inserted {
            guard let gateway = gateways[lease.gateway] else { continue }
            let candidates = CandidateRules(plan: directory.addresses).passable(
                device.candidates,
                toSiteOf: networks(of: gateway.site),
                clientSeenAt: device.remote,
                isRelay: relayDesk.isRelay
            )
            let message = ToGateway.ClientCandidates(
                client: id,
                publicKey: newKey,
                presharedKey: newKey.map { keys.key(client: $0, gateway: gateway.publicKey) },
                candidates: candidates
            )
            send(.clientCandidates(message), to: gateway)
        }
    }

    /// Tells a client that came back which of its leases ended meanwhile.
    private func tellMissedEndings(_ id: ClientID) {
        guard let client = clients[id] else { return }
        for ended in missed.removeValue(forKey: id) ?? [] { send(.leaseEnded(ended), to: client) }
    }

    /// Tells a client that came back how its gateways can be reached now.
    private func tellAboutGateways(_ id: ClientID) {
        guard let client = clients[id] else { return }
        var told: Set<GatewayID> = []
        for lease in leases.leases(of: id) where told.insert(lease.gateway).inserted {
            guard let gateway = gateways[lease.gateway] else { continue }
            send(
                .gatewayCandidates(candidates(of: gateway, for: client, withKey: true)),
                to: client
            )
        }
    }

    func clientLeft(_ id: ClientID, _ connection: ControlConnection) {
        guard clients[id]?.connection.number == connection.number else { return }
        clients[id] = nil
        relayDesk.rise(id.text)
        if var device = devices[id.text] {
            device.lastSeen = .now
            if !isStopping { device.isConnected = nil }
            devices.upsert(device)
            writeBehind.save(device)
        }
    }

    /// What a client knows beside its resources; nil when the directory knows it no more.
    private func settings(of id: ClientID) -> ClientSettings? {
        guard let client = directory.clients[id], let actor = directory.actors[client.actor] else {
            return nil
        }
        return ClientSettings(
            identity: ClientIdentity(
                id: id,
                name: client.name,
                actor: actor.name,
                tunnel: client.tunnel
            ),
            dns: directory.dns,
            addresses: directory.addresses,
            withheld: withheld.names(
                withoutAny: Set(directory.resources(for: id).map(\.id))
            )
        )
    }

    private func visibleResources(of id: ClientID) -> [ResourceForClient] {
        directory.resources(for: id).compactMap { resource in
            guard let site = directory.sites[resource.site] else { return nil }
            return ResourceForClient(
                id: resource.id,
                name: resource.name,
                address: resource.address,
                alias: resource.alias,
                filters: resource.filters,
                family: resource.family,
                site: SiteReference(id: site.id, name: site.name),
                online: sitesShownOnline.contains(site.id)
            )
        }
    }
}

extension RoleCaller {
    /// How the audit log calls it.
    var name: String { "\(role) token of \(token.name)" }
}
