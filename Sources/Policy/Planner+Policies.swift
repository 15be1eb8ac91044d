internal import Control

extension Planner {
    /// A policy has no name: it is known by group and resource, and several of these by what they
    /// say. Those that say the same stay; the others are changed in order, then added or removed.
    mutating func set(
        _ wanted: [Configuration.Policy],
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        var new: [Wanted] = []
        for policy in wanted {
            new.append(Wanted(policy: try resolve(policy), places: policy.places))
        }
        var old = next.ordered(next.policies)
        // What stays as it is.
        var unmatched: [Wanted] = []
        var places: [Conditions.Place: [Int]] = [:]
        for (index, policy) in old.enumerated() {
            places[Conditions.Place(policy, exactly: true), default: []].append(index)
        }
        var taken: Set<Int> = []
        for wanted in new {
            let place = Conditions.Place(wanted.policy, exactly: true)
            if let index = places[place]?.first {
                places[place]?.removeFirst()
                taken.insert(index)
            } else {
                unmatched.append(wanted)
            }
        }
        old = old.enumerated().filter { !taken.contains($0.offset) }.map(\.element)
        try change(&old, to: &unmatched)
        for policy in old {
            try make(.removePolicy(policy.id), .remove, subject(policy), at: Places())
        }
        for wanted in unmatched {
            let added = Directory.Policy(
                id: PolicyID(using: &random),
                group: wanted.policy.group,
                resource: wanted.policy.resource,
                conditions: wanted.policy.conditions
            )
            try make(.upsertPolicy(added), .add, subject(added), at: wanted.places)
        }
    }

    /// Pairs what is left of the same group and resource; leaves what has no partner.
    private mutating func change(
        _ old: inout [Directory.Policy],
        to new: inout [Wanted]
    ) throws(PlanError) {
        var places: [Conditions.Place: [Int]] = [:]
        for (index, policy) in old.enumerated() {
            places[Conditions.Place(policy, exactly: false), default: []].append(index)
        }
        var taken: Set<Int> = []
        var added: [Wanted] = []
        for wanted in new {
            let place = Conditions.Place(wanted.policy, exactly: false)
            guard let index = places[place]?.first else {
                added.append(wanted)
                continue
            }
            places[place]?.removeFirst()
            taken.insert(index)
            var changed = old[index]
            changed.conditions = wanted.policy.conditions
            let details = ["conditions"]
            try make(.upsertPolicy(changed), .change, subject(changed), details, at: wanted.places)
        }
        old = old.enumerated().filter { !taken.contains($0.offset) }.map(\.element)
        new = added
    }

    private func resolve(
        _ policy: Configuration.Policy
    ) throws(PlanError) -> Directory.Policy {
        let subject = "policy \(policy.group) → \(policy.resource)"
        guard let group = next.groups[named: policy.group] else {
            throw missing("group", policy.group, \.groups, for: subject, at: policy.places)
        }
        guard let resource = next.resources[named: policy.resource] else {
            throw missing("resource", policy.resource, \.resources, for: subject, at: policy.places)
        }
        var conditions = policy.conditions
        conditions.providers = []
        for name in policy.providers {
            guard let provider = next.providers[named: name] else {
                throw missing(
                    "provider",
                    name,
                    \.providers,
                    for: subject,
                    at: policy.places.at("when")
                )
            }
            conditions.providers.append(provider.id)
        }
        return Directory.Policy(
            id: "",
            group: group.id,
            resource: resource.id,
            conditions: conditions
        )
    }
}

/// A policy as a file wants it, still without an identifier.
private struct Wanted {
    let policy: Directory.Policy
    let places: Places
}

extension Conditions {
    /// What a policy without a name is known by.
    struct Place: Hashable {
        let group: GroupID
        let resource: ResourceID
        /// Nil where they do not count.
        let conditions: Conditions?

        init(_ policy: Directory.Policy, exactly: Bool) {
            (group, resource) = (policy.group, policy.resource)
            conditions = exactly ? policy.conditions : nil
        }
    }
}
