public import DNS
public import IP
public import SansIO
public import Control

/// Which proxy addresses stand for which protected name.
///
/// A name gets four addresses of each family, in sequence, on its first query, and keeps them for
/// as long as it is known; what it hands out is told as records for a log on disk, to be appended
/// before the answer leaves. Names that nobody used for a day give their addresses back when room
/// gets scarce; the addresses rest for a day before another name gets them. It knows neither what
/// is protected nor who may reach it.
public struct ProxyTable: Sendable {
    /// Bounds of the table, and its times.
    public enum Limits {
        /// Addresses of a name in each family.
        public static var addressesPerName: Int { 4 }
        /// Names at most; the ranges may hold fewer.
        public static var slots: Int { 1 << 19 }
        /// Slots that the synced mark runs ahead of what is handed out: 4,096 addresses.
        public static var markAhead: Int { 1024 }
        /// How long a name is unused before it may be recycled.
        public static var unused: Duration { .seconds(86_400) }
        /// How long given-back addresses stand for nothing.
        public static var rest: Duration { .seconds(86_400) }
        /// How long after its last packet a name may still have a flow (RFC 5382 REQ-5).
        public static var flowIdle: Duration { .seconds(7_440) }
        /// Names looked at for one that can go.
        public static var searched: Int { 64 }
        /// Slots looked at for one that the host has no address of.
        public static var passed: Int { 1024 }
        /// How often names are recycled while room is scarce.
        public static var recycleInterval: Duration { .seconds(3_600) }
    }

    /// On whose account a name holds addresses.
    public enum Owner: Hashable, Sendable {
        /// A resource of this one name.
        case exact
        /// A resource of a pattern, which holds a quarter of the table at most.
        case wildcard(ResourceID)
    }

    /// One address of a name.
    public struct Place: Hashable, Sendable {
        /// The name's number.
        public let slot: Int
        /// The name.
        public let name: Name
        /// The family of the address.
        public let family: IPFamily
        /// Which of the name's four addresses of the family: 0…3.
        public let index: Int
    }

    /// A name that gave its addresses back; gateways that know it must hear of it.
    public struct Release: Hashable, Sendable {
        public let slot: Int
        public let name: Name
        /// All its addresses, which stand for nothing now.
        public let addresses: [IPAddress]
    }

    let layout: ProxyLayout
    /// How many names fit.
    public let capacity: Int
    var slots: [Slot] = []
    var slotOfName: [Name: Int] = [:]
    var groups = ProxyGroups()
    /// Slots at rest, the oldest first, and from when they are free.
    private var resting = Fifo<(slot: Int, until: Instant)>()
    /// Slots that had a name once and may have another one.
    private var rested = Fifo<Int>()
    /// Everything below was handed out, or may have been.
    var mark = 0
    /// Slots that the host has an address of; they are not handed out.
    private var conflicts: [Range<Int>] = []
    private var releases = Fifo<Release>()
    var records = Fifo<ProxyLogRecord>()
    private var recycleAt: Instant?
    /// Names that got no addresses for lack of room, since the start.
    public private(set) var refusedCount = 0

    /// An empty table.
    public init(proxies: [IPPrefix], sentinels: [IPPrefix]) {
        layout = ProxyLayout(proxies: proxies, sentinels: sentinels)
        capacity = layout.usableCount
        records.append(ProxyLogRecord(.header(layout)))
    }

    /// How many names have addresses.
    public var count: Int { groups.usedCount }
    /// How many slots rest.
    public var restingCount: Int { groups.restingCount }
}

// MARK: - Look-up

extension ProxyTable {
    /// The slot of a name; nil when it is not known.
    public func slot(of name: Name) -> Int? { slotOfName[name] }

    /// The name of a slot; nil when it has none.
    public func name(of slot: Int) -> Name? {
        slots.indices.contains(slot) ? slots[slot].name : nil
    }

    /// What an address stands for; nil for nothing. Constant time.
    public func place(of address: IPAddress) -> Place? {
        guard let place = layout.place(of: address), place.slot < slots.count,
            let name = slots[place.slot].name
        else { return nil }
        return Place(slot: place.slot, name: name, family: address.family, index: place.index)
    }

    /// Whether `address` lies in the ranges, whether it stands for something or not.
    public func covers(_ address: IPAddress) -> Bool {
        (address.isIPv4 ? layout.ipv4 : layout.ipv6)?.contains(address) ?? false
    }

    /// The four addresses of a slot in one family, in order; none where the family has no range.
    public func addresses(of slot: Int, _ family: IPFamily) -> [IPAddress] {
        var all: [IPAddress] = []
        all.reserveCapacity(Limits.addressesPerName)
        for index in 0..<Limits.addressesPerName {
            if let address = layout.address(slot, family, index) { all.append(address) }
        }
        return all
    }

