public import Control

/// The whole configuration of an account, as one value.
///
/// It changes only by ``apply(_:)``, which checks each change and keeps the index up to date. Names
/// are compared whatever their case; identifiers are for ever.
public struct Directory: Sendable {
    /// Shared by copies until one of them changes.
    var storage: DirectoryStorage

    /// An empty account.
    ///
    /// - Parameter portal: Where the portal itself is; no resource may cover it.
    public init(portal: PortalURL? = nil) { storage = DirectoryStorage(portal: portal) }

    /// Where the portal itself is; no resource may cover it.
    public var portal: PortalURL? { storage.portal }
    /// The account's display name.
    public var account: String { storage.account }
    public var actors: Table<Actor> { storage.actors }
    public var groups: Table<Group> { storage.groups }
    public var sites: Table<Site> { storage.sites }
    public var resources: Table<Resource> { storage.resources }
    public var policies: Table<Policy> { storage.policies }
    public var clients: Table<Client> { storage.clients }
    public var gateways: Table<Gateway> { storage.gateways }
    public var providers: Table<Provider> { storage.providers }
    /// Stock TURN servers; relays that connect by themselves are not among them.
    public var relays: Table<Relay> { storage.relays }
    public var dns: DNSSettings { storage.dns }
    public var addresses: AddressPlan { storage.addresses }
    /// Checked before changes are made.
    public var tests: [PolicyTest] { storage.tests }

    var index: PolicyIndex { storage.index }

    /// The time zones that policies name, in order: what ``ZoneOffsets`` must hold.
    public var zoneNames: [String] {
        var names: [String] = []
        for policy in policies {
            if let zone = policy.conditions.hours?.zone { names.append(zone) }
        }
        return names.sorted().reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }
}

extension Directory: Equatable {
    /// Whether both say the same; how they came to it does not count.
    public static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.portal == rhs.portal && lhs.account == rhs.account && lhs.actors == rhs.actors
            && lhs.groups == rhs.groups && lhs.sites == rhs.sites
            && lhs.resources == rhs.resources && lhs.policies == rhs.policies
            && lhs.clients == rhs.clients && lhs.gateways == rhs.gateways
            && lhs.providers == rhs.providers && lhs.relays == rhs.relays && lhs.dns == rhs.dns
            && lhs.addresses == rhs.addresses && lhs.tests == rhs.tests
    }
}

// MARK: - Who is in which group, what each may see

extension Directory {
    /// The groups that `actor` is a member of, in order of their identifiers.
    public func groups(of actor: ActorID) -> [Group] {
        guard let slot = actors.slot(of: actor) else { return [] }
        return index.groupsOfActor[slot].compactMap { groups[slot: $0] }.sorted { $0.id < $1.id }
    }

    /// The clients that belong to `actor`, in order of their identifiers.
    public func clients(of actor: ActorID) -> [Client] {
        guard let slot = actors.slot(of: actor) else { return [] }
        return index.clientsOfActor[slot].compactMap { clients[slot: $0] }
            .sorted { $0.id < $1.id }
    }

    /// The resources that some policy lets `actor` reach, whatever its conditions, in order of
    /// their identifiers: what its clients are told of.
    public func resources(for actor: ActorID) -> [Resource] {
        guard let slot = actors.slot(of: actor), !index.isDisabledActor[slot] else {
            return []
        }
        var seen: Set<Int> = []
        var found: [Resource] = []
        for group in index.groupsOfActor[slot] {
            for policy in index.policiesOfGroup[group] {
                guard seen.insert(policy.resource).inserted else { continue }
                if let resource = resources[slot: policy.resource] { found.append(resource) }
            }
        }
        return found.sorted { $0.id < $1.id }
    }

    /// What the client called `client` is told of; see ``resources(for:)``.
    public func resources(for client: ClientID) -> [Resource] {
        clients[client].map { resources(for: $0.actor) } ?? []
    }

    /// The policies for `resource`, in order of their identifiers.
    public func policies(for resource: ResourceID) -> [Policy] {
        guard let slot = resources.slot(of: resource) else { return [] }
        return index.policiesOfResource[slot].compactMap { policies[$0.policy] }
            .sorted { $0.id < $1.id }
    }

    /// The policies of `group`, in order of their identifiers.
    public func policies(of group: GroupID) -> [Policy] {
        guard let slot = groups.slot(of: group) else { return [] }
        return index.policiesOfGroup[slot].compactMap { policies[$0.policy] }
            .sorted { $0.id < $1.id }
    }

    /// The clients whose actor some policy lets reach `resource`, in order of their identifiers.
    public func clients(seeing resource: ResourceID) -> [Client] {
        guard let slot = resources.slot(of: resource) else { return [] }
        var seen: Set<Int> = []
        var found: [Client] = []
        for policy in index.policiesOfResource[slot] {
            for member in groups[slot: policy.group]?.members ?? [] {
                guard let actor = actors.slot(of: member), seen.insert(actor).inserted else {
                    continue
                }
                found += index.clientsOfActor[actor].compactMap { clients[slot: $0] }
            }
        }
        return found.sorted { $0.id < $1.id }
    }
}
