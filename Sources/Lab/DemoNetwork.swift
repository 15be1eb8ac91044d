internal import Foundation

/// The network of the demo and of most scenarios, both families everywhere.
///
///     ada ─┐                      ┌─ dns      (public resolver)
///          ├─ home ── internet ───┼─ portal
///     bob ─┘  (NAT)               ├─ saas     (two names on one address)
///                                 └─ gateway ── site (name server, web server)
public final class DemoNetwork {
    /// Addresses that scenarios speak of.
    public enum Address {
        public static let saas = "203.0.113.80"
        public static let gateway = "203.0.113.20"
        public static let gatewayIPv6 = "2001:db8::20"
        public static let gatewayInside = "10.20.0.1"
        public static let gatewayInsideIPv6 = "fd20::1"
        public static let home = "203.0.113.66"
        public static let site = "10.20.0.80"
        public static let siteIPv6 = "fd20::80"
    }

    /// What the portal is told with `culvert apply`.
    public static let configuration = """
        account: Example
        sites:
          - name: headquarters
        resources:
          - name: Git
            address: git.corp.example
            site: headquarters
            allow: [tcp/80, icmp]
          - name: Chat
            address: chat.saas.example
            site: headquarters
        groups:
          - name: Engineering
            members: [ada@example.com]
          - name: Visitors
            members: [bob@example.com]
        policies:
          - group: Engineering
            resource: Git
          - group: Engineering
            resource: Chat

        """

    public let network: Network
    public let internet: LabHost
    public let dns: LabHost
    public let portal: LabHost
    public let saas: LabHost
    public let gateway: LabHost
    public let site: LabHost
    public let home: Router
    public let ada: LabHost
    public let bob: LabHost
    /// The web server behind the gateway.
    public private(set) var siteWeb: Running?

    /// Makes the hosts and starts the stock servers; no role of ours runs yet.
    ///
    /// - Parameters:
    ///   - name: The network's name, in its namespaces' names.
    ///   - mapping: How the home router translates.
    ///   - laptopsHaveIPv6: Whether Ada and Bob have IPv6 of their own.
    /// - Throws: ``LabError`` when a host or a server does not come up.
    public init(
        name: String,
        mapping: Router.Mapping = .preserving,
        laptopsHaveIPv6: Bool = true
    ) throws {
        network = try Network(name: name)
        do {
            let internet = try Internet(of: network, localNetworks: [(1, 66)])
            self.internet = internet.host
            dns = try internet.host("dns", 53)
            portal = try internet.host("portal", 10)
            saas = try internet.host("saas", 80)
            gateway = try internet.host("gateway", 20)
            site = try network.host("site")
            try site.bridge(addresses: ["10.20.0.80/24", "fd20::80/64"])
            try network.attach(
                gateway,
                to: site,
                as: "eth1",
                addresses: ["10.20.0.1/24", "fd20::1/64"]
            )
            let router = try internet.host("home", 66)
            try router.bridge(addresses: ["192.168.1.1/24", "2001:db8:1::1/64"])
            home = try Router(router, wan: "eth0", lan: "br0", mapping: mapping)
            ada = try Self.private(network, router, "ada", 10, ipv6: laptopsHaveIPv6)
            bob = try Self.private(network, router, "bob", 11, ipv6: laptopsHaveIPv6)
            try startServers()
        } catch {
            network.remove()
            throw error
        }
    }

    private static func `private`(
        _ network: Network,
        _ router: LabHost,
        _ title: String,
        _ number: Int,
        ipv6: Bool
    ) throws -> LabHost {
        let host = try network.host(title)
        let addresses = ["192.168.1.\(number)/24"] + (ipv6 ? ["2001:db8:1::\(number)/64"] : [])
        try network.attach(host, to: router, addresses: addresses)
        try host.defaultRoutes(["192.168.1.1"] + (ipv6 ? ["2001:db8:1::1"] : []))
        try host.resolvers(
            "# the home router's own words\nnameserver \(Internet.resolver.ipv4)\n"
                + "nameserver \(Internet.resolver.ipv6)\n"
                + "options timeout:2 attempts:2\n"
        )
        return host
    }

    private func startServers() throws {
        try Internet.serveNames(
            on: dns,
            records: ["chat", "www"].flatMap {
                [
                    "\($0).saas.example. 60 IN A \(Address.saas)",
                    "\($0).saas.example. 60 IN AAAA 2001:db8::80",
                ]
            }
        )
        _ = try Servers.nsd(
            on: site,
            listening: [Address.site, Address.siteIPv6],
            zone: "corp.example",
            records: [
                "ns A 10.20.0.80", "git A 10.20.0.80", "git AAAA fd20::80", "wiki A 10.20.0.80",
            ]
        )
        siteWeb = try Servers.nginx(
            on: site,
            sites: [
                .init(name: "git.corp.example", body: "Hello from Git, inside the site."),
                .init(name: "wiki.corp.example", body: "Hello from the wiki, inside the site."),
            ]
        )
        _ = try Servers.nginx(
            on: saas,
            sites: [
                .init(
                    name: "chat.saas.example",
                    body: "Hello from Chat, for this company only.",
                    allowed: [Address.gateway, Address.gatewayIPv6]
                ),
                .init(name: "www.saas.example", body: "Hello from the public neighbour."),
            ]
        )
        try gateway.resolvers(
            "nameserver \(Address.site)\nnameserver \(Internet.resolver.ipv4)\n"
        )
    }

    deinit { network.remove() }
}
