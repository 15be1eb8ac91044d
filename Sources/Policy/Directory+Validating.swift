internal import Control
internal import IP

extension Directory {
    /// Bounds of what a directory holds.
    public enum Limits {
        /// Characters of a name.
        public static var nameCharacters: Int { 100 }
        /// Policy tests.
        public static var tests: Int { 10_000 }
        /// Nameservers in one list.
        public static var upstreams: Int { 16 }
        /// Zones with nameservers of their own.
        public static var zones: Int { 256 }
    }

    /// Passes a change that can be made now; see ``ChangeError`` for what cannot.
    public func validate(_ change: Change) throws(ChangeError) {
        switch change {
        case .account(let name): try checkName(name)
        case .upsertActor(let actor): try check(actor)
        case .removeActor(let id): try checkExists(id, in: actors, "actor")
        case .upsertGroup(let group): try check(group)
        case .removeGroup(let id):
            let slot = try checkExists(id, in: groups, "group")
            let users = index.policiesOfGroup[slot].compactMap { policies[$0.policy] }
            try checkUnused(by: "policy", users.map(name))
        case .addMember(let group, let actor), .removeMember(let group, let actor):
            try checkExists(group, in: groups, "group", field: "group")
            try checkExists(actor, in: actors, "actor", field: "member")
        case .upsertSite(let site): try check(site)
        case .removeSite(let id):
            let slot = try checkExists(id, in: sites, "site")
            try checkUnused(
                by: "resource",
                index.resourcesOfSite[slot].map { resources[slot: $0]?.name ?? "" }
            )
            try checkUnused(
                by: "gateway",
                index.gatewaysOfSite[slot].map { gateways[slot: $0]?.name ?? "" }
            )
        case .upsertResource(let resource): try check(resource)
        case .removeResource(let id):
            let slot = try checkExists(id, in: resources, "resource")
            let users = index.policiesOfResource[slot].compactMap { policies[$0.policy] }
            try checkUnused(by: "policy", users.map(name))
        case .upsertPolicy(let policy): try check(policy)
        case .removePolicy(let id): try checkExists(id, in: policies, "policy")
        case .upsertClient(let client): try check(client)
        case .removeClient(let id): try checkExists(id, in: clients, "client")
        case .upsertGateway(let gateway): try check(gateway)
        case .removeGateway(let id): try checkExists(id, in: gateways, "gateway")
        case .upsertProvider(let provider): try check(provider)
        case .removeProvider(let id):
            try checkExists(id, in: providers, "provider")
            let users = policies.filter { $0.conditions.providers.contains(id) }
            try checkUnused(by: "policy", users.map(name))
        case .upsertRelay(let relay): try check(relay)
        case .removeRelay(let id): try checkExists(id, in: relays, "relay")
        case .dns(let settings): try check(settings)
        case .addresses(let plan): try check(plan)
        case .tests(let tests):
            guard tests.count <= Limits.tests else {
                throw ChangeError(field: "tests", .tooLong(countMax: Limits.tests))
            }
        }
    }

    private func check(_ actor: Actor) throws(ChangeError) {
        try checkName(actor.name, actor, in: actors)
        if actor.kind == .person, !Self.isEmail(actor.name) {
            throw ChangeError(field: "name", .badEmail(actor.name))
        }
    }

    private func check(_ group: Group) throws(ChangeError) {
        try checkName(group.name, group, in: groups)
        for member in group.members {
            try checkExists(member, in: actors, "actor", field: "members")
        }
    }

    private func check(_ site: Site) throws(ChangeError) {
        try checkName(site.name, site, in: sites)
        let range = Site.Limits.absenceSeconds
        guard range.contains(site.absenceSeconds) else {
            throw ChangeError(
                field: "absenceSeconds",
                .outOfRange(lower: Int(range.lowerBound), upper: Int(range.upperBound))
            )
        }
    }

    private func check(_ client: Client) throws(ChangeError) {
        try checkName(client.name)
        try checkExists(client.actor, in: actors, "actor", field: "actor")
        try checkTunnel(client.tunnel, except: { $0 == client.id }, { _ in false })
    }

    private func check(_ gateway: Gateway) throws(ChangeError) {
        try checkName(gateway.name, gateway, in: gateways)
        try checkExists(gateway.site, in: sites, "site", field: "site")
        try checkTunnel(gateway.tunnel, except: { _ in false }, { $0 == gateway.id })
    }

    private func check(_ provider: Provider) throws(ChangeError) {
        try checkName(provider.name, provider, in: providers)
        guard provider.issuer.hasPrefix("https://"), provider.issuer.count > 8 else {
            throw ChangeError(field: "issuer", .badURL(provider.issuer))
        }
        guard !provider.clientID.isEmpty else { throw ChangeError(field: "clientID", .missing) }
    }

    /// Two words with an at sign between, the second with a dot: more is for the mail system.
    static func isEmail(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".")
            && !parts[1].hasPrefix(".") && !parts[1].hasSuffix(".")
            && !text.contains { $0.isWhitespace }
    }
}

// MARK: - Checks that several kinds share

extension Directory {
    /// A name of the right length.
    func checkName(_ name: String) throws(ChangeError) {
        guard name.contains(where: { !$0.isWhitespace }) else {
            throw ChangeError(field: "name", .missing)
        }
        guard name.count <= Limits.nameCharacters, name.utf8.count <= 4 * Limits.nameCharacters
        else { throw ChangeError(field: "name", .tooLong(countMax: Limits.nameCharacters)) }
    }

    /// A name of the right length that no other row has.
    func checkName<Row: TableRow>(
        _ name: String,
        _ row: Row,
        in table: Table<Row>
    ) throws(ChangeError) {
        try checkName(name)
        if let other = table[named: name], other.id != row.id {
            throw ChangeError(field: "name", .nameTaken(name))
        }
    }

    /// A row that exists; its slot.
    @discardableResult
    func checkExists<Row: TableRow>(
        _ id: Identifier<Row.Tag>,
        in table: Table<Row>,
        _ kind: String,
        field: String = "id"
    ) throws(ChangeError) -> Int {
        guard let slot = table.slot(of: id) else {
            throw ChangeError(field: field, .unknown(kind: kind, id: id.text))
        }
        return slot
    }

    private func checkUnused(by user: String, _ names: [String]) throws(ChangeError) {
        guard names.isEmpty else {
            throw ChangeError(field: "id", .inUse(by: user, names: names.sorted()))
        }
    }

    /// What people know a policy by: `Engineering → Git`.
    func name(of policy: Policy) -> String {
        let group = groups[policy.group]?.name ?? policy.group.text
        return "\(group) → \(resources[policy.resource]?.name ?? policy.resource.text)"
    }

    /// Addresses in the tunnel range, one of a family, that nobody else has.
    private func checkTunnel(
        _ tunnel: [IPAddress],
        except isClient: (ClientID) -> Bool,
        _ isGateway: (GatewayID) -> Bool
    ) throws(ChangeError) {
        guard Set(tunnel.map(\.family)).count == tunnel.count else {
            throw ChangeError(field: "tunnel", .twiceOneFamily)
        }
        for address in tunnel {
            guard addresses.tunnel.contains(where: { $0.contains(address) }) else {
                throw ChangeError(field: "tunnel", .outsideTunnelRange(address.description))
            }
            let isTaken =
                switch index.holderOfAddress[address] {
                case .client(let id)?: !isClient(id)
                case .gateway(let id)?: !isGateway(id)
                case nil: false
                }
            if isTaken { throw ChangeError(field: "tunnel", .addressTaken(address.description)) }
        }
    }
}
