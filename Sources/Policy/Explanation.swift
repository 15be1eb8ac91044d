public import Control
internal import IP

/// A decision in words: for the person whom it concerns, and for an administrator.
///
/// The person's text names only what the person may know of: its own situation, and resources that
/// it is told of anyway.
public struct Explanation: Hashable, Sendable {
    /// For the person.
    public let person: String
    /// For an administrator: groups, policies, conditions.
    public let administrator: String
    /// The conditions that were not met, for the person.
    public let failed: [FailedCondition]
}

extension Directory {
    /// Explains what ``decide(client:resource:in:)`` gave for a client.
    public func explain(
        _ decision: Decision,
        client: ClientID,
        resource: ResourceID,
        in context: Context
    ) -> Explanation {
        explain(
            decision,
            actor: clients[client].flatMap { actors[$0.actor] },
            device: clients[client]?.device ?? Device(),
            resource: resource,
            in: context
        )
    }

    /// Explains what ``decide(actor:device:resource:in:)`` gave for an actor.
    public func explain(
        _ decision: Decision,
        actor: Actor?,
        device: Device,
        resource: ResourceID,
        in context: Context
    ) -> Explanation {
        let teller = Teller(directory: self, actor: actor, device: device, context: context)
        return switch decision {
        case .allow(let permit): teller.allowed(permit, resource)
        case .deny(let denial): teller.denied(denial, resource)
        }
    }

    /// The refusal that a client is sent for `denial`.
    public func refusal(
        for denial: Denial,
        _ explanation: Explanation,
        at now: WallTime
    ) -> Control.Refusal {
        switch denial.reason {
        case .unknownClient: return Control.Refusal(.unauthenticated, .signIn, explanation.person)
        case .disabledActor: return Control.Refusal(.forbidden, .mend, explanation.person)
        case .unknownResource, .noPolicy:
            return Control.Refusal(.notFound, .mend, explanation.person)
        case .conditions:
            guard let opens = denial.changesAt else {
                return Control.Refusal(.forbidden, .mend, explanation.person)
            }
            let seconds = UInt32(clamping: max(1, opens.seconds - now.seconds))
            return Control.Refusal(
                .forbidden,
                .retryAfter,
                explanation.person,
                retryAfterSeconds: seconds
            )
        }
    }
}

/// Puts one decision in words.
private struct Teller {
    let directory: Directory
    let actor: Directory.Actor?
    let device: Device
    let context: Context

    private var who: String { actor?.name ?? "this client" }

    private func name(of resource: ResourceID) -> String {
        directory.resources[resource]?.name ?? resource.text
    }

    private func groupName(of policy: PolicyID) -> String {
        directory.policies[policy].flatMap { directory.groups[$0.group]?.name } ?? "a group"
    }

    func allowed(_ permit: Permit, _ resource: ResourceID) -> Explanation {
        let name = name(of: resource)
        let group = groupName(of: permit.policy)
        let end = permit.until.map { ", until \($0)" } ?? ""
        let conditions = directory.policies[permit.policy]?.conditions
        let hasConditions = conditions?.isEmpty == false
        return Explanation(
            person: "You may reach \(name)\(end).",
            administrator: "\(group) may reach \(name), and \(who) is a member of \(group)"
                + (hasConditions ? "; all conditions of the policy are met" : "") + "\(end).",
            failed: []
        )
    }

    func denied(_ denial: Denial, _ resource: ResourceID) -> Explanation {
        // The same words for both, so that nobody learns which resources there are.
        let hidden = "There is no such resource, or you are not allowed to reach it."
        switch denial.reason {
        case .unknownClient:
            return Explanation(
                person: "This device is not known to the portal; sign in again.",
                administrator: "There is no such client; it was removed, or never signed in.",
                failed: []
            )
        case .disabledActor:
            return Explanation(
                person: "Your account is disabled; ask your administrator.",
                administrator: "\(who) is disabled; enable the account to let it reach anything.",
                failed: []
            )
        case .unknownResource:
            return Explanation(
                person: hidden,
                administrator: "There is no resource “\(resource.text)”; it was removed, or never "
                    + "was.",
                failed: []
            )
        case .noPolicy:
            return Explanation(person: hidden, administrator: withoutPolicy(resource), failed: [])
        case .conditions(let failures): return failed(failures, resource)
        }
    }

