internal import Control

/// Makes a plan change by change, each tried on a copy, so that what is planned can be done.
struct Planner {
    var next: Directory
    var plan = Plan()

    mutating func make(
        _ change: Change,
        _ sign: Plan.Line.Sign,
        _ subject: String,
        _ details: [String] = []
    ) throws(PlanError) {
        do {
            try next.apply(change)
        } catch {
            throw PlanError(subject: subject, sentence: "\(error.field): \(error.sentence)")
        }
        plan.changes.append(change)
        let text = details.joined(separator: ", ")
        plan.lines.append(Plan.Line(sign: sign, subject: subject, details: text))
    }

    /// Each name once in each section.
    func checkNames(of configuration: Configuration) throws(PlanError) {
        let sections: [(String, [String])] = [
            ("site", configuration.sites?.map(\.name) ?? []),
            ("resource", configuration.resources?.map(\.name) ?? []),
            ("group", configuration.groups?.map(\.name) ?? []),
            ("provider", configuration.providers?.map(\.name) ?? []),
        ]
        for (kind, names) in sections {
            var seen: Set<String> = []
            for name in names where !seen.insert(name.lowercased()).inserted {
                throw PlanError(subject: "\(kind) \(name)", sentence: "It stands there twice.")
            }
        }
    }

    // MARK: - Removing

    /// First, what others may stand in the place of: policies, resources.
    mutating func remove(for configuration: Configuration) throws(PlanError) {
        let resources = Self.names(configuration.resources?.map(\.name))
        let groups = Self.names(configuration.groups?.map(\.name))
        // A policy goes with its group or resource where the file says which policies there are.
        for policy in next.ordered(next.policies) where configuration.policies != nil {
            let group = next.groups[policy.group]?.name.lowercased() ?? ""
            let resource = next.resources[policy.resource]?.name.lowercased() ?? ""
            let stays = groups?.contains(group) ?? true && resources?.contains(resource) ?? true
            if !stays { try remove(policy) }
        }
        for resource in next.ordered(next.resources)
        where resources?.contains(resource.name.lowercased()) == false {
            try make(.removeResource(resource.id), .remove, "resource \(resource.name)")
        }
    }

    /// Last, what nothing uses any more: groups, sites, providers.
    mutating func removeUnused(for configuration: Configuration) throws(PlanError) {
        let groups = Self.names(configuration.groups?.map(\.name))
        for group in next.ordered(next.groups)
        where groups?.contains(group.name.lowercased()) == false {
            try make(.removeGroup(group.id), .remove, "group \(group.name)")
        }
        let sites = Self.names(configuration.sites?.map(\.name))
        for site in next.ordered(next.sites)
        where sites?.contains(site.name.lowercased()) == false {
            try make(.removeSite(site.id), .remove, "site \(site.name)")
        }
        let providers = Self.names(configuration.providers?.map(\.name))
        for provider in next.ordered(next.providers)
        where providers?.contains(provider.name.lowercased()) == false {
            try make(.removeProvider(provider.id), .remove, "provider \(provider.name)")
        }
    }

    private mutating func remove(_ policy: Directory.Policy) throws(PlanError) {
        try make(.removePolicy(policy.id), .remove, subject(policy))
    }

    private static func names(_ names: [String]?) -> Set<String>? {
        names.map { Set($0.map { $0.lowercased() }) }
    }

    func subject(_ policy: Directory.Policy) -> String {
        let group = next.groups[policy.group]?.name ?? policy.group.text
        let resource = next.resources[policy.resource]?.name ?? policy.resource.text
        return "policy \(group) → \(resource)"
    }

    // MARK: - Setting

    mutating func set(account: String) throws(PlanError) {
        guard account != next.account else { return }
        let sign: Plan.Line.Sign = next.account.isEmpty ? .add : .change
        try make(.account(name: account), sign, "account \(account)")
    }

    mutating func set(dns: DNSSettings) throws(PlanError) {
        guard dns != next.dns else { return }
        try make(.dns(dns), .change, "dns")
    }

    mutating func set(addresses: AddressPlan) throws(PlanError) {
        guard addresses != next.addresses else { return }
        try make(.addresses(addresses), .change, "addresses")
    }

