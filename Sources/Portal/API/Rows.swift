internal import Control
internal import Foundation
internal import IP
internal import Policy

/// A row of a list, as the API gives it and the pages show it.
protocol Listed: Encodable, Sendable {
    /// What search looks at.
    var searchText: String { get }
    /// What to sort by, for a column's name.
    func sortKey(_ column: String) -> String
}

/// What of a list is wanted.
struct ListQuery: Equatable {
    let text: String
    /// A column's name; with a hyphen in front, from the end.
    let sort: String

    func apply<Row: Listed>(to rows: [Row]) -> [Row] {
        let words = text.lowercased().split(separator: " ")
        let found =
            words.isEmpty
            ? rows
            : rows.filter { row in
                let text = row.searchText.lowercased()
                return words.allSatisfy { text.contains($0) }
            }
        guard !sort.isEmpty else { return found }
        let isDescending = sort.hasPrefix("-")
        let column = isDescending ? String(sort.dropFirst()) : sort
        let keyed = found.enumerated().map {
            (key: $1.sortKey(column).lowercased(), place: $0, row: $1)
        }
        let sorted = keyed.sorted { one, other in
            if one.key == other.key { return one.place < other.place }
            return isDescending ? one.key > other.key : one.key < other.key
        }
        return sorted.map(\.row)
    }
}

/// A client in a list.
struct ClientRow: Listed, Codable, Equatable {
    let id: String
    let name: String
    let actor: String
    let isOnline: Bool
    let isVerified: Bool
    let software: String
    let tunnel: [IPAddress]
    let remote: IPAddress?
    let lastSeen: Date?
    let leases: Int

    var searchText: String {
        "\(name) \(actor) \(tunnel.map(\.description)) \(remote?.description ?? "")"
    }
    func sortKey(_ column: String) -> String {
        switch column {
        case "actor": actor
        case "state": isOnline ? "0" : "1 \(-(lastSeen?.timeIntervalSince1970 ?? 0))"
        default: name
        }
    }
}

/// A gateway in a list.
struct GatewayRow: Listed, Codable, Equatable {
    let id: String
    let name: String
    let site: String
    let isOnline: Bool
    let isDraining: Bool
    /// Resources that it said not to reach, by name; it is passed over for them.
    let unreached: [String]
    let clients: Int
    let software: String
    let tunnel: [IPAddress]
    let lastSeen: Date?

    var searchText: String { "\(name) \(site)" }
    func sortKey(_ column: String) -> String { column == "site" ? site : name }
}

/// A resource in a list.
struct ResourceRow: Listed, Codable, Equatable {
    let id: String
    let name: String
    let address: String
    let alias: String?
    let site: String
    let isOnline: Bool
    let filters: [Filter]
    let policies: Int

    var searchText: String { "\(name) \(address) \(alias ?? "") \(site)" }
    func sortKey(_ column: String) -> String {
        switch column {
        case "address": address
        case "site": site
        default: name
        }
    }
}

/// A policy in a list.
struct PolicyRow: Listed, Codable, Equatable {
    let id: String
    let group: String
    let resource: String
    let conditions: [String]

    var searchText: String { "\(group) \(resource)" }
    func sortKey(_ column: String) -> String { column == "resource" ? resource : group }
}

/// A site in a list.
struct SiteRow: Listed, Codable, Equatable {
    let id: String
    let name: String
    let gateways: Int
    let online: Int
    let resources: Int

    var searchText: String { name }
    func sortKey(_ column: String) -> String { name }
}

/// A token in a list; its secret is nowhere.
struct TokenRow: Codable, Equatable {
    let id: String
    let kind: String
    let name: String
    let createdAt: Date
    let createdBy: String
    let revokedAt: Date?
}

/// A line of the audit log.
struct ChangeRow: Codable, Equatable {
    let revision: UInt64
    let at: Date
    let who: String
    let why: String
    let summary: String

    init(_ line: Store.AuditLine) {
        (revision, at, who) = (line.revision, line.at, line.who)
        (why, summary) = (line.why, line.summary)
    }
}

extension Switchboard {
    var clientRows: [ClientRow] {
        directory.clients.map { client in
            let device = devices[client.id.text]
            return ClientRow(
                id: client.id.text,
                name: client.name,
                actor: directory.actors[client.actor]?.name ?? "",
                isOnline: clients[client.id] != nil,
                isVerified: client.device.isVerified,
                software: device?.software ?? "",
                tunnel: client.tunnel,
                remote: device?.remote,
                lastSeen: device?.lastSeen,
                leases: leases.leases(of: client.id).count
            )
        }
    }

    var gatewayRows: [GatewayRow] {
        directory.gateways.map { gateway in
            let device = devices[gateway.id.text]
            return GatewayRow(
                id: gateway.id.text,
                name: gateway.name,
                site: directory.sites[gateway.site]?.name ?? "",
                isOnline: gateways[gateway.id] != nil,
                isDraining: isDraining(gateway.id),
                unreached: reach.unreached(by: gateway.id, at: WallTime(.now)).compactMap {
                    directory.resources[$0.0]?.name
                },
                clients: leases.clientCount(at: gateway.id),
                software: device?.software ?? "",
                tunnel: gateway.tunnel,
                lastSeen: device?.lastSeen
            )
        }
    }

    var resourceRows: [ResourceRow] {
        let online = Set(gateways.values.map(\.site))
        return directory.resources.map { resource in
            ResourceRow(
                id: resource.id.text,
                name: resource.name,
                address: resource.address.text,
                alias: resource.alias,
                site: directory.sites[resource.site]?.name ?? "",
                isOnline: online.contains(resource.site),
                filters: resource.filters,
                policies: directory.policies(for: resource.id).count
            )
        }
    }

    var policyRows: [PolicyRow] {
        directory.policies.map { policy in
            PolicyRow(
                id: policy.id.text,
                group: directory.groups[policy.group]?.name ?? "",
                resource: directory.resources[policy.resource]?.name ?? "",
                conditions: policy.conditions.sentences
            )
        }
    }

    var siteRows: [SiteRow] {
        var resources: [SiteID: Int] = [:]
        for resource in directory.resources { resources[resource.site, default: 0] += 1 }
        return directory.sites.map { site in
            SiteRow(
                id: site.id.text,
                name: site.name,
                gateways: directory.gateways.count { $0.site == site.id },
                online: gateways.values.count { $0.site == site.id },
                resources: resources[site.id, default: 0]
            )
        }
    }

    var tokenRows: [TokenRow] {
        tokens.all.map { token in
            TokenRow(
                id: token.id,
                kind: token.tokenKind?.word ?? token.kind,
                name: token.name,
                createdAt: Date(timeIntervalSince1970: token.createdAt),
                createdBy: token.createdBy,
                revokedAt: token.revokedAt.map { Date(timeIntervalSince1970: $0) }
            )
        }
    }
}

extension Conditions {
    /// What is asked for, a line each.
    var sentences: [String] {
        var all: [String] = []
        func add(_ values: [some CustomStringConvertible], _ word: String) {
            guard !values.isEmpty else { return }
            all.append("\(word) \(values.map(\.description).joined(separator: ", "))")
        }
        add(from, "from")
        add(notFrom, "not from")
        add(countries, "in")
        add(notCountries, "not in")
        if let hours { all.append("\(hours)") }
        add(providers, "signed in through")
        if verified { all.append("device verified") }
        if let version { all.append("client \(version)") }
        add(systems, "on")
        return all
    }
}
