internal import Foundation
internal import Synchronization

/// A network for names: two sites with name servers of their own, and on the internet two public
/// resolvers that write down every query.
///
///     ada ── home ── internet ─┬─ dns1, dns2 (unbound: UDP, TCP, TLS, HTTPS)
///                              ├─ public     (nsd: public zones; web server)
///                              ├─ portal
///                              ├─ gateway1 ── site1 (nsd: corp.example, fritz.box; web server)
///                              └─ gateway2 ── site2 (nsd: fritz.box; web server)
///
/// Both sites have the network 192.168.178.0/24 and a server wiki.fritz.box in it.
public final class DNSNetwork: Sendable {
    /// A public resolver.
    struct Resolver: Sendable {
        let host: LabHost
        let ipv4: String
        let ipv6: String
        /// What its certificate stands for.
        let name: String
    }

    /// A site: its gateway's host, and the host of its servers.
    struct Site: Sendable {
        let name: String
        let gateway: LabHost
        let server: LabHost
    }

    let network: Network
    let portal: LabHost
    let resolvers: [Resolver]
    /// The host of the public zones.
    let publicServer: LabHost
    let ada: LabHost
    let sites: [Site]
    /// Asks the resolvers directly; not a member of any site, and no role runs on it.
    let outside: LabHost
    let authority: LabAuthority
    private let more: String
    private let processes = Mutex<[String: Running]>([:])

    /// Where the public zones' names point to.
    static let publicAddress = Internet.addresses(55)
    /// The servers of the first site.
    static let siteAddress = "10.20.0.80"
    /// The server of that address is in both sites.
    static let wikiAddress = "192.168.178.80"

    /// Makes the hosts and starts the stock servers; no role of ours runs yet.
    ///
    /// - Parameter name: The network's name, in its namespaces' names.
    /// - Throws: ``LabError`` when a host or a server does not come up.
    init(name: String) throws {
        network = try Network(name: name)
        do {
            let internet = try Internet(of: network, localNetworks: [(1, 66)])
            outside = internet.host
            authority = try LabAuthority(on: outside)
            portal = try internet.host("portal", 10)
            publicServer = try internet.host("public", 55)
            resolvers = try (1...2).map { number in
                let (ipv4, ipv6) = Internet.addresses(52 + number)
                return Resolver(
                    host: try internet.host("dns\(number)", 52 + number),
                    ipv4: ipv4,
                    ipv6: ipv6,
                    name: "dns\(number).dns.example"
                )
            }
            ada = try Self.laptop(network, internet)
            let network = network
            sites = try [("headquarters", 1), ("berlin", 2)].map { name, number in
                try Self.site(name, number, network, internet)
            }
            let anchors = try Self.startPublicServer(publicServer)
            more = Self.resolverWords(anchors)
            for site in sites { try Self.startServers(site) }
            for resolver in resolvers { _ = try start(resolver) }
        } catch {
            network.remove()
            throw error
        }
    }

    /// Takes everything away again.
    func remove() { network.remove() }

    /// Starts a resolver on its host.
    ///
    /// - Returns: Its process, whose output has a line for each query.
    /// - Throws: ``LabError`` when it does not start.
    func start(_ resolver: Resolver) throws -> Running {
        let (key, certificate) = try authority.issue(
            on: resolver.host,
            names: ["DNS:\(resolver.name)", "IP:\(resolver.ipv4)", "IP:\(resolver.ipv6)"]
        )
        let tls =
            "    tls-service-key: \"\(key)\"\n    tls-service-pem: \"\(certificate)\"\n"
            + "    http-endpoint: \"/dns-query\"\n"
        let process = try Servers.unbound(
            on: resolver.host,
            listening: [resolver.ipv4, resolver.ipv6].flatMap { [$0, "\($0)@853", "\($0)@443"] },
            records: [
                "portal.example. 60 IN A \(Internet.portal.ipv4)",
                "portal.example. 60 IN AAAA \(Internet.portal.ipv6)",
            ]
                + resolvers.flatMap {
                    ["\($0.name). 60 IN A \($0.ipv4)", "\($0.name). 60 IN AAAA \($0.ipv6)"]
                },
            modules: "validator iterator",
            more: tls + more
        )
        processes.withLock { $0[resolver.name] = process }
        return process
    }

    /// The resolvers' processes, in order.
    var running: [Running] {
        resolvers.compactMap { resolver in processes.withLock { $0[resolver.name] } }
    }

