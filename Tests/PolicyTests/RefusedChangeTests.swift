import Control
import IP
import Policy
import Testing

@Suite("Changes that are refused")
struct RefusedChangeTests {
    struct Refused: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let change: Change
        let field: String
        let problem: ChangeError.Problem

        init(
            _ description: String,
            _ change: Change,
            _ field: String,
            _ problem: ChangeError.Problem
        ) {
            (testDescription, self.change) = (description, change)
            (self.field, self.problem) = (field, problem)
        }
    }

    static func relayAddresses(_ count: Int) -> [RelayAddress] {
        (1...count).compactMap { RelayAddress("192.0.2.\($0)", over: .udp) }
    }

    static func policy(_ change: (inout Conditions) -> Void) -> Change {
        var conditions = Conditions()
        change(&conditions)
        return .upsertPolicy(.init(id: "q", group: "eng", resource: "git", conditions: conditions))
    }

    static func resource(
        _ address: ResourceAddress,
        alias: String? = nil,
        family: ServedFamilies = .both,
        site: SiteID = "hq"
    ) -> Change {
        .upsertResource(
            .init(id: "r", name: "R", address: address, alias: alias, family: family, site: site)
        )
    }

    static func prefix(_ text: String) -> ResourceAddress {
        .prefix(IPPrefix(text) ?? IPPrefix(host: IPAddress(ipv4: 0)))
    }

    static let refused: [Refused] = [
        Refused(
            "a name that is taken, in another case",
            .upsertSite(.init(id: "x", name: "HEADQUARTERS")),
            "name",
            .nameTaken("HEADQUARTERS")
        ),
        Refused("a name of spaces", .upsertSite(.init(id: "x", name: "  ")), "name", .missing),
        Refused(
            "a name that is too long",
            .account(name: String(repeating: "x", count: 101)),
            "name",
            .tooLong(countMax: 100)
        ),
        Refused("a site in use", .removeSite("hq"), "id", .inUse(by: "resource", names: ["Git"])),
        Refused(
            "a site that is not there",
            .removeSite("x"),
            "id",
            .unknown(kind: "site", id: "x")
        ),
        Refused(
            "a resource in use",
            .removeResource("git"),
            "id",
            .inUse(by: "policy", names: ["Engineering → Git"])
        ),
        Refused(
            "a group in use",
            .removeGroup("eng"),
            "id",
            .inUse(by: "policy", names: ["Engineering → Git"])
        ),
        Refused(
            "a provider in use",
            .removeProvider("corporate"),
            "id",
            .inUse(by: "policy", names: ["Engineering → Git"])
        ),
        Refused(
            "a member that is not there",
            .addMember(group: "eng", actor: "x"),
            "member",
            .unknown(kind: "actor", id: "x")
        ),
        Refused(
            "a group with a member that is not there",
            .upsertGroup(.init(id: "g", name: "G", members: ["x"])),
            "members",
            .unknown(kind: "actor", id: "x")
        ),
        Refused(
            "a person without an e-mail address",
            .upsertActor(.init(id: "x", name: "bob")),
            "name",
            .badEmail("bob")
        ),
        Refused(
            "a resource in no site",
            resource(.name("a.example"), site: "x"),
            "site",
            .unknown(kind: "site", id: "x")
        ),
        Refused(
            "a pattern that cannot be read",
            resource(.name("a..example")),
            "address",
            .badAddress(
                .badPattern(
                    position: 3,
                    reason: "two dots in a row, or a dot at the start"
                )
            )
        ),
        Refused(
            "a pattern that covers the portal",
            resource(.name("*.example.com")),
            "address",
            .coversPortal(host: "portal.example.com")
        ),
        Refused(
            "the portal itself",
            resource(.name("portal.example.com")),
            "address",
            .coversPortal(host: "portal.example.com")
        ),
        Refused(
            "an alias that covers the portal",
            resource(.name("a.local"), alias: "portal.example.com"),
            "alias",
            .coversPortal(host: "portal.example.com")
        ),
        Refused(
            "an alias of another form",
            resource(.name("*.fritz.box"), alias: "wiki.example"),
            "alias",
            .aliasForm
        ),
        Refused(
            "an alias for a network",
            resource(prefix("10.0.0.0/8"), alias: "a.example"),
            "alias",
            .namesOnly
        ),
        Refused(
            "a family for a network",
            resource(prefix("10.0.0.0/8"), family: .ipv4),
            "family",
            .namesOnly
        ),
        Refused(
            "a network around the proxies",
            resource(prefix("100.64.0.0/10")),
            "address",
            .overlapsOwnRange(range: "100.64.0.0/11")
        ),
        Refused(
            "an address among the proxies",
            resource(prefix("100.96.0.9/32")),
            "address",
            .overlapsOwnRange(range: "100.96.0.0/11")
        ),
        Refused(
            "a client of nobody",
            .upsertClient(.init(id: "c", actor: "x", name: "c")),
            "actor",
            .unknown(kind: "actor", id: "x")
        ),
        Refused(
            "a client with a gateway's address",
            .upsertClient(
                .init(
                    id: "c",
                    actor: "ada",
                    name: "c",
                    tunnel: [DirectoryTests.address("100.64.0.1")]
                )
            ),
            "tunnel",
            .addressTaken("100.64.0.1")
        ),
        Refused(
            "a gateway with a client's address",
            .upsertGateway(
                .init(
                    id: "g",
                    name: "g",
                    site: "hq",
                    tunnel: [DirectoryTests.address("100.64.0.2")]
                )
            ),
            "tunnel",
            .addressTaken("100.64.0.2")
        ),
        Refused(
            "a client outside the tunnel's range",
            .upsertClient(
                .init(
                    id: "c",
                    actor: "ada",
                    name: "c",
                    tunnel: [DirectoryTests.address("10.0.0.1")]
                )
            ),
            "tunnel",
            .outsideTunnelRange("10.0.0.1")
        ),
        Refused(
            "a client with two IPv4 addresses",
            .upsertClient(
                .init(
                    id: "c",
                    actor: "ada",
                    name: "c",
                    tunnel: [
                        DirectoryTests.address("100.64.0.8"), DirectoryTests.address("100.64.0.9"),
                    ]
                )
            ),
            "tunnel",
            .twiceOneFamily
        ),
        Refused(
            "a country of three letters",
            policy { $0.countries = ["NLD"] },
            "conditions.countries",
            .badCountry("NLD")
        ),
        Refused(
            "a country in lower case",
            policy { $0.notCountries = ["nl"] },
            "conditions.countries",
            .badCountry("nl")
        ),
        Refused(
            "hours on no day",
            policy { $0.hours = Hours(zone: "UTC", days: []) },
            "conditions.hours",
            .neverTrue
        ),
        Refused(
            "a zone with a space",
            policy { $0.hours = Hours(zone: "Central Europe") },
            "conditions.hours.zone",
            .badZone("Central Europe")
        ),
        Refused(
            "a provider that is not there",
            policy { $0.providers = ["x"] },
            "conditions.providers",
            .unknown(kind: "provider", id: "x")
        ),
        Refused(
            "a policy without a group",
            .upsertPolicy(.init(id: "q", group: "x", resource: "git")),
            "group",
            .unknown(kind: "group", id: "x")
        ),
        Refused(
            "a provider without TLS",
            .upsertProvider(.init(id: "o", name: "o", issuer: "http://id", clientID: "c")),
            "issuer",
            .badURL("http://id")
        ),
        Refused(
            "a relay without an address",
            .upsertRelay(.init(id: "y", name: "y", secretFile: "/s")),
            "address",
            .missing
        ),
        Refused(
            "a relay whose secret lies nowhere in particular",
            .upsertRelay(
                .init(id: "y", name: "y", udp: relayAddresses(1), secretFile: "secret")
            ),
            "secretFile",
            .badPath("secret")
        ),
        Refused(
            "a relay with too many addresses",
            .upsertRelay(.init(id: "y", name: "y", udp: relayAddresses(9), secretFile: "/s")),
            "udp",
            .tooLong(countMax: 8)
        ),
        Refused(
            "a nameserver by name",
            .dns(DNSSettings(upstreams: ["dns.example"])),
            "upstreams",
            .badUpstream("dns.example")
        ),
        Refused(
            "a sentinel as a nameserver",
            .dns(DNSSettings(upstreams: ["100.100.111.1"])),
            "upstreams",
            .overlapsOwnRange(range: "100.100.111.0/24")
        ),
        Refused(
            "a zone without nameservers",
            .dns(DNSSettings(zones: [.init(name: "corp.example", upstreams: [])])),
            "zones",
            .missing
        ),
        Refused(
            "a zone twice",
            .dns(
                DNSSettings(zones: [
                    .init(name: "corp.example", upstreams: ["10.0.0.1"]),
                    .init(name: "Corp.example", upstreams: ["10.0.0.2"]),
                ])
            ),
            "zones",
            .nameTaken("Corp.example")
        ),
        Refused(
            "no proxies",
            .addresses(
                AddressPlan(
                    tunnel: AddressPlan.standard.tunnel,
                    proxies: [],
                    sentinels: AddressPlan.standard.sentinels
                )
            ),
            "proxies",
            .missing
        ),
        Refused(
            "proxies among the sentinels",
            .addresses(
                AddressPlan(
                    tunnel: AddressPlan.standard.tunnel,
                    proxies: [IPPrefix("100.100.111.0/24")].compactMap(\.self),
                    sentinels: [IPPrefix("100.100.0.0/16")].compactMap(\.self)
                )
            ),
            "sentinels",
            .overlapsOwnRange(range: "100.100.111.0/24")
        ),
        Refused(
            "proxies over tunnel addresses",
            .addresses(
                AddressPlan(
                    tunnel: AddressPlan.standard.tunnel,
                    proxies: AddressPlan.standard.tunnel,
                    sentinels: AddressPlan.standard.sentinels
                )
            ),
            "tunnel",
            .overlapsOwnRange(range: "100.64.0.0/11")
        ),
    ]

    @Test("is refused", arguments: refused)
    func isRefused(_ row: Refused) throws {
        var directory = try DirectoryTests.example()
        let before = directory
        let expected = ChangeError(field: row.field, row.problem)
        #expect(throws: expected) { try directory.apply(row.change) }
        #expect(directory == before)
        #expect(expected.sentence.hasSuffix("."))
        #expect(expected.sentence.count > 20)
    }
}
