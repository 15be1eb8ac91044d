internal import Control
internal import DNS
internal import SansIO

extension ProxyTable {
    /// Four addresses of each family, and the name that has them.
    struct Slot: Sendable {
        /// nil at rest, and for slots that no name can have.
        var name: Name?
        var lastUse = Instant(nanoseconds: 0)
        var lastPacket: Instant?
        var lastAskedIPv4: Instant?
        var lastAskedIPv6: Instant?
        /// Bits: 1 IPv4, 2 IPv6; 0 means unknown.
        var families: UInt8 = 0
        /// Whose turn it is, two bits for each family.
        var rotations: UInt8 = 0
        /// The group that it counts for.
        var group = ProxyGroups.exact
        /// Its place in the group's order of use.
        var inGroup = ProxyGroups.Link()
        /// Its place in the order of use of all wildcards' names.
        var inWildcards = ProxyGroups.Link()

        init(name: Name? = nil, lastUse: Instant = Instant(nanoseconds: 0)) {
            (self.name, self.lastUse) = (name, lastUse)
        }
    }
}

/// Who holds how many slots, and in which order their names were used.
struct ProxyGroups: Sendable {
    /// Neighbours in a list; -1 for none.
    struct Link: Sendable {
        var previous = -1
        var next = -1
    }

    private struct List: Sendable {
        var first = -1
        var last = -1
    }

    private struct Group: Sendable {
        var resource: ResourceID?
        var list = List()
        var used = 0
        var resting = 0
    }

    /// The group of all exact names.
    static let exact = 0
    /// The group of names read from disk that nobody asked for since: whose they are is not known,
    /// so they count among the wildcards'.
    static let restored = 1

    private var groups = [Group(), Group()]
    private var indexOfResource: [ResourceID: Int] = [:]
    private var wildcards = List()
    private(set) var usedCount = 0
    private(set) var restingCount = 0

    var indices: Range<Int> { groups.indices }
    var wildcardUsedCount: Int { usedCount - groups[Self.exact].used }

    func usedCount(of group: Int) -> Int { groups[group].used }
    func restingCount(of group: Int) -> Int { groups[group].resting }

    /// The group of an owner; nil when it holds nothing yet.
    func index(of owner: ProxyTable.Owner) -> Int? {
        switch owner {
        case .exact: Self.exact
        case .wildcard(let resource): indexOfResource[resource]
        }
    }

    func isMember(_ group: Int, of owner: ProxyTable.Owner) -> Bool { index(of: owner) == group }

    /// The least recently used slot of a group.
    func oldest(of group: Int, _ slots: [ProxyTable.Slot]) -> Int? {
        groups[group].list.first < 0 ? nil : groups[group].list.first
    }

    /// The slots of a group, the least recently used first.
    func list(of group: Int, _ slots: [ProxyTable.Slot]) -> UnfoldSequence<Int, Int> {
        sequence(state: groups[group].list.first) { slot in
            guard slot >= 0 else { return nil }
            defer { slot = slots[slot].inGroup.next }
            return slot
        }
    }

    /// The slots of all wildcards, the least recently used first.
    func wildcardList(_ slots: [ProxyTable.Slot]) -> UnfoldSequence<Int, Int> {
        sequence(state: wildcards.first) { slot in
            guard slot >= 0 else { return nil }
            defer { slot = slots[slot].inWildcards.next }
            return slot
        }
    }

    /// Adds a slot that is in no group, as the most recently used.
    mutating func add(
        _ slot: Int,
        to owner: ProxyTable.Owner,
        _ slots: inout [ProxyTable.Slot]
    ) {
        add(slot, toGroup: index(of: owner) ?? addGroup(of: owner), &slots)
    }

    /// Adds a slot that is in no group, as the most recently used.
    mutating func add(_ slot: Int, toGroup group: Int, _ slots: inout [ProxyTable.Slot]) {
        slots[slot].group = group
        groups[group].used += 1
        usedCount += 1
        append(slot, &slots)
    }

    mutating func remove(_ slot: Int, _ slots: inout [ProxyTable.Slot]) {
        groups[slots[slot].group].used -= 1
        usedCount -= 1
        unlink(slot, &slots)
    }

    mutating func moveToEnd(_ slot: Int, _ slots: inout [ProxyTable.Slot]) {
        unlink(slot, &slots)
        append(slot, &slots)
    }

    mutating func startRest(_ group: Int) {
        groups[group].resting += 1
        restingCount += 1
    }

    mutating func endRest(_ group: Int) {
        groups[group].resting -= 1
        restingCount -= 1
    }

    private mutating func addGroup(of owner: ProxyTable.Owner) -> Int {
        guard case .wildcard(let resource) = owner else { return Self.exact }
        // A group that holds nothing any more has another resource's turn.
        let free = groups.indices.dropFirst(2).first { groups[$0].used + groups[$0].resting == 0 }
        let group = free ?? groups.count
        if group == groups.count { groups.append(Group()) }
        if let before = groups[group].resource { indexOfResource[before] = nil }
        groups[group].resource = resource
        indexOfResource[resource] = group
        return group
    }

    private mutating func append(_ slot: Int, _ slots: inout [ProxyTable.Slot]) {
        let group = slots[slot].group
        slots[slot].inGroup = Link(previous: groups[group].list.last)
        if groups[group].list.last >= 0 {
            slots[groups[group].list.last].inGroup.next = slot
        } else {
            groups[group].list.first = slot
        }
        groups[group].list.last = slot
        guard group != Self.exact else { return }
        slots[slot].inWildcards = Link(previous: wildcards.last)
        if wildcards.last >= 0 {
            slots[wildcards.last].inWildcards.next = slot
        } else {
            wildcards.first = slot
        }
        wildcards.last = slot
    }

    private mutating func unlink(_ slot: Int, _ slots: inout [ProxyTable.Slot]) {
        let group = slots[slot].group
        let link = slots[slot].inGroup
        if link.previous >= 0 {
            slots[link.previous].inGroup.next = link.next
        } else {
            groups[group].list.first = link.next
        }
        if link.next >= 0 {
            slots[link.next].inGroup.previous = link.previous
        } else {
            groups[group].list.last = link.previous
        }
        guard group != Self.exact else { return }
        let wildcard = slots[slot].inWildcards
        if wildcard.previous >= 0 {
            slots[wildcard.previous].inWildcards.next = wildcard.next
        } else {
            wildcards.first = wildcard.next
        }
        if wildcard.next >= 0 {
            slots[wildcard.next].inWildcards.previous = wildcard.previous
        } else {
            wildcards.last = wildcard.previous
        }
    }
}
