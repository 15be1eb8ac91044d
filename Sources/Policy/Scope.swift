public import Control

/// None, some or all of a kind.
public enum Selection<ID: Hashable & Comparable & Sendable>: Hashable, Sendable {
    /// These; in order, each once.
    case some([ID])
    case all

    /// Not one.
    public static var none: Self { .some([]) }

    /// Whether it holds nothing.
    public var isEmpty: Bool { self == .none }

    /// Whether `id` is among them. O(log n).
    public func contains(_ id: ID) -> Bool {
        switch self {
        case .some(let ids): ids.containsInOrder(id)
        case .all: true
        }
    }

    init(_ ids: some Sequence<ID>) {
        self = .some(ids.sorted().reduce(into: []) { if $0.last != $1 { $0.append($1) } })
    }

    mutating func formUnion(_ other: Self) {
        switch (self, other) {
        case (.some(var mine), .some(let theirs)):
            self = .none
            // A large change adds few to many, again and again.
            for id in theirs { mine.insertInOrder(id) }
            self = .some(mine)
        case (.all, _), (_, .all): self = .all
        }
    }
}

/// Whom a change touches: nobody else needs to be told, and no other lease to be decided again.
public struct Scope: Hashable, Sendable {
    /// Clients × resources: of these clients the list may be another, and the leases for these
    /// resources are decided again.
    public struct Area: Hashable, Sendable {
        public var clients: Selection<ClientID>
        public var resources: Selection<ResourceID>

        public init(clients: Selection<ClientID>, resources: Selection<ResourceID>) {
            (self.clients, self.resources) = (clients, resources)
        }
    }

    /// The union of all changes, one for each set of clients; a client may be in several.
    public private(set) var areas: [Area] = []
    /// Gateways that are new, other than before, or gone; or whose site is.
    public private(set) var gateways: Selection<GatewayID> = .none
    /// Clients whose own name, actor or addresses may be others.
    public private(set) var identities: Selection<ClientID> = .none
    /// Every client's nameservers are others.
    public private(set) var hasNewDNS = false
    /// Stock relays are new, other than before, or gone.
    public private(set) var hasNewRelays = false
    /// Every client's and gateway's ranges are others.
    public private(set) var hasNewAddresses = false

    /// Nobody.
    public init() {}

    /// Whether nobody is touched.
    public var isEmpty: Bool { self == Scope() }

    /// Whether a lease of `client` for `resource` is to be decided again.
    public func touches(_ client: ClientID, _ resource: ResourceID) -> Bool {
        areas.contains { $0.clients.contains(client) && $0.resources.contains(resource) }
    }

    /// Whether anything of `client` is touched, apart from nameservers and ranges.
    public func touches(_ client: ClientID) -> Bool {
        identities.contains(client) || areas.contains { $0.clients.contains(client) }
    }

    /// Adds what another change touches.
    public mutating func formUnion(_ other: Scope) {
        for area in other.areas { add(area.clients, area.resources) }
        gateways.formUnion(other.gateways)
        identities.formUnion(other.identities)
        hasNewDNS = hasNewDNS || other.hasNewDNS
        hasNewRelays = hasNewRelays || other.hasNewRelays
        hasNewAddresses = hasNewAddresses || other.hasNewAddresses
    }

    mutating func add(_ clients: Selection<ClientID>, _ resources: Selection<ResourceID>) {
        if clients.isEmpty || resources.isEmpty { return }
        guard let index = areas.firstIndex(where: { $0.clients == clients }) else {
            areas.append(Area(clients: clients, resources: resources))
            return
        }
        areas[index].resources.formUnion(resources)
    }

    mutating func add(identities: Selection<ClientID>) { self.identities.formUnion(identities) }
    mutating func add(gateways: Selection<GatewayID>) { self.gateways.formUnion(gateways) }
    mutating func addDNS() { hasNewDNS = true }
    mutating func addRelays() { hasNewRelays = true }
    mutating func addAddresses() { hasNewAddresses = true }
}

