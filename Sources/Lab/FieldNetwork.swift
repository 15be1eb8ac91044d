internal import Foundation

/// A network as the field has them: client and gateways each behind a router of their own, relays
/// and portal on the internet between, a second network for the client to move to.
///
///     ada ── home ─┐              ┌─ office ─┬─ gateway1, gateway2
///            cafe ─┼── internet ──┤          └─ site (name server, web server)
///                  │              └─ berlin ─── gateway3, site2
///                  └─ dns, portal, relay1, relay2
public final class FieldNetwork: Sendable {
    /// A site: its router, its servers, its gateways.
    public struct Site: Sendable {
        public let name: String
        public let domain: String
        public let router: Router
        public let server: LabHost
        public let gateways: [LabHost]
    }

    public let plan: FieldPlan
    public let network: Network
    public let portal: LabHost
    public let relays: [LabHost]
    public let home: Router
    public let cafe: Router
    public let ada: LabHost
    public let sites: [Site]
    let internet: Internet

    /// Bytes of the file that scenarios download.
    public static let bigByteCount = 100 << 20
    /// The name that scenarios use, served in the first site.
    public static let name = "git.corp.example"

    /// Makes the hosts and starts the stock servers; no role of ours runs yet.
    ///
    /// - Parameters:
    ///   - name: The network's name, in its namespaces' names.
    ///   - plan: What it is like.
    ///   - delayWords: The command that carries frames over a wire with delay.
    ///   - rate: Bytes a second that the site's web server gives one download.
    /// - Throws: ``LabError`` when a host or a server does not come up.
    public init(name: String, plan: FieldPlan, delayWords: [String], rate: Int) throws {
        self.plan = plan
        network = try Network(name: name)
        do {
            let internet = try Internet(
                of: network,
                plan: plan,
                delayWords: delayWords,
                localNetworks: [(1, 66), (2, 70), (3, 67), (4, 71)]
            )
            self.internet = internet
            let builder = Builder(network: network, plan: plan, internet: internet)
            let dns = try internet.host("dns", 53)
            portal = try internet.host("portal", 10)
            relays = try (1...2).map { try internet.host("relay\($0)", 30 + $0) }
            home = try builder.router("home", 66, lan: "192.168.1", 1, plan.home)
            cafe = try builder.router("cafe", 67, lan: "192.168.2", 3, FieldPlan.Access())
            ada = try network.host("ada")
            try builder.join(ada, to: home, lan: "192.168.1", 1)
            var sites = [
                try builder.site(
                    "headquarters",
                    router: ("office", 70),
                    lan: "10.20.0",
                    2,
                    gateways: Array(1...plan.gatewayCount)
                )
            ]
            if plan.hasSecondSite {
                sites.append(
                    try builder.site(
                        "berlin",
                        router: ("berlin", 71),
                        lan: "10.30.0",
                        4,
                        gateways: [plan.gatewayCount + 1]
                    )
                )
            }
            self.sites = sites
            try Self.startServers(dns, sites, rate: rate)
        } catch {
            network.remove()
            throw error
        }
    }

    /// Takes everything away again.
    public func remove() { network.remove() }

    /// Takes the client from one local network to another: cable out, cable in, new addresses.
    public func moveClient(to router: Router) throws {
        try ada.must("ip", "link", "del", "eth0")
        let builder = Builder(network: network, plan: plan, internet: internet)
        let isCafe = router.host.title == "cafe"
        try builder.join(
            ada,
            to: router,
            lan: isCafe ? "192.168.2" : "192.168.1",
            isCafe ? 3 : 1,
            keepsResolvers: true
        )
    }

    /// What the portal is told with `culvert apply`.
    public func configuration(relays: String = "") -> String {
        let names = sites.map { "  - name: \($0.name)\n" }.joined()
        let resources = sites.map {
            "  - name: Git in \($0.name)\n    address: git.\($0.domain)\n    site: \($0.name)\n"
        }.joined()
        let policies = sites.map {
            "  - group: Engineering\n    resource: Git in \($0.name)\n"
        }.joined()
        return "account: Example\nsites:\n\(names)resources:\n\(resources)"
            + "groups:\n  - name: Engineering\n    members: [ada@example.com]\n"
            + "policies:\n\(policies)\(relays)"
    }