    /// The next record to append to the log; nil when there is none.
    public mutating func popRecord() -> ProxyLogRecord? { records.popFirst() }

    /// The next name that gave its addresses back; nil when there is none.
    public mutating func popRelease() -> Release? { releases.popFirst() }
}

// MARK: - Use

extension ProxyTable {
    /// The slot of a name that is asked for; a new name gets one.
    /// - Returns: nil when there is no room.
    public mutating func assign(_ name: Name, to owner: Owner, at now: Instant) -> Int? {
        if let slot = slotOfName[name] {
            use(slot, by: owner, at: now)
            return slot
        }
        guard let slot = take(for: owner, at: now) else {
            refusedCount += 1
            return nil
        }
        slots[slot] = Slot(name: name, lastUse: now)
        slotOfName[name] = slot
        groups.add(slot, to: owner, &slots)
        records.append(ProxyLogRecord(.name(slot, families: 0, name)))
        if isScarce(slots[slot].group), recycleAt == nil {
            recycleAt = now.advanced(by: Limits.recycleInterval)
        }
        return slot
    }

    /// A known name is asked for, perhaps on another account than before.
    mutating func use(_ slot: Int, by owner: Owner, at now: Instant) {
        if !groups.isMember(slots[slot].group, of: owner) {
            groups.remove(slot, &slots)
            groups.add(slot, to: owner, &slots)
        }
        if slots[slot].lastUse != now { touch(slot, at: now) }
    }

    /// A query or a packet used the slot's name.
    public mutating func touch(_ slot: Int, at now: Instant) {
        guard slots.indices.contains(slot), slots[slot].name != nil else { return }
        slots[slot].lastUse = now
        groups.moveToEnd(slot, &slots)
    }

    /// A packet to or from an address of the slot; cheap enough for each one.
    public mutating func notePacket(_ slot: Int, at now: Instant) {
        guard slots.indices.contains(slot), slots[slot].name != nil else { return }
        slots[slot].lastPacket = now
        // The order of use need not be exact to the minute.
        if slots[slot].lastUse.duration(to: now) > .seconds(60) { touch(slot, at: now) }
    }

    /// When the last packet to or from the name's addresses passed; nil: none since the start.
    func lastPacket(of slot: Int) -> Instant? {
        slots.indices.contains(slot) && slots[slot].name != nil ? slots[slot].lastPacket : nil
    }

    /// The gateway said which families the name has; kept with it.
    public mutating func setFamilies(of slot: Int, ipv4: Bool, ipv6: Bool) {
        guard slots.indices.contains(slot), slots[slot].name != nil else { return }
        let families = UInt8(ipv4 ? 1 : 0) | UInt8(ipv6 ? 2 : 0)
        guard slots[slot].families != families else { return }
        slots[slot].families = families
        records.append(ProxyLogRecord(.families(slot, families)))
    }

    /// Whether the name is known to have addresses of the other family only.
    public func isAbsent(_ family: IPFamily, at slot: Int) -> Bool {
        guard slots.indices.contains(slot) else { return false }
        return slots[slot].families == (family == .ipv4 ? 2 : 1)
    }

    /// When the name was last asked for in `family`; nil for never.
    func lastAsked(_ family: IPFamily, at slot: Int) -> Instant? {
        family == .ipv4 ? slots[slot].lastAskedIPv4 : slots[slot].lastAskedIPv6
    }

    /// The name was asked for in `family`.
    mutating func noteAsked(_ family: IPFamily, at slot: Int, _ now: Instant) {
        if family == .ipv4 {
            slots[slot].lastAskedIPv4 = now
        } else {
            slots[slot].lastAskedIPv6 = now
        }
    }

    /// Which address of the slot is to come first in the next answer: each in its turn.
    mutating func nextRotation(_ family: IPFamily, at slot: Int) -> Int {
        let bit: UInt8 = family == .ipv4 ? 0 : 4
        let turn = slots[slot].rotations >> bit & 3
        slots[slot].rotations &= ~(3 << bit)
        slots[slot].rotations |= ((turn + 1) & 3) << bit
        return Int(turn)
    }
}

// MARK: - Room

extension ProxyTable {
    /// A quarter of the table.
    private var quarter: Int { capacity / 4 }

    /// When ``advance(to:)`` must be called at the latest.
    public var nextDeadline: Instant? { recycleAt }

