internal import Control
internal import Foundation
internal import Policy

/// A relay in a list: one that connects by itself, or a server of the configuration.
struct RelayRow: Listed, Codable, Equatable {
    let id: String
    let name: String
    /// Whether it is a stock server of the configuration.
    let isStock: Bool
    /// Whether it can be dealt now.
    let isOnline: Bool
    let region: String?
    /// Such as `udp 192.0.2.1:3478`.
    let addresses: [String]
    let software: String
    /// The middle of what those who have it measured.
    let roundTripMilliseconds: UInt32?
    /// Live allocations, where it says so.
    let allocations: UInt32?
    /// Clients and gateways that have it now.
    let users: Int
    let lastSeen: Date?
    /// Why a server of the configuration cannot be dealt, or was not found the last time.
    let problem: String?

    var searchText: String { "\(name) \(region ?? "") \(addresses.joined(separator: " "))" }
    func sortKey(_ column: String) -> String {
        switch column {
        case "state": isOnline ? "0" : "1"
        case "region": region ?? "\u{10ffff}"
        default: name
        }
    }
}

extension Switchboard {
    /// All relays: connected ones, those that were, and the configuration's.
    var relayRows: [RelayRow] {
        let live = relays.values.sorted { $0.id < $1.id }.map { relay in
            row(
                relay.id,
                name: relay.name,
                relayDesk[relay.id],
                software: relay.software,
                allocations: relay.allocations
            )
        }
        let gone = relaysGone.sorted { $0.key < $1.key }.map { id, relay in
            row(
                id,
                name: relay.name,
                relay.facts,
                software: relay.software,
                lastSeen: relay.lastSeen
            )
        }
        let stock = directory.relays.sorted { $0.id < $1.id }.map { relay in
            let texts = [("udp", relay.udp), ("tcp", relay.tcp), ("tls", relay.tls)].flatMap {
                word,
                addresses in
                addresses.map { "\(word) \($0)" }
            }
            return row(
                relay.id,
                name: relay.name,
                relayDesk[relay.id],
                stock: texts,
                region: relay.region,
                problem: stockProblems[relay.id]
            )
        }
        return live + gone + stock
    }

    private func row(
        _ id: RelayID,
        name: String,
        _ facts: RelayFacts?,
        stock: [String]? = nil,
        region: String? = nil,
        software: String = "",
        allocations: UInt32? = nil,
        lastSeen: Date? = nil,
        problem: String? = nil
    ) -> RelayRow {
        let transports = [("udp", facts?.udp), ("tcp", facts?.tcp), ("tls", facts?.tls)]
        let addresses = transports.flatMap { word, endpoints in
            (endpoints ?? []).map { "\(word) \($0)" }
        }
        return RelayRow(
            id: id.text,
            name: name,
            isStock: stock != nil,
            isOnline: relayDesk[id] != nil,
            region: region ?? facts?.region,
            addresses: stock ?? addresses,
            software: software,
            roundTripMilliseconds: relayDesk.roundTrip(of: id),
            allocations: allocations,
            users: relayDesk.userCount(of: id),
            lastSeen: lastSeen,
            problem: problem
        )
    }
}
