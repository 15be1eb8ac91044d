public import Control
internal import DNS
internal import IP
public import SansIO

/// What one client may reach through this gateway, and until when.
///
/// A resource is reachable while at least one lease for it is live: ending an older lease never
/// ends its successor. Everything is idempotent. The table knows rules; flows and names are kept by
/// who asks it, and checked again whenever ``revision`` has grown.
public struct Grants: Sendable {
    /// Bounds of one client's grants.
    public enum Limits {
        /// Leases of one client.
        public static var leases: Int { 4_096 }
    }

    /// One lease.
    public struct LiveLease: Sendable, Equatable {
        /// Its id.
        public let id: LeaseID
        /// The directory's revision at which it was decided.
        public internal(set) var revision: UInt64
        /// The number of the resource that it is for.
        public internal(set) var resource: UInt32
        /// When it ends.
        public internal(set) var end: Instant
    }

    /// Live leases, oldest first.
    public private(set) var leases: [LiveLease] = []
    /// What they are for, lowest number first.
    public private(set) var resources: [GrantedResource] = []
    /// Grows with each change that may forbid what was permitted; never 0.
    public private(set) var revision: UInt32 = 1
    private(set) var lastNumber: UInt32 = 0

    public init() {}

    /// What another process held.
    init(
        leases: [LiveLease],
        resources: [GrantedResource],
        revision: UInt32,
        lastNumber: UInt32
    ) {
        (self.leases, self.resources) = (leases, resources)
        (self.revision, self.lastNumber) = (revision, lastNumber)
    }

    /// When the first lease ends; nil without leases. O(leases).
    public var nextExpiry: Instant? { leases.map(\.end).min() }

    /// The resource with `number`, while a lease for it is live.
    public func resource(_ number: UInt32) -> GrantedResource? {
        resources.first { $0.number == number }
    }

    /// The resource with `id`, while a lease for it is live.
    public func resource(_ id: ResourceID) -> GrantedResource? {
        resources.first { $0.resource.id == id }
    }
}

// MARK: - Changes

extension Grants {
    /// Takes a lease: a new one, or one that is held already, which then lives as long as it says
    /// now.
    ///
    /// - Returns: The resource's number, and whether the lease is new.
    public mutating func grant(
        _ lease: Lease,
        for resource: ResourceForGateway,
        at now: Instant
    ) throws(GrantRefusal) -> (resource: UInt32, isNew: Bool) {
        let known = leases.firstIndex { $0.id == lease.id }
        if let known, leases[known].revision > lease.revision {
            return (leases[known].resource, false)
        }
        guard known != nil || leases.count < Limits.leases else { throw .tooMany("leases") }
        let number = try place(resource)
        let end = now.advanced(by: lease.lifetime)
        if let known {
            let old = leases[known].resource
            leases[known].revision = lease.revision
            leases[known].end = end
            if old != number {
                leases[known].resource = number
                count(old, -1)
                count(number, 1)
            }
        } else {
            leases.append(
                LiveLease(id: lease.id, revision: lease.revision, resource: number, end: end)
            )
            count(number, 1)
        }
        removeUnused()
        return (number, known == nil)
    }

    /// A lease lives so long from now; false when it is not held.
    public mutating func extend(_ id: LeaseID, by lifetime: Duration, at now: Instant) -> Bool {
        guard let index = leases.firstIndex(where: { $0.id == id }) else { return false }
        leases[index].end = now.advanced(by: lifetime)
        return true
    }

    /// Ends the leases that `condition` names.
    ///
    /// - Returns: Their ids.
    @discardableResult
    public mutating func end(where condition: (LiveLease) -> Bool) -> [LeaseID] {
        var ended: [LeaseID] = []
        for lease in leases where condition(lease) {
            ended.append(lease.id)
            count(lease.resource, -1)
        }
        guard !ended.isEmpty else { return [] }
        leases.removeAll(where: condition)
        removeUnused()
        return ended
    }

    /// Ends the leases whose time is over.
    public mutating func expire(at now: Instant) -> [LeaseID] { end { $0.end <= now } }

    /// A resource changed. Filters are obeyed at once; another address makes it another resource.
    ///
    /// - Returns: Whether it is one of these.
    public mutating func update(_ resource: ResourceForGateway) -> Bool {
        guard self.resource(resource.id) != nil else { return false }
        guard let number = try? place(resource) else {
            // What cannot be read cannot be served.
            let gone = resources.filter { $0.resource.id == resource.id }.map(\.number)
            end { gone.contains($0.resource) }
            return true
        }
        for index in leases.indices {
            let old = leases[index].resource
            guard old != number, self.resource(old)?.resource.id == resource.id else { continue }
            leases[index].resource = number
            count(old, -1)
            count(number, 1)
        }
        removeUnused()
        return true
    }

