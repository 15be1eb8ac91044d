internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Policy

/// Who and what is in the world: the directory, names, addresses.
enum Plan {
    static let client: ClientID = "client-1"
    static let gateways: [GatewayID] = ["gateway-1", "gateway-2"]
    static let relays: [RelayID] = ["relay-1", "relay-2"]
    /// The host's own nameservers.
    static let hostResolvers = [address("9.9.9.9"), address("149.112.112.112")]
    /// What an admin may set in their place.
    static let adminResolvers = [address("8.8.8.8"), address("2620:fe::fe"), address("1.1.1.1")]
    static let publicResolvers = hostResolvers + adminResolvers
    static let actor: ActorID = "actor-1"
    static let staff: GroupID = "group-staff"
    static let site: SiteID = "site-1"
    /// A site that has no gateway.
    static let emptySite: SiteID = "site-2"
    /// Everything below the company's domain.
    static let intranet: ResourceID = "resource-1-intranet"
    /// One name below it, for verified clients.
    static let vault: ResourceID = "resource-2-vault"
    /// A service on the internet, of which one name is protected.
    static let service: ResourceID = "resource-3-service"
    /// The site's network.
    static let network: ResourceID = "resource-4-network"
    static let resources = [intranet, vault, service, network]

    static let clientTunnel = [address("100.64.0.7"), address("fd00:2021:1111::7")]
    static let gatewayTunnel = [
        [address("100.64.1.1"), address("fd00:2021:1111::101")],
        [address("100.64.1.2"), address("fd00:2021:1111::102")],
    ]
    /// The gateways' own addresses as resources see them.
    static let gatewayInside = [
        [address("10.20.0.1"), address("fd00:20::1")],
        [address("10.20.0.3"), address("fd00:20::3")],
    ]

    /// Two servers of the site with the same services, so that records can move.
    static let webAddresses = [
        [address("10.20.0.10"), address("fd00:20::10")],
        [address("10.20.0.11"), address("fd00:20::11")],
    ]
    static let serviceAddresses = [address("192.0.2.80"), address("2001:db8:80::80")]

    static let udpPorts: [UInt16] = [7, 5000]
    static let tcpPorts: [UInt16] = [80, 443]
    static let closedPort: UInt16 = 9

    static let web = name("web.corp.example")
    static let deepName = name("a.b.corp.example")
    static let onlyIPv4 = name("four.corp.example")
    static let missing = name("missing.corp.example")
    static let secret = name("vault.corp.example")
    static let protectedService = name("app.saas.example")
    /// On the same address as the protected one, not protected.
    static let neighbour = name("blog.saas.example")
    static let absent = name("nothing.saas.example")
    /// Each nameserver says its own address here.
    static let mirror = name("mirror.example")

    static let protectedNames = [web, deepName, onlyIPv4, missing, secret, protectedService]
    static let otherNames = [neighbour, absent, mirror]

    static func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

    static func name(_ text: String) -> Name { Name(text) ?? .root }

    static func records(_ addresses: [IPAddress]) -> [RecordData] {
        addresses.map { $0.isIPv4 ? .a($0) : .aaaa($0) }
    }

    /// What a name of the site has beside addresses: a little of it says whose it is.
    static func otherRecords(_ name: Name) -> [RecordData] {
        let own = Array(name.description.utf8)
        return [
            .txt([own]), .mx(preference: 10, name), .ns(name),
            .srv(priority: 1, weight: 2, port: 443, name),
            .caa(flags: 0, tag: Array("issue".utf8), value: own),
            // These would tell the real address: they must not come through.
            .https(priority: 1, target: .root, []), .svcb(priority: 1, target: .root, []),
        ]
    }

    /// The names that a resource is for, most of them; empty for networks.
    static func covers(_ resource: ResourceID, _ name: Name) -> Bool {
        switch resource {
        case intranet: name.isAtOrBelow(Plan.name("corp.example"))
        case vault: name == secret
        case service: name == protectedService
        default: false
        }
    }

    static func row(
        _ resource: ResourceID,
        filters: [Filter],
        at site: SiteID = site
    ) -> Directory.Resource {
        let addresses: [ResourceID: ResourceAddress] = [
            intranet: .name("*.corp.example"),
            vault: .name("vault.corp.example"),
            service: .name("app.saas.example"),
            network: IPPrefix("10.20.0.0/24").map { .prefix($0) } ?? .internet,
        ]
        return Directory.Resource(
            id: resource,
            name: resource.text,
            address: addresses[resource] ?? .internet,
            filters: filters,
            site: site
        )
    }

    static func policy(_ resource: ResourceID) -> Directory.Policy {
        var conditions = Conditions()
        conditions.verified = resource == vault
        return Directory.Policy(
            id: PolicyID("policy-" + resource.text),
            group: staff,
            resource: resource,
            conditions: conditions
        )
    }

    static func clientRow(isVerified: Bool) -> Directory.Client {
        Directory.Client(
            id: client,
            actor: actor,
            name: "laptop",
            device: Device(isVerified: isVerified),
            tunnel: clientTunnel
        )
    }

    /// The directory at the start.
    static func directory(
        absenceSeconds: UInt32,
        gatewayCount: Int
    ) -> (Directory, problem: String?) {
        var directory = Directory()
        var changes: [Change] = [
            .account(name: "Example"),
            .upsertActor(Directory.Actor(id: actor, name: "ada@example.com")),
            .upsertGroup(Directory.Group(id: staff, name: "Staff", members: [actor])),
            .upsertSite(Directory.Site(id: site, name: "Berlin", absenceSeconds: absenceSeconds)),
            .upsertSite(
                Directory.Site(id: emptySite, name: "Paris", absenceSeconds: absenceSeconds)
            ),
            .upsertClient(clientRow(isVerified: true)),
        ]
        for number in 0..<gatewayCount {
            let gateway = Directory.Gateway(
                id: gateways[number],
                name: "gate \(number + 1)",
                site: site,
                tunnel: gatewayTunnel[number]
            )
            changes.append(.upsertGateway(gateway))
        }
        for resource in resources {
            changes.append(.upsertResource(row(resource, filters: [])))
            changes.append(.upsertPolicy(policy(resource)))
        }
        do { _ = try directory.apply(contentsOf: changes) } catch {
            return (directory, error.sentence)
        }
        return (directory, nil)
    }
}