    mutating func set(tests: [PolicyTest]) throws(PlanError) {
        guard tests != next.tests else { return }
        try make(.tests(tests), .change, "tests", ["\(tests.count) in all"])
    }

    mutating func set(
        _ wanted: Configuration.Provider,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let old = next.providers[named: wanted.name]
        let provider = Directory.Provider(
            id: old?.id ?? ProviderID(using: &random),
            name: wanted.name,
            issuer: wanted.issuer,
            clientID: wanted.clientID,
            clientSecretFile: wanted.clientSecretFile
        )
        guard provider != old else { return }
        let sign: Plan.Line.Sign = old == nil ? .add : .change
        try make(.upsertProvider(provider), sign, "provider \(wanted.name)")
    }

    mutating func set(
        _ wanted: Configuration.Site,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let old = next.sites[named: wanted.name]
        var site = old ?? Directory.Site(id: SiteID(using: &random), name: wanted.name)
        site.name = wanted.name
        guard site != old else { return }
        try make(.upsertSite(site), old == nil ? .add : .change, "site \(wanted.name)")
    }

    mutating func set(
        _ wanted: Configuration.Resource,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let subject = "resource \(wanted.name)"
        guard let site = next.sites[named: wanted.site] else {
            throw PlanError(subject: subject, sentence: "There is no site “\(wanted.site)”.")
        }
        let old = next.resources[named: wanted.name]
        let resource = Directory.Resource(
            id: old?.id ?? ResourceID(using: &random),
            name: wanted.name,
            address: wanted.address,
            alias: wanted.alias,
            family: wanted.family,
            filters: wanted.allow,
            site: site.id
        )
        guard resource != old else { return }
        let details = old.map { difference($0, resource) } ?? [resource.address.text]
        try make(.upsertResource(resource), old == nil ? .add : .change, subject, details)
    }

    private func difference(
        _ old: Directory.Resource,
        _ new: Directory.Resource
    ) -> [String] {
        func text(_ filters: [Filter]) -> String {
            filters.isEmpty ? "everything" : filters.map(\.description).joined(separator: " ")
        }
        let rows = [
            ("name", old.name, new.name), ("address", old.address.text, new.address.text),
            ("alias", old.alias ?? "none", new.alias ?? "none"),
            ("allow", text(old.filters), text(new.filters)),
            ("family", old.family.rawValue, new.family.rawValue),
            (
                "site", next.sites[old.site]?.name ?? old.site.text,
                next.sites[new.site]?.name ?? new.site.text
            ),
        ]
        return rows.filter { $0.1 != $0.2 }.map { "\($0.0) \($0.1) → \($0.2)" }
    }

    mutating func set(
        _ wanted: Configuration.Group,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let subject = "group \(wanted.name)"
        var members: [ActorID] = []
        for name in wanted.members {
            members.append(try member(name, of: subject, &random))
        }
        guard let old = next.groups[named: wanted.name] else {
            let id = GroupID(using: &random)
            let group = Directory.Group(id: id, name: wanted.name, members: members)
            let details = members.isEmpty ? [] : ["\(group.members.count) members"]
            return try make(.upsertGroup(group), .add, subject, details)
        }
        if old.name != wanted.name {
            let group = Directory.Group(id: old.id, name: wanted.name, members: old.members)
            try make(.upsertGroup(group), .change, subject)
        }
        let new = Directory.Group(id: old.id, name: wanted.name, members: members)
        for member in new.members where !old.contains(member) {
            let name = next.actors[member]?.name ?? member.text
            try make(.addMember(group: old.id, actor: member), .change, subject, ["+ \(name)"])
        }
        for member in old.members where !new.contains(member) {
            let name = next.actors[member]?.name ?? member.text
            try make(.removeMember(group: old.id, actor: member), .change, subject, ["- \(name)"])
        }
    }

    /// A member is a person, made when first named, or a service account that exists.
    private mutating func member(
        _ name: String,
        of subject: String,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) -> ActorID {
        if let known = next.actors[named: name] { return known.id }
        guard name.contains("@") else {
            throw PlanError(
                subject: subject,
                sentence: "“\(name)” is neither an e-mail address nor a service account."
            )
        }
        let person = Directory.Actor(id: ActorID(using: &random), name: name)
        try make(.upsertActor(person), .add, "person \(name)")
        return person.id
    }
}