    /// Recycles what nobody used for a day, the oldest first, while room is scarce.
    public mutating func advance(to now: Instant) {
        guard let due = recycleAt, due <= now else { return }
        recycleAt = nil
        for group in groups.indices {
            while isScarce(group), let slot = groups.oldest(of: group, slots),
                isUnused(slot, at: now)
            {
                release(slot, at: now)
            }
            if isScarce(group) { recycleAt = now.advanced(by: Limits.recycleInterval) }
        }
    }

    /// Whether the group should give back what it does not use: it holds half of its part, or all
    /// groups hold half of the table.
    private func isScarce(_ group: Int) -> Bool {
        let part = group == ProxyGroups.exact ? capacity : quarter
        return groups.usedCount(of: group) > part / 2 || groups.usedCount > capacity / 2
    }

    private func isUnused(_ slot: Int, at now: Instant) -> Bool {
        slots[slot].lastUse.duration(to: now) >= Limits.unused && !hasFlow(slot, at: now)
    }

    private func hasFlow(_ slot: Int, at now: Instant) -> Bool {
        slots[slot].lastPacket.map { $0.duration(to: now) < Limits.flowIdle } ?? false
    }

    /// A slot for a new name of `owner`, whose limits are kept.
    private mutating func take(for owner: Owner, at now: Instant) -> Int? {
        endRests(at: now)
        if case .wildcard = owner {
            guard makeRoom(for: owner, at: now) else { return nil }
        }
        return takeSlot()
    }

    /// A wildcard holds a quarter at most, twice that with what rests; all of them three quarters,
    /// a quarter being kept for exact names. At a limit the least recently used name without flows
    /// goes, but only where that helps.
    private mutating func makeRoom(for owner: Owner, at now: Instant) -> Bool {
        let group = groups.index(of: owner)
        let spare = capacity - groups.usedCount - groups.restingCount
        let kept = max(0, quarter - groups.usedCount(of: ProxyGroups.exact))
        guard spare > kept else { return false }
        if let group {
            let held = groups.usedCount(of: group) + groups.restingCount(of: group)
            guard held < 2 * quarter else { return false }
            if groups.usedCount(of: group) >= quarter {
                guard let slot = oldestIdle(in: groups.list(of: group, slots), at: now) else {
                    return false
                }
                release(slot, at: now)
                return true
            }
        }
        guard groups.wildcardUsedCount >= 3 * quarter else { return true }
        guard let slot = oldestIdle(in: groups.wildcardList(slots), at: now) else { return false }
        release(slot, at: now)
        return true
    }

    private func oldestIdle(in list: some Sequence<Int>, at now: Instant) -> Int? {
        list.prefix(Limits.searched).first { !hasFlow($0, at: now) }
    }

    /// Takes over the networks that the host has already. Names there get other addresses when they
    /// are asked for again.
    mutating func setConflicts(_ networks: [IPPrefix]) { conflicts = layout.slots(in: networks) }

    /// Whether the host has one of the slot's addresses.
    func isInConflict(_ slot: Int) -> Bool { conflicts.contains { $0.contains(slot) } }

    /// The next slot in sequence, then the one that rested longest.
    private mutating func takeSlot() -> Int? {
        while slots.count < layout.slotCount {
            let slot = slots.count
            slots.append(Slot())
            guard layout.isUsable(slot) else { continue }
            guard !isInConflict(slot) else {
                rested.append(slot)
                continue
            }
            if slot >= mark {
                mark = min(slot + Limits.markAhead, layout.slotCount)
                records.append(ProxyLogRecord(.mark(mark)))
            }
            return slot
        }
        for _ in 0..<min(rested.count, Limits.passed) {
            guard let slot = rested.popFirst() else { return nil }
            guard isInConflict(slot) else { return slot }
            rested.append(slot)
        }
        return nil
    }

    /// Takes a slot's name away; its addresses rest.
    mutating func release(_ slot: Int, at now: Instant) {
        guard let name = slots[slot].name else { return }
        let addresses = addresses(of: slot, .ipv4) + addresses(of: slot, .ipv6)
        releases.append(Release(slot: slot, name: name, addresses: addresses))
        records.append(ProxyLogRecord(.release(slot)))
        slotOfName[name] = nil
        groups.remove(slot, &slots)
        slots[slot].name = nil
        rest(slot, from: now)
    }

    /// Lets a slot without name rest on the account of the group that it was in.
    mutating func rest(_ slot: Int, from now: Instant) {
        groups.startRest(slots[slot].group)
        resting.append((slot, now.advanced(by: Limits.rest)))
    }

    private mutating func endRests(at now: Instant) {
        while let first = resting.first, first.until <= now {
            _ = resting.popFirst()
            groups.endRest(slots[first.slot].group)
            rested.append(first.slot)
        }
    }
}
