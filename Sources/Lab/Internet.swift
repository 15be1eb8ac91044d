/// The internet of a lab: a bridge, and hosts on it with one address of each family, whose last
/// number is the same. 203.0.113.0/24 and 2001:db8::/64 are for documentation (RFC 5737, 3849).
struct Internet: Sendable {
    /// The public resolver, which every host asks that has nothing better.
    static let resolver = addresses(53)
    static let portal = addresses(10)

    /// The host that is the bridge: every packet passes it.
    let host: LabHost
    private let network: Network
    private let plan: FieldPlan
    private let delayWords: [String]

    /// - Parameters:
    ///   - network: What it belongs to.
    ///   - plan: Says what the wires are like.
    ///   - delayWords: The command that carries frames over a wire with delay.
    ///   - localNetworks: The IPv6 networks behind routers: 2001:db8:KEY::/64 behind host VALUE.
    /// - Throws: ``LabError`` when the bridge cannot be made.
    init(
        of network: Network,
        plan: FieldPlan = FieldPlan(),
        delayWords: [String] = [],
        localNetworks: [(lan: Int, router: Int)]
    ) throws {
        (self.network, self.plan, self.delayWords) = (network, plan, delayWords)
        host = try network.host("internet")
        try host.bridge(addresses: ["203.0.113.1/24", "2001:db8::1/64"])
        try host.forwards()
        for (lan, router) in localNetworks {
            let via = Self.addresses(router).ipv6
            try host.must("ip", "-6", "route", "add", "2001:db8:\(lan)::/64", "via", via)
        }
    }

    /// Both addresses of host `number`.
    static func addresses(_ number: Int) -> (ipv4: String, ipv6: String) {
        ("203.0.113.\(number)", "2001:db8::\(number)")
    }

    /// A host with public addresses.
    func host(_ title: String, _ number: Int) throws -> LabHost {
        let host = try network.host(title)
        let (ipv4, ipv6) = Self.addresses(number)
        try attach(host, to: self.host, ["\(ipv4)/24", "\(ipv6)/64"])
        try host.defaultRoutes([Self.addresses(1).ipv4, Self.addresses(1).ipv6])
        try host.resolvers(
            "nameserver \(Self.resolver.ipv4)\nnameserver \(Self.resolver.ipv6)\n"
        )
        return host
    }

    /// A wire between `host` and the bridge of `hub`, as the plan says.
    func attach(_ host: LabHost, to hub: LabHost, _ addresses: [String]) throws {
        try network.attach(
            host,
            to: hub,
            addresses: addresses,
            line: plan.lines[host.title],
            delayWords: delayWords
        )
    }

    /// The public resolver on its host: it knows the portal, and `records` besides.
    static func serveNames(on host: LabHost, records: [String] = []) throws {
        try Servers.unbound(
            on: host,
            listening: [resolver.ipv4, resolver.ipv6],
            records: [
                "portal.example. 60 IN A \(portal.ipv4)",
                "portal.example. 60 IN AAAA \(portal.ipv6)",
            ] + records
        )
    }
}
