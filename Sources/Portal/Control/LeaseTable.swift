internal import Control
internal import Foundation
internal import IP

/// One lease as the portal remembers it.
struct LeaseRecord: Codable, Equatable, Sendable {
    let id: LeaseID
    let client: ClientID
    let resource: ResourceID
    let gateway: GatewayID
    /// The policy that it rests on; another takes over when this one goes.
    var policy: PolicyID
    /// The directory's revision at which it was last decided.
    var revision: UInt64
    /// The request that it answered first.
    let request: RequestID
    /// Beside another one that is in use: short-lived, and not extended until it is asked for
    /// again; nil means no.
    var isStandBy: Bool?
    /// The name that the client's packet was for.
    var name: String?
    /// The proxy addresses of `name`.
    var proxies: [IPAddress]
    let begunAt: Date
    var endsAt: Date
    /// When it must be looked at again: to be extended, or because a condition may turn.
    var reviewAt: Date
}

/// All live leases, with the look-ups that changes and sessions need.
struct LeaseTable {
    private var leases: [LeaseID: LeaseRecord] = [:]
    private var idsByClient: [ClientID: [LeaseID]] = [:]
    /// With the order in which they came.
    private var idsByGateway: [GatewayID: [LeaseID: UInt64]] = [:]
    private var countByClient: [GatewayID: [ClientID: Int]] = [:]
    private var addedCount: UInt64 = 0
    /// Nothing is due before.
    private(set) var nextReview = Date.distantFuture

    var count: Int { leases.count }

    subscript(id: LeaseID) -> LeaseRecord? { leases[id] }

    /// Leases of a client, oldest first.
    func leases(of client: ClientID) -> [LeaseRecord] {
        (idsByClient[client] ?? []).compactMap { leases[$0] }
    }

    /// Leases at a gateway, oldest first.
    func leases(at gateway: GatewayID) -> [LeaseRecord] {
        (idsByGateway[gateway] ?? [:]).sorted { $0.value < $1.value }.compactMap { leases[$0.key] }
    }

    /// Clients that hold a lease at `gateway`.
    func clientCount(at gateway: GatewayID) -> Int {
        countByClient[gateway]?.count ?? 0
    }

    /// The live lease of a client for a resource through a gateway.
    func lease(of client: ClientID, for resource: ResourceID, at gateway: GatewayID) -> LeaseRecord?
    {
        leases(of: client).last { $0.resource == resource && $0.gateway == gateway }
    }

    /// Those of which `isIncluded` says so, in the order of their ids.
    func all(where isIncluded: (LeaseRecord) -> Bool) -> [LeaseRecord] {
        leases.values.filter(isIncluded).sorted { $0.id < $1.id }
    }

    /// Those that are due at `now`; ``nextReview`` is right afterwards for the others.
    mutating func due(at now: Date) -> [LeaseRecord] {
        guard now >= nextReview else { return [] }
        nextReview =
            leases.values.lazy.map(\.reviewAt).filter { $0 > now }.min() ?? .distantFuture
        return all { $0.reviewAt <= now }
    }

    /// Adds one, or replaces the one of the same id.
    mutating func upsert(_ lease: LeaseRecord) {
        if leases.updateValue(lease, forKey: lease.id) == nil {
            idsByClient[lease.client, default: []].append(lease.id)
            addedCount += 1
            idsByGateway[lease.gateway, default: [:]][lease.id] = addedCount
            countByClient[lease.gateway, default: [:]][lease.client, default: 0] += 1
        }
        nextReview = min(nextReview, lease.reviewAt)
    }

    /// Forgets one; nil when it was gone already.
    @discardableResult
    mutating func remove(_ id: LeaseID) -> LeaseRecord? {
        guard let lease = leases.removeValue(forKey: id) else { return nil }
        idsByClient[lease.client]?.removeAll { $0 == id }
        idsByGateway[lease.gateway]?[id] = nil
        let count = countByClient[lease.gateway]?[lease.client] ?? 0
        countByClient[lease.gateway]?[lease.client] = count > 1 ? count - 1 : nil
        if idsByClient[lease.client]?.isEmpty == true { idsByClient[lease.client] = nil }
        if idsByGateway[lease.gateway]?.isEmpty == true { idsByGateway[lease.gateway] = nil }
        return lease
    }
}
