internal import Control

/// Makes a plan change by change, each tried on a copy, so that what is planned can be done.
struct Planner {
    /// What the plan starts from.
    let before: Directory
    var next: Directory
    var plan = Plan()

    /// Plans one change, which the section at `places` asks for.
    mutating func make(
        _ change: Change,
        _ sign: Plan.Line.Sign,
        _ subject: String,
        _ details: [String] = [],
        at places: Places
    ) throws(PlanError) {
        do {
            try next.apply(change)
        } catch {
            let key = Self.key(of: error.field)
            throw PlanError(
                subject: subject,
                sentence: "\(key): \(error.sentence)",
                place: places[String(key.prefix { $0 != "." })] ?? places.start
            )
        }
        plan.changes.append(change)
        let text = details.joined(separator: ", ")
        plan.lines.append(Plan.Line(sign: sign, subject: subject, details: text))
    }

    /// The file's word for a field.
    private static func key(of field: String) -> String {
        switch field {
        case "secretFile": "secret_file"
        case "clientID": "client_id"
        case _ where field.hasPrefix("conditions"): "when" + field.dropFirst("conditions".count)
        default: field
        }
    }

    /// Each name once in each section.
    func checkNames(of configuration: Configuration) throws(PlanError) {
        let sections: [(String, [(String, Places)])] = [
            ("site", configuration.sites?.map { ($0.name, $0.places) } ?? []),
            ("resource", configuration.resources?.map { ($0.name, $0.places) } ?? []),
            ("group", configuration.groups?.map { ($0.name, $0.places) } ?? []),
            ("provider", configuration.providers?.map { ($0.name, $0.places) } ?? []),
            ("relay", configuration.relays?.map { ($0.name, $0.places) } ?? []),
        ]
        for (kind, rows) in sections {
            var seen: Set<String> = []
            for (name, places) in rows where !seen.insert(name.lowercased()).inserted {
                throw PlanError(
                    subject: "\(kind) \(name)",
                    sentence: "It stands there twice.",
                    place: places["name"]
                )
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
            if !stays {
                try make(.removePolicy(policy.id), .remove, subject(policy), at: Places())
            }
        }
        for resource in next.ordered(next.resources)
        where resources?.contains(resource.name.lowercased()) == false {
            let place = configuration.places["resources"]
            try remove(.removeResource(resource.id), "resource", resource.name, place)
        }
    }

    /// Last, what nothing uses any more: groups, sites, providers.
    mutating func removeUnused(for configuration: Configuration) throws(PlanError) {
        let groups = Self.names(configuration.groups?.map(\.name))
        for group in next.ordered(next.groups)
        where groups?.contains(group.name.lowercased()) == false {
            try remove(.removeGroup(group.id), "group", group.name, configuration.places["groups"])
        }
        let sites = Self.names(configuration.sites?.map(\.name))
        for site in next.ordered(next.sites)
        where sites?.contains(site.name.lowercased()) == false {
            try remove(.removeSite(site.id), "site", site.name, configuration.places["sites"])
        }
        let providers = Self.names(configuration.providers?.map(\.name))
        for provider in next.ordered(next.providers)
        where providers?.contains(provider.name.lowercased()) == false {
            let place = configuration.places["providers"]
            try remove(.removeProvider(provider.id), "provider", provider.name, place)
        }
    }

    /// Removes what the list at `place` leaves out.
    private mutating func remove(
        _ change: Change,
        _ kind: String,
        _ name: String,
        _ place: Node.Place?
    ) throws(PlanError) {
        do {
            try next.validate(change)
        } catch {
            guard case .inUse(let user, let names) = error.problem else {
                throw PlanError(subject: "\(kind) \(name)", sentence: error.sentence, place: place)
            }
            let users = ChangeError.Problem.list(names, user)
            let isKeptElsewhere = user != "gateway"
            let plural = user == "policy" ? "policies" : user + "s"
            throw PlanError(
                subject: "\(kind) \(name)",
                sentence: "“\(kind)s” leaves it out here, and \(users) still "
                    + "\(names.count == 1 ? "needs" : "need") it; "
                    + (isKeptElsewhere
                        ? "put it back, or let the file say under “\(plural)” what is to stay."
                        : "put it back, or remove \(names.count == 1 ? "that" : "those") first."),
                place: place
            )
        }
        try make(change, .remove, "\(kind) \(name)", at: Places())
    }

    private static func names(_ names: [String]?) -> Set<String>? {
        names.map { Set($0.map { $0.lowercased() }) }
    }

    func subject(_ policy: Directory.Policy) -> String { "policy \(next.name(of: policy))" }

    // MARK: - Setting

    /// Sets what stands in a file at most once.
    mutating func setSingle(_ configuration: Configuration) throws(PlanError) {
        let places = configuration.places
        if let account = configuration.account, account != next.account {
            let sign: Plan.Line.Sign = next.account.isEmpty ? .add : .change
            try make(.account(name: account), sign, "account \(account)", at: places.at("account"))
        }
        if let plan = configuration.addresses, plan != next.addresses {
            try make(.addresses(plan), .change, "addresses", at: places.at("addresses"))
        }
        if let dns = configuration.dns, dns != next.dns {
            try make(.dns(dns), .change, "dns", at: places.at("dns"))
        }
    }

    mutating func set(tests: [PolicyTest], at places: Places) throws(PlanError) {
        guard tests != next.tests else { return }
        let details = ["\(tests.count) in all"]
        try make(.tests(tests), .change, "tests", details, at: places.at("tests"))
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
        try make(.upsertProvider(provider), sign, "provider \(wanted.name)", at: wanted.places)
    }

    mutating func set(
        _ wanted: Configuration.Site,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let old = next.sites[named: wanted.name]
        var site = old ?? Directory.Site(id: SiteID(using: &random), name: wanted.name)
        site.name = wanted.name
        guard site != old else { return }
        let sign: Plan.Line.Sign = old == nil ? .add : .change
        try make(.upsertSite(site), sign, "site \(wanted.name)", at: wanted.places)
    }

    mutating func set(
        _ wanted: Configuration.Resource,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let subject = "resource \(wanted.name)"
        guard let site = next.sites[named: wanted.site] else {
            throw missing("site", wanted.site, \.sites, for: subject, at: wanted.places)
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
        let sign: Plan.Line.Sign = old == nil ? .add : .change
        try make(.upsertResource(resource), sign, subject, details, at: wanted.places)
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
            members.append(try member(name, of: subject, at: wanted.places, &random))
        }
        guard let old = next.groups[named: wanted.name] else {
            let id = GroupID(using: &random)
            let group = Directory.Group(id: id, name: wanted.name, members: members)
            let details = members.isEmpty ? [] : [Self.count(group.members.count, "member")]
            return try make(.upsertGroup(group), .add, subject, details, at: wanted.places)
        }
        if old.name != wanted.name {
            let group = Directory.Group(id: old.id, name: wanted.name, members: old.members)
            try make(.upsertGroup(group), .change, subject, at: wanted.places)
        }
        let new = Directory.Group(id: old.id, name: wanted.name, members: members)
        for member in new.members where !old.contains(member) {
            let change = Change.addMember(group: old.id, actor: member)
            let details = ["+ \(next.actors[member]?.name ?? member.text)"]
            try make(change, .change, subject, details, at: wanted.places)
        }
        for member in old.members where !new.contains(member) {
            let change = Change.removeMember(group: old.id, actor: member)
            let details = ["- \(next.actors[member]?.name ?? member.text)"]
            try make(change, .change, subject, details, at: wanted.places)
        }
    }

    private static func count(_ count: Int, _ word: String) -> String {
        "\(count) \(word)\(count == 1 ? "" : "s")"
    }

    /// A member is a person, made when first named, or a service account that exists.
    private mutating func member(
        _ name: String,
        of subject: String,
        at places: Places,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) -> ActorID {
        if let known = next.actors[named: name] { return known.id }
        guard name.contains("@") else {
            throw PlanError(
                subject: subject,
                sentence: "“\(name)” is neither an e-mail address nor a service account.",
                place: places["members"]
            )
        }
        let person = Directory.Actor(id: ActorID(using: &random), name: name)
        try make(.upsertActor(person), .add, "person \(name)", at: places)
        return person.id
    }

    /// Why a section cannot name `name`, which is not there, or not any more.
    func missing<Row: TableRow>(
        _ kind: String,
        _ name: String,
        _ table: KeyPath<Directory, Table<Row>>,
        for subject: String,
        at places: Places
    ) -> PlanError {
        let sentence =
            before[keyPath: table][named: name] == nil
            ? "There is no \(kind) “\(name)”; add it, or name another."
            : "The file leaves out the \(kind) “\(name)”, which this needs; put it back, or take "
                + "this out too."
        return PlanError(
            subject: subject,
            sentence: sentence,
            place: places[kind] ?? places.start
        )
    }
}
