/// Portal, gateway and client on one wire, and a site behind the gateway: the shortest way that
/// packets can take, for what is measured at full speed.
///
///     portal ── gateway ── site
///        └───── ada
struct OneWire {
    /// Where the site's server is.
    static let server = "10.20.0.80"
    private static let portalAddress = "203.0.113.10"

    let network: Network
    let roles: Roles
    let portal: LabHost
    let gateway: LabHost
    let ada: LabHost
    let site: LabHost
    /// Ada's.
    let client: Running

    /// Makes the network and starts the roles; ada's client is connected.
    ///
    /// - Parameters:
    ///   - name: The network's name.
    ///   - executable: Path of `culvert`.
    ///   - records: What the name server knows besides the portal, as lines of a zone.
    ///   - siteAddresses: Of the site's server, besides ``server``.
    ///   - configuration: The portal's; the gateway's site is `headquarters`.
    /// - Throws: ``LabError`` when something does not come up; nothing is left then.
    init(
        name: String,
        executable: String,
        records: [String] = [],
        siteAddresses: [String] = [],
        configuration: String
    ) throws {
        network = try Network(name: name)
        roles = Roles(executable: executable)
        do {
            portal = try network.host("portal")
            try portal.bridge(addresses: ["\(Self.portalAddress)/24"])
            gateway = try Self.host("gateway", 20, network, portal)
            ada = try Self.host("ada", 40, network, portal)
            site = try network.host("site")
            try site.bridge(addresses: ["\(Self.server)/24"] + siteAddresses)
            try network.attach(
                gateway,
                to: site,
                as: "eth1",
                addresses: ["10.20.0.1/24", "fd20::1/64"]
            )
            _ = try Servers.unbound(
                on: portal,
                listening: [Self.portalAddress],
                records: ["portal.example. 60 IN A \(Self.portalAddress)"] + records
            )
            _ = try roles.portal(on: portal)
            try roles.apply(configuration, portal: portal)
            _ = try roles.gateway(on: gateway, site: "headquarters", portal: portal)
            client = try roles.client(on: ada, email: "ada@example.com", portal: portal)
        } catch {
            network.remove()
            throw error
        }
    }

    func remove() { network.remove() }

    /// Another host on the wire, with the address 203.0.113.`number`.
    func host(_ title: String, _ number: Int) throws -> LabHost {
        try Self.host(title, number, network, portal)
    }

    private static func host(
        _ title: String,
        _ number: Int,
        _ network: Network,
        _ hub: LabHost
    ) throws -> LabHost {
        let host = try network.host(title)
        try network.attach(host, to: hub, addresses: ["203.0.113.\(number)/24"])
        try host.resolvers("nameserver \(portalAddress)\n")
        return host
    }
}
