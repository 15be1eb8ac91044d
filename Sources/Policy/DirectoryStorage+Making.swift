internal import Control

extension DirectoryStorage {
    /// Makes a change that was checked.
    func make(_ change: Change) {
        switch change {
        case .account(let name): account = name
        case .upsertActor(let actor):
            index.addActor(actors.set(actor), isDisabled: actor.isDisabled)
        case .removeActor(let id): removeActor(id)
        case .upsertGroup(let group): upsert(group)
        case .removeGroup(let id): removeGroup(id)
        case .addMember(let group, let actor): setMember(actor, of: group, true)
        case .removeMember(let group, let actor): setMember(actor, of: group, false)
        case .upsertSite(let site): index.addSite(sites.set(site))
        case .removeSite(let id): sites.remove(id)
        case .upsertResource(let resource): upsert(resource)
        case .removeResource(let id): removeResource(id)
        case .upsertPolicy(let policy): upsert(policy)
        case .removePolicy(let id): removePolicy(id)
        case .upsertClient(let client): upsert(client)
        case .removeClient(let id): removeClient(id)
        case .upsertGateway(let gateway): upsert(gateway)
        case .removeGateway(let id): removeGateway(id)
        case .upsertProvider(let provider): providers.set(provider)
        case .removeProvider(let id): providers.remove(id)
        case .upsertRelay(let relay): relays.set(relay)
        case .removeRelay(let id): relays.remove(id)
        case .dns(let settings): dns = settings
        case .addresses(let plan): addresses = plan
        case .tests(let tests): self.tests = tests
        }
    }

    private func removeActor(_ id: ActorID) {
        guard let slot = actors.slot(of: id) else { return }
        for group in index.groupsOfActor[slot] { groups.update(slot: group) { $0.remove(id) } }
        for client in index.clientsOfActor[slot] {
            guard let client = clients[slot: client] else { continue }
            index.hold(client.tunnel, nil)
            clients.remove(client.id)
        }
        index.groupsOfActor[slot] = []
        index.clientsOfActor[slot] = []
        actors.remove(id)
    }

    private func upsert(_ group: Directory.Group) {
        let old = groups[group.id]?.members ?? []
        let slot = groups.set(group)
        index.addGroup(slot)
        for member in old where !group.contains(member) {
            if let actor = actors.slot(of: member) { index.removeMember(actor, from: slot) }
        }
        for member in group.members {
            if let actor = actors.slot(of: member) { index.addMember(actor, to: slot) }
        }
    }

    private func removeGroup(_ id: GroupID) {
        guard let slot = groups.slot(of: id) else { return }
        for member in groups[slot: slot]?.members ?? [] {
            if let actor = actors.slot(of: member) { index.removeMember(actor, from: slot) }
        }
        groups.remove(id)
    }

    private func setMember(_ actor: ActorID, of group: GroupID, _ isMember: Bool) {
        guard let actorSlot = actors.slot(of: actor), let slot = groups.slot(of: group) else {
            return
        }
        if isMember {
            groups.update(slot: slot) { $0.insert(actor) }
            index.addMember(actorSlot, to: slot)
        } else {
            groups.update(slot: slot) { $0.remove(actor) }
            index.removeMember(actorSlot, from: slot)
        }
    }

    private func upsert(_ resource: Directory.Resource) {
        if let slot = resources.slot(of: resource.id),
            let old = resources[slot: slot].flatMap({ sites.slot(of: $0.site) })
        {
            index.removeResource(slot, in: old)
        }
        let slot = resources.set(resource)
        if let site = sites.slot(of: resource.site) {
            index.addResource(slot, in: site, resource.site)
        }
    }

    private func removeResource(_ id: ResourceID) {
        guard let slot = resources.slot(of: id) else { return }
        if let site = resources[slot: slot].flatMap({ sites.slot(of: $0.site) }) {
            index.removeResource(slot, in: site)
        }
        resources.remove(id)
    }

    private func upsert(_ policy: Directory.Policy) {
        removePolicyFromIndex(policy.id)
        policies.set(policy)
        guard let group = groups.slot(of: policy.group),
            let resource = resources.slot(of: policy.resource)
        else { return }
        index.addPolicy(policy.id, group: group, resource: resource, policy.conditions)
    }

    private func removePolicy(_ id: PolicyID) {
        removePolicyFromIndex(id)
        policies.remove(id)
    }

    private func removePolicyFromIndex(_ id: PolicyID) {
        guard let policy = policies[id],
            let group = groups.slot(of: policy.group),
            let resource = resources.slot(of: policy.resource)
        else { return }
        index.removePolicy(id, group: group, resource: resource)
    }

    private func upsert(_ client: Directory.Client) {
        if let slot = clients.slot(of: client.id) {
            index.removeClient(slot, of: index.actorOfClient[slot])
            index.hold(clients[slot: slot]?.tunnel ?? [], nil)
        }
        let slot = clients.set(client)
        index.hold(client.tunnel, .client(client.id))
        if let actor = actors.slot(of: client.actor) { index.addClient(slot, of: actor) }
    }

    private func removeClient(_ id: ClientID) {
        guard let slot = clients.slot(of: id) else { return }
        index.removeClient(slot, of: index.actorOfClient[slot])
        index.hold(clients[slot: slot]?.tunnel ?? [], nil)
        clients.remove(id)
    }

    private func upsert(_ gateway: Directory.Gateway) {
        removeGatewayFromIndex(gateway.id)
        let slot = gateways.set(gateway)
        index.hold(gateway.tunnel, .gateway(gateway.id))
        if let site = sites.slot(of: gateway.site) { index.addGateway(slot, in: site) }
    }

    private func removeGateway(_ id: GatewayID) {
        removeGatewayFromIndex(id)
        gateways.remove(id)
    }

    private func removeGatewayFromIndex(_ id: GatewayID) {
        guard let slot = gateways.slot(of: id), let gateway = gateways[slot: slot],
            let site = sites.slot(of: gateway.site)
        else { return }
        index.hold(gateway.tunnel, nil)
        index.removeGateway(slot, in: site)
    }
}