extension Directory {
    /// Whom `change` would touch if it were made now; nobody when it changes nothing.
    public func scope(of change: Change) -> Scope {
        var scope = Scope()
        switch change {
        case .account, .upsertProvider, .removeProvider, .tests: break
        case .upsertActor(let actor): add(actor, to: &scope)
        case .removeActor(let id): scope.add(clientsOfActor(id), .all)
        case .upsertGroup(let group): add(group, to: &scope)
        case .removeGroup(let id): add(members: groups[id]?.members ?? [], of: id, to: &scope)
        case .addMember(let group, let actor):
            if groups[group]?.contains(actor) == false {
                add(members: [actor], of: group, to: &scope)
            }
        case .removeMember(let group, let actor):
            if groups[group]?.contains(actor) == true {
                add(members: [actor], of: group, to: &scope)
            }
        case .upsertSite(let site): add(site, to: &scope)
        case .removeSite: break
        case .upsertResource(let resource):
            if resources[resource.id] != resource { add(resource.id, to: &scope) }
        case .removeResource(let id): add(id, to: &scope)
        case .upsertPolicy(let policy):
            if policies[policy.id] != policy {
                if let old = policies[policy.id] { add(old, to: &scope) }
                add(policy, to: &scope)
            }
        case .removePolicy(let id):
            if let old = policies[id] { add(old, to: &scope) }
        case .upsertClient(let client): add(client, to: &scope)
        case .removeClient(let id):
            scope.add(.some([id]), .all)
            scope.add(identities: .some([id]))
        case .upsertGateway(let gateway):
            if gateways[gateway.id] != gateway { scope.add(gateways: .some([gateway.id])) }
        case .removeGateway(let id): scope.add(gateways: .some([id]))
        case .upsertRelay(let relay): if relays[relay.id] != relay { scope.addRelays() }
        case .removeRelay: scope.addRelays()
        case .dns(let settings): if settings != dns { scope.addDNS() }
        case .addresses(let plan): if plan != addresses { scope.addAddresses() }
        }
        return scope
    }

    private func add(_ actor: Actor, to scope: inout Scope) {
        guard let old = actors[actor.id], old != actor else { return }
        if old.isDisabled != actor.isDisabled { scope.add(clientsOfActor(actor.id), .all) }
        scope.add(identities: clientsOfActor(actor.id))
    }

    private func add(_ group: Group, to scope: inout Scope) {
        guard let old = groups[group.id] else { return }
        let changed =
            old.members.filter { !group.contains($0) } + group.members.filter { !old.contains($0) }
        add(members: changed, of: group.id, to: &scope)
    }

    private func add(_ site: Site, to scope: inout Scope) {
        guard let old = sites[site.id], old != site, let slot = sites.slot(of: site.id) else {
            return
        }
        scope.add(
            gateways: Selection(index.gatewaysOfSite[slot].compactMap { gateways[slot: $0]?.id })
        )
        guard old.name != site.name else { return }
        for resource in index.resourcesOfSite[slot] {
            if let resource = resources[slot: resource] { add(resource.id, to: &scope) }
        }
    }

    private func add(_ client: Client, to scope: inout Scope) {
        guard let old = clients[client.id], old != client else { return }
        if old.device != client.device || old.actor != client.actor {
            scope.add(.some([client.id]), .all)
        }
        scope.add(identities: .some([client.id]))
    }

    private func add(_ resource: ResourceID, to scope: inout Scope) {
        scope.add(Selection(clients(seeing: resource).map(\.id)), .some([resource]))
    }

    private func add(_ policy: Policy, to scope: inout Scope) {
        let members = groups[policy.group]?.members ?? []
        scope.add(clients(ofActors: members), .some([policy.resource]))
    }

    private func add(members: [ActorID], of group: GroupID, to scope: inout Scope) {
        guard let slot = groups.slot(of: group) else { return }
        let reached = index.policiesOfGroup[slot].compactMap { resources[slot: $0.resource]?.id }
        scope.add(clients(ofActors: members), Selection(reached))
    }

    private func clientsOfActor(_ id: ActorID) -> Selection<ClientID> { clients(ofActors: [id]) }

    private func clients(ofActors actorIDs: [ActorID]) -> Selection<ClientID> {
        var found: [ClientID] = []
        for id in actorIDs {
            guard let slot = actors.slot(of: id) else { continue }
            found += index.clientsOfActor[slot].compactMap { clients[slot: $0]?.id }
        }
        return Selection(found)
    }
}