    /// The host with the client; its own resolvers are both public ones.
    private static func laptop(_ network: Network, _ internet: Internet) throws -> LabHost {
        let home = try internet.host("home", 66)
        try home.bridge(addresses: ["192.168.1.1/24", "2001:db8:1::1/64"])
        _ = try Router(home, wan: "eth0", lan: "br0", mapping: .preserving)
        let ada = try network.host("ada")
        let addresses = ["192.168.1.10/24", "2001:db8:1::10/64"]
        try network.attach(ada, to: home, addresses: addresses)
        try ada.defaultRoutes(["192.168.1.1", "2001:db8:1::1"])
        return ada
    }

    private static func site(
        _ name: String,
        _ number: Int,
        _ network: Network,
        _ internet: Internet
    ) throws -> Site {
        let server = try network.host("site\(number)")
        let first = number == 1
        try server.bridge(
            addresses: ["\(wikiAddress)/24"] + (first ? ["\(siteAddress)/24", "fd20::80/64"] : [])
        )
        let gateway = try internet.host("gateway\(number)", 19 + number)
        let inside = ["192.168.178.1/24"] + (first ? ["10.20.0.1/24", "fd20::1/64"] : [])
        try network.attach(gateway, to: server, as: "eth1", addresses: inside)
        // Its own name server only: what the public resolvers see comes from the client.
        try gateway.resolvers("nameserver \(wikiAddress)\n")
        return Site(name: name, gateway: gateway, server: server)
    }

    // MARK: - Servers

    private static func startServers(_ site: Site) throws {
        let (ipv4, ipv6) = Internet.portal
        var zones = [
            ("portal.example", Servers.zone("portal.example", ["@ A \(ipv4)", "@ AAAA \(ipv6)"])),
            (DNSZones.home, Servers.zone(DNSZones.home, ["wiki A \(wikiAddress)"])),
        ]
        var listening = [wikiAddress]
        var pages = ["berlin", "hamburg"].map {
            Servers.Site(name: "wiki.\($0).example", body: "The wiki in \(site.name).")
        }
        if site.name == "headquarters" {
            let records = DNSZones.records(ipv4: siteAddress, ipv6: "fd20::80")
            zones.append((DNSZones.corp, Servers.zone(DNSZones.corp, records)))
            let one = ["@ A \(siteAddress)", "@ TXT \"only inside\"", "@ MX 10 mail"]
            zones.append((DNSZones.secret, Servers.zone(DNSZones.secret, one)))
            listening += [siteAddress]
            pages.append(.init(name: "git.corp.example", body: "Hello from Git."))
        }
        _ = try Servers.nsd(on: site.server, listening: listening, zones: zones)
        _ = try Servers.nginx(on: site.server, sites: pages)
    }

    /// Serves the public zones.
    ///
    /// - Returns: The DS records that a validating resolver trusts.
    private static func startPublicServer(_ host: LabHost) throws -> [String] {
        let (ipv4, ipv6) = publicAddress
        let records = DNSZones.records(ipv4: ipv4, ipv6: ipv6)
        func unsigned(_ zone: String) -> String {
            Servers.zone(zone, records).replacing("$TTL 5\n", with: "$TTL 300\n")
        }
        let signed = try DNSZones.sign(DNSZones.signed, unsigned(DNSZones.signed), on: host)
        let bogus = try DNSZones.sign(DNSZones.bogus, unsigned(DNSZones.bogus), on: host)
        // What the resolvers are told to trust is the digest of no key that there is.
        let wrong = bogus.anchor.dropLast(8) + "00000000"
        _ = try Servers.nsd(
            on: host,
            listening: [ipv4, ipv6],
            zones: [
                (DNSZones.plain, unsigned(DNSZones.plain)), (DNSZones.signed, signed.text),
                (DNSZones.bogus, bogus.text),
            ]
        )
        _ = try Servers.nginx(
            on: host,
            sites: [.init(name: "www.\(DNSZones.plain)", body: "Hello from outside.")]
        )
        return [signed.anchor, String(wrong)]
    }

    private static func resolverWords(_ anchors: [String]) -> String {
        let zones = [DNSZones.plain, DNSZones.signed, DNSZones.bogus, DNSZones.refused]
        let trust = anchors.map { anchor in
            let words = anchor.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return "    trust-anchor: \"\(words)\""
        }
        let own = zones.map { "    local-zone: \"\($0)\" transparent" }
        let stubs = zones.map {
            "stub-zone:\n    name: \"\($0)\"\n    stub-addr: \(publicAddress.ipv4)"
        }
        let words = [
            "    max-udp-size: 1232", "    rrset-roundrobin: no", "    deny-any: yes",
            "    ede: yes", "    minimal-responses: yes",
        ]
        return (words + trust + own + stubs).joined(separator: "\n")
    }
}
