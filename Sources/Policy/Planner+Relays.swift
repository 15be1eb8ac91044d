internal import Control

extension Planner {
    /// Relays that the file leaves out go.
    mutating func removeRelays(for configuration: Configuration) throws(PlanError) {
        guard let wanted = configuration.relays else { return }
        let names = Set(wanted.map { $0.name.lowercased() })
        for relay in next.ordered(next.relays) where !names.contains(relay.name.lowercased()) {
            try make(.removeRelay(relay.id), .remove, "relay \(relay.name)", at: Places())
        }
    }

    mutating func set(
        _ wanted: Configuration.Relay,
        _ random: inout some RandomNumberGenerator
    ) throws(PlanError) {
        let old = next.relays[named: wanted.name]
        let relay = Directory.Relay(
            id: old?.id ?? RelayID(using: &random),
            name: wanted.name,
            udp: wanted.udp,
            tcp: wanted.tcp,
            tls: wanted.tls,
            secretFile: wanted.secretFile,
            region: wanted.region
        )
        guard relay != old else { return }
        let details = old.map { difference($0, relay) } ?? [Self.text(relay.all)]
        let sign: Plan.Line.Sign = old == nil ? .add : .change
        try make(
            .upsertRelay(relay),
            sign,
            "relay \(wanted.name)",
            details,
            at: wanted.places
        )
    }

    private func difference(_ old: Directory.Relay, _ new: Directory.Relay) -> [String] {
        let rows = [
            ("name", old.name, new.name), ("udp", Self.text(old.udp), Self.text(new.udp)),
            ("tcp", Self.text(old.tcp), Self.text(new.tcp)),
            ("tls", Self.text(old.tls), Self.text(new.tls)),
            ("secret_file", old.secretFile, new.secretFile),
            ("region", old.region ?? "none", new.region ?? "none"),
        ]
        return rows.filter { $0.1 != $0.2 }.map { "\($0.0) \($0.1) → \($0.2)" }
    }

    private static func text(_ addresses: [RelayAddress]) -> String {
        addresses.isEmpty ? "none" : addresses.map(\.description).joined(separator: " ")
    }
}

extension Directory.Relay {
    /// All addresses, each once, in the order of the transports.
    public var all: [RelayAddress] {
        (udp + tcp + tls).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
