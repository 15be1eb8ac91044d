public import Control
public import DNS
internal import IP
internal import SansIO

/// A resource as the stub resolver knows it.
public struct ProtectedName: Hashable, Sendable {
    /// The resource.
    public let id: ResourceID
    /// Which names are its.
    public let pattern: NamePattern
    /// Which families are answered.
    public let families: ServedFamilies

    public init(id: ResourceID, pattern: NamePattern, families: ServedFamilies = .both) {
        (self.id, self.pattern, self.families) = (id, pattern, families)
    }
}

extension StubResolver {
    /// What the resources say about one name.
    struct Match: Sendable {
        /// When it was found; 0 for never.
        var generation: UInt32 = 0
        /// All resources that the name belongs to, the most specific first.
        var resources: [ResourceID] = []
        /// Whether any of them is answered in the family.
        var servesIPv4 = false
        var servesIPv6 = false
        /// Whether the name is protected, but not for us.
        var isWithheld = false
        /// On whose account the name holds addresses.
        var owner = ProxyTable.Owner.exact

        func serves(_ family: IPFamily) -> Bool { family == .ipv4 ? servesIPv4 : servesIPv6 }
    }
}

// MARK: - Which resources there are

extension StubResolver {
    /// Takes over all resources.
    /// - Returns: Whether anything changed: caches on the host must be emptied then.
    public mutating func setResources(_ all: [ProtectedName]) -> Bool {
        let sorted = all.sorted { $0.id < $1.id }
        guard sorted != resources else { return false }
        var (old, new) = (resources[...], sorted[...])
        while old.first != nil || new.first != nil {
            if let before = old.first, new.first.map({ before.id < $0.id }) ?? true {
                index.remove(before.pattern, before.id)
                old.removeFirst()
            } else if let after = new.first, old.first.map({ after.id < $0.id }) ?? true {
                index.insert(after.pattern, after.id)
                new.removeFirst()
            } else if let before = old.popFirst(), let after = new.popFirst(), before != after {
                index.remove(before.pattern, before.id)
                index.insert(after.pattern, after.id)
            }
        }
        resources = sorted
        resourcesChanged()
        return true
    }

    /// Adds a resource, or changes it.
    /// - Returns: Whether anything changed.
    public mutating func setResource(_ resource: ProtectedName) -> Bool {
        let place = place(of: resource.id)
        if place < resources.count, resources[place].id == resource.id {
            guard resources[place] != resource else { return false }
            index.remove(resources[place].pattern, resource.id)
            resources[place] = resource
        } else {
            resources.insert(resource, at: place)
        }
        index.insert(resource.pattern, resource.id)
        resourcesChanged()
        return true
    }

    /// Takes a resource away; its names are forwarded from now on.
    /// - Returns: Whether it was there.
    public mutating func removeResource(_ id: ResourceID) -> Bool {
        let place = place(of: id)
        guard place < resources.count, resources[place].id == id else { return false }
        index.remove(resources[place].pattern, id)
        resources.remove(at: place)
        resourcesChanged()
        return true
    }

    /// What was found before does not hold any more.
    mutating func resourcesChanged() {
        generation &+= 1
        flushCache()
    }