    private func withoutPolicy(_ resource: ResourceID) -> String {
        let name = name(of: resource)
        var groups: [String] = []
        for policy in directory.policies(for: resource) {
            let group = directory.groups[policy.group]?.name ?? policy.group.text
            if !groups.contains(group) { groups.append(group) }
        }
        guard let first = groups.first else {
            return "No policy lets anybody reach \(name); add one for a group that \(who) is in."
        }
        guard groups.count > 1 else {
            return "\(first) may reach \(name), but \(who) is not a member of \(first)."
        }
        let shown = groups.prefix(5).joined(separator: ", ")
        let more = groups.count > 5 ? " and \(groups.count - 5) more groups" : ""
        return "\(shown)\(more) may reach \(name), but \(who) is a member of none of them."
    }

    private func failed(_ failures: [Denial.Failure], _ resource: ResourceID) -> Explanation {
        let name = name(of: resource)
        var conditions: [FailedCondition] = []
        var forPerson: [String] = []
        var forAdministrator: [String] = []
        for failure in failures {
            guard let policy = directory.policies[failure.policy] else { continue }
            let clauses = failure.conditions.map { kind in
                clause(kind, of: policy.conditions)
            }
            for (kind, clause) in zip(failure.conditions, clauses) {
                conditions.append(
                    FailedCondition(
                        policy: failure.policy,
                        condition: kind.rawValue,
                        sentence: clause.person
                    )
                )
            }
            let personal = clauses.map(\.person).joined(separator: ", and ")
            if !forPerson.contains(personal) { forPerson.append(personal) }
            let full = clauses.map(\.administrator).joined(separator: ", and ")
            forAdministrator.append("as a member of \(groupName(of: failure.policy)): \(full)")
        }
        return Explanation(
            person: "You may reach \(name), but not like this: "
                + forPerson.joined(separator: "; or: ") + ".",
            administrator: "\(who) may reach \(name), but not like this: "
                + forAdministrator.joined(separator: "; ") + ".",
            failed: conditions
        )
    }

    private typealias Clause = (person: String, administrator: String)

    private func clause(_ kind: ConditionKind, of conditions: Conditions) -> Clause {
        switch kind {
        case .remoteAddress: return remoteAddress(conditions)
        case .country: return country(conditions)
        case .hours: return hours(conditions)
        case .provider:
            let names = conditions.providers.map { directory.providers[$0]?.name ?? $0.text }
            let wanted = names.joined(separator: " or ")
            let used = context.provider.flatMap { directory.providers[$0]?.name }
            return (
                "you have to sign in through \(wanted)",
                "signed in \(used.map { "through \($0)" } ?? "without a provider"), not "
                    + "through \(wanted)"
            )
        case .verified:
            return (
                "an administrator has to verify this device first", "the client is not verified"
            )
        case .clientVersion:
            let found = device.version.map { "is version \($0)" } ?? "does not say its version"
            let wanted = conditions.version.map { "\($0)" } ?? "another"
            return (
                "this client \(found), and \(wanted) is needed: upgrade",
                "the client \(found), and \(wanted) is needed"
            )
        case .clientSystem:
            let found = device.system ?? "an unknown system"
            let wanted = conditions.systems.joined(separator: " or ")
            return (
                "it is not allowed from \(found)",
                "the client runs on \(found), not on \(wanted)"
            )
        }
    }

    private func remoteAddress(_ conditions: Conditions) -> Clause {
        guard let remote = context.remote else {
            let text = "the address of the connection is not known"
            return (text, text)
        }
        let inside = conditions.notFrom.first { $0.contains(remote) }
        let places = conditions.from.prefix(5).map(\.description).joined(separator: ", ")
        return (
            "it is not allowed from your address \(remote)",
            inside.map { "\(remote) is in the excluded \($0)" } ?? "\(remote) is not in \(places)"
        )
    }

    private func country(_ conditions: Conditions) -> Clause {
        guard let country = context.country else {
            let text = "the country of the address is not known"
            return (text, text)
        }
        let isExcluded = conditions.notCountries.contains(country)
        return (
            "it is not allowed from \(country)",
            isExcluded
                ? "\(country) is an excluded country"
                : "\(country) is not among \(conditions.countries.joined(separator: ", "))"
        )
    }

    private func hours(_ conditions: Conditions) -> Clause {
        guard let hours = conditions.hours else { return ("it is not time", "it is not time") }
        guard let zone = context.zones[hours.zone] else {
            return (
                "the time in \(hours.zone) is not known",
                "the time zone \(hours.zone) is not known here"
            )
        }
        let second = Hours.secondOfWeek(context.now, zone)
        let day = Weekdays.names[Int(second / 86_400)]
        let minute = second % 86_400 / 60
        let text =
            "it is allowed \(hours) only, and it is \(day) "
            + "\((minute / 60).twoDigits):\((minute % 60).twoDigits) there"
        return (text, text)
    }
}