    private static func startServers(_ dns: LabHost, _ sites: [Site], rate: Int) throws {
        try Internet.serveNames(on: dns)
        for (index, site) in sites.enumerated() {
            let lan = index == 0 ? "10.20.0" : "10.30.0"
            let unique = index == 0 ? "fd20" : "fd30"
            _ = try Servers.nsd(
                on: site.server,
                listening: ["\(lan).80", "\(unique)::80"],
                zone: site.domain,
                records: ["ns A \(lan).80", "git A \(lan).80", "git AAAA \(unique)::80"]
                    + FarServers.records
            )
            _ = try Servers.nginx(
                on: site.server,
                sites: [
                    .init(name: "git.\(site.domain)", body: "Hello from \(site.name).", rate: rate)
                ]
            )
        }
    }
}

/// Makes the hosts of a field network.
private struct Builder {
    let network: Network
    let plan: FieldPlan
    let internet: Internet

    func router(
        _ title: String,
        _ number: Int,
        lan: String,
        _ network6: Int,
        _ access: FieldPlan.Access
    ) throws -> Router {
        let host = try internet.host(title, number)
        try host.bridge(addresses: ["\(lan).1/24", "2001:db8:\(network6)::1/64"])
        return try Router(
            host,
            wan: "eth0",
            lan: "br0",
            mapping: access.mapping,
            blocksUDP: access.blocksUDP
        )
    }

    /// Joins a client to a local network, with the families of the plan.
    func join(
        _ host: LabHost,
        to router: Router,
        lan: String,
        _ network6: Int,
        keepsResolvers: Bool = false
    ) throws {
        var addresses: [String] = []
        var routes: [String] = []
        var resolvers = ""
        if plan.families.hasIPv4 {
            addresses.append("\(lan).10/24")
            routes.append("\(lan).1")
            resolvers += "nameserver 203.0.113.53\n"
        }
        if plan.families.hasIPv6 {
            addresses.append("2001:db8:\(network6)::10/64")
            routes.append("2001:db8:\(network6)::1")
            resolvers += "nameserver 2001:db8::53\n"
        }
        try internet.attach(host, to: router.host, addresses)
        try host.defaultRoutes(routes)
        if !keepsResolvers { try host.resolvers(resolvers) }
    }

    func site(
        _ name: String,
        router: (title: String, number: Int),
        lan: String,
        _ network6: Int,
        gateways: [Int]
    ) throws -> FieldNetwork.Site {
        let isFirst = name == "headquarters"
        let unique = isFirst ? "fd20" : "fd30"
        let edge = try self.router(
            router.title,
            router.number,
            lan: lan,
            network6,
            isFirst ? plan.office : FieldPlan.Access()
        )
        let server = try network.host(isFirst ? "site" : "site2")
        try internet.attach(server, to: edge.host, ["\(lan).80/24", "\(unique)::80/64"])
        let hosts = try gateways.map { number in
            let host = try network.host("gateway\(number)")
            var addresses = ["\(lan).\(10 + number)/24", "\(unique)::\(10 + number)/64"]
            var routes: [String] = []
            if plan.families.hasIPv4 { routes.append("\(lan).1") }
            if plan.families.hasIPv6 {
                addresses.append("2001:db8:\(network6)::\(10 + number)/64")
                routes.append("2001:db8:\(network6)::1")
            }
            try internet.attach(host, to: edge.host, addresses)
            try host.defaultRoutes(routes)
            let publicServer = plan.families.hasIPv4 ? "203.0.113.53" : "2001:db8::53"
            try host.resolvers("nameserver \(lan).80\nnameserver \(publicServer)\n")
            return host
        }
        return FieldNetwork.Site(
            name: name,
            domain: isFirst ? "corp.example" : "berlin.example",
            router: edge,
            server: server,
            gateways: hosts
        )
    }
}
