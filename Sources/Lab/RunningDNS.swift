internal import Foundation

/// A DNS network with every role running.
final class RunningDNS: @unchecked Sendable {
    let network: DNSNetwork
    let roles: Roles
    private(set) var client: Running
    private let portal: Running
    private let gateways: [Running]

    /// What is different from the usual.
    struct Setting: Sendable {
        /// What the host's resolv.conf says before the client comes.
        var hostResolvers = "nameserver 203.0.113.53\nnameserver 203.0.113.54\noptions timeout:1\n"
        /// The admin's upstreams.
        var upstreams: [String] = []
        /// What happens on the host before the client starts.
        var prepare: @Sendable (DNSNetwork) throws -> Void = { _ in }
    }

    /// Builds the network, starts the roles, and waits until the client is connected.
    ///
    /// - Throws: ``LabError`` when something does not come up; nothing is left then.
    init(name: String, executable: String, setting: Setting = Setting()) throws {
        let roles = Roles(executable: executable)
        self.roles = roles
        let network = try DNSNetwork(name: name)
        self.network = network
        do {
            portal = try roles.portal(on: network.portal)
            let text = Self.configuration(upstreams: setting.upstreams)
            try roles.apply(text, portal: network.portal)
            gateways = try network.sites.map {
                try roles.gateway(on: $0.gateway, site: $0.name, portal: network.portal)
            }
            try network.authority.trust(on: network.ada)
            try network.ada.resolvers(setting.hostResolvers)
            try setting.prepare(network)
            client = try roles.client(
                on: network.ada,
                email: "ada@example.com",
                portal: network.portal
            )
        } catch {
            network.remove()
            throw error
        }
    }

    /// Takes everything away again.
    func remove() { network.remove() }

    /// The nameservers of the client's host, in order: the sentinels, while the client runs.
    var sentinels: [String] {
        network.ada.resolverConfiguration.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count == 2 && words[0] == "nameserver" ? String(words[1]) : nil
        }
    }

    /// Starts the client again, with the token and state that it has.
    func startClient() throws { client = try roles.startClient(on: network.ada) }

    /// Makes the portal match ``configuration(upstreams:more:)``.
    func apply(upstreams: [String] = [], more: String? = nil) throws {
        let text = Self.configuration(upstreams: upstreams, more: more)
        try roles.apply(text, portal: network.portal)
    }

    /// When the portal made its last change, by its own log, in seconds of the day.
    var lastChange: Double? {
        let line = portal.output.split(separator: "\n").last { $0.contains(" portal: changed ") }
        let parts = line?.prefix { $0 != " " }.split(separator: ":").compactMap { Double($0) } ?? []
        return parts.count == 3 ? parts[0] * 3_600 + parts[1] * 60 + parts[2] : nil
    }

    /// What the portal is told.
    ///
    /// - Parameters:
    ///   - upstreams: The admin's; empty for the host's own.
    ///   - more: The address of one more resource of the first site.
    /// - Returns: The text for `culvert apply`.
    static func configuration(upstreams: [String], more: String? = nil) -> String {
        var resources = [
            ("Corp", "*.\(DNSZones.corp)", "headquarters", nil),
            ("Secret", DNSZones.secret, "headquarters", nil),
            ("Wiki in Hamburg", "wiki.fritz.box", "headquarters", "wiki.hamburg.example"),
            ("Wiki in Berlin", "wiki.fritz.box", "berlin", "wiki.berlin.example"),
        ]
        if let more { resources.append(("More", more, "headquarters", nil)) }
        let list = resources.map { name, address, site, alias in
            "  - name: \(name)\n    address: \"\(address)\"\n    site: \(site)\n"
                + (alias.map { "    alias: \($0)\n" } ?? "")
        }
        let policies = resources.map { "  - group: Engineering\n    resource: \($0.0)\n" }
        let dns = upstreams.map { "\"\($0)\"" }.joined(separator: ", ")
        return "account: Example\nsites:\n  - name: headquarters\n  - name: berlin\nresources:\n"
            + list.joined() + "groups:\n  - name: Engineering\n    members: [ada@example.com]\n"
            + "policies:\n" + policies.joined()
            + (upstreams.isEmpty ? "" : "dns:\n  upstreams: [\(dns)]\n")
    }

    /// What the roles said last, for a report of something that was not seen.
    var logs: String {
        let named =
            [("client", client), ("portal", portal)]
            + zip(["gateway1", "gateway2"], gateways)
        return named.map { "\($0):\n\($1.output.suffix(2_500))\n" }.joined()
    }

    /// Lines of the resolvers' own logs about queries.
    ///
    /// - Returns: `NAME. TYPE CLASS` in small letters, of both resolvers.
    func queriesSeenOutside() -> [String] {
        network.resolvers.flatMap { resolver -> [String] in
            let path = "\(resolver.host.folder)/unbound.log"
            let log = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return log.split(separator: "\n").compactMap { line -> String? in
                let words = line.split(separator: " ")
                guard words.count == 7, words[2] == "info:" else { return nil }
                return words[4...].joined(separator: " ").lowercased()
            }
        }
    }
}
