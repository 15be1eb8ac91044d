internal import Control

extension Directory {
    /// Changes that make this directory from an empty one, in an order in which each is valid.
    public var snapshot: [Change] {
        var changes: [Change] = []
        if !account.isEmpty { changes.append(.account(name: account)) }
        if addresses != .standard { changes.append(.addresses(addresses)) }
        if dns != DNSSettings() { changes.append(.dns(dns)) }
        changes += ordered(providers).map { .upsertProvider($0) }
        changes += ordered(relays).map { .upsertRelay($0) }
        changes += ordered(actors).map { .upsertActor($0) }
        changes += ordered(sites).map { .upsertSite($0) }
        changes += ordered(groups).map { .upsertGroup($0) }
        changes += ordered(resources).map { .upsertResource($0) }
        changes += ordered(policies).map { .upsertPolicy($0) }
        changes += ordered(gateways).map { .upsertGateway($0) }
        changes += ordered(clients).map { .upsertClient($0) }
        if !tests.isEmpty { changes.append(.tests(tests)) }
        return changes
    }

    /// Rows in order of their identifiers.
    func ordered<Row: TableRow>(_ table: Table<Row>) -> [Row] { table.sorted { $0.id < $1.id } }
}
