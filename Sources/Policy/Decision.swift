public import Control

/// Whether a client may reach a resource.
public enum Decision: Hashable, Sendable {
    case allow(Permit)
    case deny(Denial)

    /// Whether it may.
    public var isAllowed: Bool { if case .allow = self { true } else { false } }
}

/// What a policy allows.
public struct Permit: Hashable, Sendable {
    /// When the clock alone ends it; nil means never. Excluded.
    public let until: WallTime?
    /// The policy that allows, the longest where several do.
    public let policy: PolicyID
    /// Through the gateways of this site.
    public let site: SiteID
}

/// Why nothing allows.
public struct Denial: Hashable, Sendable {
    /// What is missing.
    public enum Reason: Hashable, Sendable {
        /// There is no such client, or its actor is gone.
        case unknownClient
        /// The actor is disabled.
        case disabledActor
        /// There is no such resource.
        case unknownResource
        /// The actor is in no group that a policy lets reach the resource.
        case noPolicy
        /// Policies would allow, but each asks for something that is not so.
        case conditions([Failure])
    }

    /// What one policy asked for and did not get.
    public struct Failure: Hashable, Sendable {
        public let policy: PolicyID
        /// In the order of ``ConditionKind``; at least one.
        public let conditions: [ConditionKind]
    }

    /// What is missing.
    public let reason: Reason
    /// When the clock alone may change that; nil means never.
    public let changesAt: WallTime?

    init(_ reason: Reason, changesAt: WallTime? = nil) {
        (self.reason, self.changesAt) = (reason, changesAt)
    }
}

extension Directory {
    /// Whether `client` may reach `resource` now: any policy that allows is enough, and the one
    /// that allows longest counts.
    public func decide(
        client: ClientID,
        resource: ResourceID,
        in context: Context
    ) -> Decision {
        storage.decide(client: client, resource: resource, in: context)
    }

    /// Whether `actor` with a device like `device` may reach `resource` now.
    public func decide(
        actor: ActorID,
        device: Device,
        resource: ResourceID,
        in context: Context
    ) -> Decision {
        guard let slot = actors.slot(of: actor) else { return .deny(Denial(.unknownClient)) }
        return storage.decide(actorSlot: slot, resource: resource, in: context) { device }
    }
}

extension DirectoryStorage {
    fileprivate func decide(
        client: ClientID,
        resource: ResourceID,
        in context: Context
    ) -> Decision {
        guard let slot = clients.slot(of: client) else { return .deny(Denial(.unknownClient)) }
        return decide(actorSlot: index.actorOfClient[slot], resource: resource, in: context) {
            clients[slot: slot]?.device ?? Device()
        }
    }

    /// The device is asked for only where a policy has conditions.
    fileprivate func decide(
        actorSlot: Int,
        resource: ResourceID,
        in context: Context,
        device: () -> Device
    ) -> Decision {
        guard !index.isDisabledActor[actorSlot] else { return .deny(Denial(.disabledActor)) }
        guard let slot = resources.slot(of: resource) else {
            return .deny(Denial(.unknownResource))
        }
        var best: (policy: PolicyID, until: WallTime?)?
        for entry in index.policiesOfResource[slot]
        where index.groupsOfActor[actorSlot].containsInOrder(entry.group) {
            var until: WallTime?
            if let asked = entry.asked {
                guard asked.conditions.hold(for: device(), in: context) else { continue }
                until = asked.conditions.end(in: context)
            }
            if let best, !Self.isBetter((entry.policy, until), than: best) { continue }
            best = (entry.policy, until)
        }
        guard let best else {
            return .deny(denial(actorSlot, resourceSlot: slot, in: context, device: device))
        }
        let site = index.siteOfResource[slot]
        return .allow(Permit(until: best.until, policy: best.policy, site: site))
    }

    private static func isBetter(
        _ mine: (policy: PolicyID, until: WallTime?),
        than theirs: (policy: PolicyID, until: WallTime?)
    ) -> Bool {
        switch (mine.until, theirs.until) {
        case (let mine?, let theirs?) where mine != theirs: mine > theirs
        case (nil, _?): true
        case (_?, nil): false
        case (_?, _?), (nil, nil): mine.policy < theirs.policy
        }
    }

    private func denial(
        _ actorSlot: Int,
        resourceSlot: Int,
        in context: Context,
        device: () -> Device
    ) -> Denial {
        var failures: [Denial.Failure] = []
        var changesAt: WallTime?
        for entry in index.policiesOfResource[resourceSlot]
        where index.groupsOfActor[actorSlot].containsInOrder(entry.group) {
            guard let conditions = entry.asked?.conditions else { continue }
            let failed = ConditionKind.allCases.filter { kind in
                !conditions.holds(kind, for: device(), in: context)
            }
            failures.append(Denial.Failure(policy: entry.policy, conditions: failed))
            guard failed == [.hours], let opens = conditions.end(in: context) else { continue }
            changesAt = min(changesAt ?? opens, opens)
        }
        guard !failures.isEmpty else { return Denial(.noPolicy) }
        failures.sort { $0.policy < $1.policy }
        return Denial(.conditions(failures), changesAt: changesAt)
    }
}
