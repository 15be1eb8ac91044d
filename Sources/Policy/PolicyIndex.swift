internal import Control
internal import IP

/// What decisions are made from: who is in which group, which policies a resource has; by slots of
/// the directory's tables, kept up to date by every change.
struct PolicyIndex: Sendable {
    /// Conditions behind one reference, so that looking at them copies nothing.
    final class Asked: Sendable {
        let conditions: Conditions
        init(_ conditions: Conditions) { self.conditions = conditions }
    }

    /// A policy as its resource knows it.
    struct OfResource: Sendable {
        let policy: PolicyID
        let group: Int
        /// Nil when nothing is asked for.
        let asked: Asked?
    }

    /// A policy as its group knows it.
    struct OfGroup: Sendable {
        let policy: PolicyID
        let resource: Int
    }

    /// Who has an address inside the tunnel.
    enum Holder: Hashable, Sendable {
        case client(ClientID)
        case gateway(GatewayID)
    }

    /// By the actor's slot; in order.
    var groupsOfActor: [[Int]] = []
    /// By the actor's slot; in order.
    var clientsOfActor: [[Int]] = []
    /// By the actor's slot.
    var isDisabledActor: [Bool] = []
    /// By the resource's slot.
    var siteOfResource: [SiteID] = []
    /// By the client's slot.
    var actorOfClient: [Int] = []
    /// By the resource's slot.
    var policiesOfResource: [[OfResource]] = []
    /// By the group's slot.
    var policiesOfGroup: [[OfGroup]] = []
    /// By the site's slot; in order.
    var resourcesOfSite: [[Int]] = []
    /// By the site's slot; in order.
    var gatewaysOfSite: [[Int]] = []
    /// Addresses inside the tunnel; looked up, never iterated.
    var holderOfAddress: [IPAddress: Holder] = [:]
}

extension PolicyIndex {
    mutating func addActor(_ actor: Int, isDisabled: Bool) {
        isDisabledActor.put(isDisabled, at: actor, filling: true)
        groupsOfActor.reach(actor)
        clientsOfActor.reach(actor)
    }

    mutating func addGroup(_ group: Int) { policiesOfGroup.reach(group) }

    mutating func addMember(_ actor: Int, to group: Int) {
        groupsOfActor[actor].insertInOrder(group)
    }

    mutating func removeMember(_ actor: Int, from group: Int) {
        groupsOfActor[actor].removeInOrder(group)
    }

    mutating func addClient(_ client: Int, of actor: Int) {
        actorOfClient.put(actor, at: client, filling: 0)
        clientsOfActor[actor].insertInOrder(client)
    }

    mutating func removeClient(_ client: Int, of actor: Int) {
        clientsOfActor[actor].removeInOrder(client)
    }

    mutating func hold(_ addresses: [IPAddress], _ holder: Holder?) {
        for address in addresses { holderOfAddress[address] = holder }
    }

    mutating func addSite(_ site: Int) {
        resourcesOfSite.reach(site)
        gatewaysOfSite.reach(site)
    }

    mutating func addResource(_ resource: Int, in site: Int, _ id: SiteID) {
        siteOfResource.put(id, at: resource, filling: id)
        policiesOfResource.reach(resource)
        resourcesOfSite[site].insertInOrder(resource)
    }

    mutating func removeResource(_ resource: Int, in site: Int) {
        resourcesOfSite[site].removeInOrder(resource)
    }

    mutating func addGateway(_ gateway: Int, in site: Int) {
        gatewaysOfSite[site].insertInOrder(gateway)
    }

    mutating func removeGateway(_ gateway: Int, in site: Int) {
        gatewaysOfSite[site].removeInOrder(gateway)
    }

    mutating func addPolicy(
        _ policy: PolicyID,
        group: Int,
        resource: Int,
        _ conditions: Conditions
    ) {
        policiesOfGroup[group].append(OfGroup(policy: policy, resource: resource))
        policiesOfResource[resource].append(
            OfResource(
                policy: policy,
                group: group,
                asked: conditions.isEmpty ? nil : Asked(conditions)
            )
        )
    }

    mutating func removePolicy(_ policy: PolicyID, group: Int, resource: Int) {
        policiesOfGroup[group].removeAll { $0.policy == policy }
        policiesOfResource[resource].removeAll { $0.policy == policy }
    }
}

extension Array where Element: Comparable {
    /// The place of the first element that is not below `element`. O(log n).
    func place(of element: Element) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether an array in order has `element`. O(log n).
    func containsInOrder(_ element: Element) -> Bool {
        let place = place(of: element)
        return place < count && self[place] == element
    }

    mutating func insertInOrder(_ element: Element) {
        let place = place(of: element)
        if place == count || self[place] != element { insert(element, at: place) }
    }

    mutating func removeInOrder(_ element: Element) {
        let place = place(of: element)
        if place < count, self[place] == element { remove(at: place) }
    }
}

extension Array {
    /// Puts `element` at `index`, with as many of `filler` before it as are missing.
    mutating func put(_ element: Element, at index: Int, filling filler: Element) {
        while count <= index { append(filler) }
        self[index] = element
    }
}

extension Array where Element: RangeReplaceableCollection {
    /// Makes `index` valid.
    mutating func reach(_ index: Int) {
        while count <= index { append(Element()) }
    }
}