    /// The number of `resource`, which is put in, or brought up to date.
    private mutating func place(_ resource: ResourceForGateway) throws(GrantRefusal) -> UInt32 {
        let known = resources.firstIndex {
            $0.resource.id == resource.id && $0.resource.address == resource.address
                && $0.resource.alias == resource.alias
        }
        if let known {
            if resources[known].resource.filters != resource.filters { revision &+= 1 }
            resources[known].resource = resource
            return resources[known].number
        }
        let placed = try GrantedResource(resource, number: lastNumber + 1)
        lastNumber += 1
        resources.append(placed)
        revision &+= 1
        return placed.number
    }

    private mutating func count(_ number: UInt32, _ change: Int) {
        guard let index = resources.firstIndex(where: { $0.number == number }) else { return }
        resources[index].leaseCount += change
    }

    private mutating func removeUnused() {
        let before = resources.count
        resources.removeAll { $0.leaseCount <= 0 }
        if resources.count != before { revision &+= 1 }
    }
}

// MARK: - Choice

extension Grants {
    /// What becomes of a packet to an address that is not a proxy address.
    public enum Choice: Sendable, Equatable {
        /// It may pass, by the resource with this number.
        case permitted(UInt32)
        /// A resource covers the address, and its filters forbid the packet.
        case filtered(UInt32)
        /// No resource covers it.
        case uncovered
    }

    /// Networks before the internet; among networks, one that permits before one that does not,
    /// then the longer prefix, then the lower id. O(resources), for the first packet of a flow.
    public func choice(for key: FlowKey) -> Choice {
        var best: Candidate?
        var internet: Candidate?
        for resource in resources {
            switch resource.target {
            case .names: continue
            case .internet:
                let found = (resource, 0, resource.permits(key))
                if internet.map({ Self.isBetter(found, than: $0) }) ?? true { internet = found }
            case .prefix(let prefix):
                guard prefix.contains(key.destination) else { continue }
                let found = (resource, prefix.bitCount, resource.permits(key))
                if best.map({ Self.isBetter(found, than: $0) }) ?? true { best = found }
            }
        }
        if best == nil, GlobalAddresses.contains(key.destination) { best = internet }
        guard let best else { return .uncovered }
        return best.permits ? .permitted(best.resource.number) : .filtered(best.resource.number)
    }

    private typealias Candidate = (resource: GrantedResource, length: Int, permits: Bool)

    private static func isBetter(_ one: Candidate, than other: Candidate) -> Bool {
        if one.permits != other.permits { return one.permits }
        if one.length != other.length { return one.length > other.length }
        return one.resource.resource.id < other.resource.resource.id
    }

    /// Among the resources that a name belongs to, the one for this packet: one that permits before
    /// one that does not, then the more specific pattern, then the lower id.
    public func choice(for key: FlowKey, among numbers: [UInt32]) -> Choice {
        var best: NameCandidate?
        for number in numbers {
            guard let resource = resource(number), case .names(let pattern, _) = resource.target
            else { continue }
            let found = (resource, pattern, resource.permits(key))
            if best.map({ Self.isBetterName(found, than: $0) }) ?? true { best = found }
        }
        guard let best else { return .uncovered }
        return best.permits ? .permitted(best.resource.number) : .filtered(best.resource.number)
    }

    /// The name that the site has for `name`, by the most specific resource that covers it; nil
    /// when none does.
    func site(of name: Name) -> (realName: Name, alias: NameAlias)? {
        var best: (resource: GrantedResource, pattern: NamePattern, alias: NameAlias, name: Name)?
        for resource in resources {
            guard case .names(let pattern, let alias) = resource.target,
                let realName = alias.realName(of: name)
            else { continue }
            let isBetter = best.map {
                Self.isBetterName((resource, pattern, true), than: ($0.resource, $0.pattern, true))
            }
            if isBetter ?? true { best = (resource, pattern, alias, realName) }
        }
        return best.map { ($0.name, $0.alias) }
    }

    private typealias NameCandidate = (
        resource: GrantedResource, pattern: NamePattern, permits: Bool
    )

    private static func isBetterName(_ one: NameCandidate, than other: NameCandidate) -> Bool {
        if one.permits != other.permits { return one.permits }
        if one.pattern.isMoreSpecific(than: other.pattern) { return true }
        if other.pattern.isMoreSpecific(than: one.pattern) { return false }
        return one.resource.resource.id < other.resource.resource.id
    }

    /// Whether a network among the resources, or the internet, covers `address`.
    func covers(_ address: IPAddress) -> Bool {
        resources.contains {
            switch $0.target {
            case .names: false
            case .prefix(let prefix): prefix.contains(address)
            case .internet: GlobalAddresses.contains(address)
            }
        }
    }
}