    /// Where the resource is, or would be.
    private func place(of id: ResourceID) -> Int {
        var (low, high) = (0, resources.count)
        while low < high {
            let middle = (low + high) / 2
            if resources[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

// MARK: - Which resources a name belongs to

extension StubResolver {
    /// All resources that the name of a slot belongs to, the most specific first; none when the
    /// name is not protected any more.
    public mutating func resources(of slot: Int) -> [ResourceID] {
        match(of: slot)?.resources ?? []
    }

    /// All resources that `name` belongs to, the most specific first.
    public func resources(of name: Name) -> [ResourceID] {
        let matching = index.matches(of: name)
        return matching.isEmpty ? withholding(name).map { [$0.id] } ?? [] : matching
    }

    /// Whether the name of a slot belongs to a resource.
    mutating func isProtected(_ slot: Int) -> Bool { !resources(of: slot).isEmpty }

    /// What the resources say about a slot's name; remembered until they change.
    mutating func match(of slot: Int) -> Match? {
        guard let name = proxies.name(of: slot) else { return nil }
        if slot < matches.count, matches[slot].generation == generation { return matches[slot] }
        return remember(findMatch(of: name), at: slot)
    }

    private mutating func remember(_ match: Match, at slot: Int) -> Match {
        while matches.count <= slot { matches.append(Match()) }
        matches[slot] = match
        return match
    }

    func findMatch(of name: Name) -> Match {
        var match = Match(generation: generation, resources: index.matches(of: name))
        for (position, id) in match.resources.enumerated() {
            let resource = resources[place(of: id)]
            match.servesIPv4 = match.servesIPv4 || resource.families.contains(.ipv4)
            match.servesIPv6 = match.servesIPv6 || resource.families.contains(.ipv6)
            if position == 0 { match.owner = resource.pattern.isLiteral ? .exact : .wildcard(id) }
        }
        if match.resources.isEmpty, let (id, isLiteral) = withholding(name) {
            match.resources = [id]
            // One address of one family: programs try all that they get, one after the other, and
            // some pause in between, so more would only make the refusal slow.
            (match.servesIPv4, match.servesIPv6, match.isWithheld) = (true, false, true)
            match.owner = isLiteral ? .exact : .wildcard(id)
        }
        return match
    }

    /// The pattern of a resource; nil where it is not there.
    func pattern(of id: ResourceID) -> NamePattern? {
        let place = place(of: id)
        return place < resources.count && resources[place].id == id
            ? resources[place].pattern : nil
    }

    /// Whether questions of a type for protected names need no site.
    static func isAnsweredHere(_ type: RecordType) -> Bool {
        switch type {
        case .a, .aaaa, .https, .svcb, .any: true
        default: false
        }
    }

    /// Answers a question for a protected name; nil for any other name.
    mutating func resolveProtected(_ query: Query, _ asker: Asker, at now: Instant) -> Outcome? {
        let name = query.question.name
        let known = proxies.slot(of: name)
        let match = known.flatMap { self.match(of: $0) } ?? findMatch(of: name)
        guard !match.resources.isEmpty else { return nil }
        askedSlot = known
        let recordClass = query.question.recordClass
        let isAddress = query.question.type == .a || query.question.type == .aaaa
        guard recordClass == .internet || recordClass == .any && isAddress else {
            return .answer(query.reply(.refused, error: .prohibited))
        }
        switch query.question.type {
        case .a: return resolveAddresses(query, asker, .ipv4, match, known, at: now)
        case .aaaa: return resolveAddresses(query, asker, .ipv6, match, known, at: now)
        // Hints would tell the real address (RFC 9460 section 7.3).
        case .https, .svcb: return .answer(query.reply(.noError))
        case .any:
            // RFC 8482 section 4.2.
            let data = RecordData.hinfo(processor: Array("RFC8482".utf8), system: [])
            let record = Record(name, timeToLive: Limits.timeToLive, data)
            return .answer(query.reply(.noError, answers: [record]))
        // Only the site knows; an upstream must not hear of the name.
        default:
            guard !match.isWithheld else {
                return .answer(query.reply(.serverFailure, error: .prohibited))
            }
            return askSite(query, asker, match.resources, at: now)
        }
    }

    private mutating func resolveAddresses(
        _ query: Query,
        _ asker: Asker,
        _ family: IPFamily,
        _ match: Match,
        _ known: Int?,
        at now: Instant
    ) -> Outcome {
        guard match.serves(family) else { return .answer(query.reply(.noError)) }
        let name = query.question.name
        var known = known
        if let slot = known, proxies.isInConflict(slot) {
            proxies.release(slot, at: now)
            known = nil
        }
        guard let slot = known ?? proxies.assign(name, to: match.owner, at: now) else {
            let error = ExtendedError(code: 0, text: "no proxy address is left")
            return .answer(query.reply(.serverFailure, error: error))
        }
        askedSlot = slot
        if known == nil {
            _ = remember(match, at: slot)
        } else {
            proxies.use(slot, by: match.owner, at: now)
        }
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        return resolveAddresses(
            query,
            asker,
            slot,
            family,
            isOtherServed: match.serves(other),
            at: now
        )
    }
}
