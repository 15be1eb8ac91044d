import Control
import IP
import Policy
import Testing

@Suite("Changes of a directory")
struct DirectoryTests {
    /// A small account: a site with a gateway, a resource, a group with one person and her client,
    /// a provider, a policy.
    static func example() throws -> Directory {
        var directory = Directory(portal: PortalURL("https://portal.example.com:8443"))
        var conditions = Conditions()
        conditions.providers = ["corporate"]
        try directory.apply(contentsOf: [
            .upsertSite(.init(id: "hq", name: "Headquarters")),
            .upsertGateway(
                .init(id: "gw", name: "gw-1", site: "hq", tunnel: [address("100.64.0.1")])
            ),
            .upsertProvider(
                .init(
                    id: "corporate",
                    name: "corporate",
                    issuer: "https://id.example.com",
                    clientID: "culvert"
                )
            ),
            .upsertActor(.init(id: "ada", name: "ada@example.com")),
            .upsertClient(
                .init(id: "laptop", actor: "ada", name: "laptop", tunnel: [address("100.64.0.2")])
            ),
            .upsertGroup(.init(id: "eng", name: "Engineering", members: ["ada"])),
            .upsertResource(
                .init(id: "git", name: "Git", address: .name("git.example.com"), site: "hq")
            ),
            .upsertPolicy(.init(id: "p", group: "eng", resource: "git", conditions: conditions)),
        ])
        return directory
    }

    static func address(_ text: String) -> IPAddress {
        IPAddress(text) ?? IPAddress(ipv4: 0)
    }

    @Test("all of several changes are made, or none")
    func transaction() throws {
        var directory = try Self.example()
        let before = directory
        #expect(throws: ChangeError.self) {
            try directory.apply(contentsOf: [
                .upsertSite(.init(id: "b", name: "Berlin")), .removeSite("hq"),
            ])
        }
        #expect(directory == before)
    }

    @Test("what several changes touch of the same clients is one area, however many there are")
    func area() throws {
        var directory = try Self.example()
        let names = (0..<50).map { "r\($0)" }
        try directory.apply(
            contentsOf: names.flatMap { name -> [Change] in
                let address = ResourceAddress.name("\(name).example.com")
                return [
                    .upsertResource(
                        .init(id: .init(name), name: name, address: address, site: "hq")
                    ),
                    .upsertPolicy(.init(id: .init(name), group: "eng", resource: .init(name))),
                ]
            }
        )
        let scope = try directory.apply(contentsOf: names.map { .removePolicy(.init($0)) })
        #expect(scope.areas.count == 1)
        #expect(names.allSatisfy { scope.touches("laptop", .init($0)) })
        #expect(!scope.touches("laptop", "git"))
        #expect(!scope.touches("desktop", "r1"))
    }

    @Test("an actor who goes takes memberships, clients and addresses along")
    func removeActor() throws {
        var directory = try Self.example()
        let scope = try directory.apply(.removeActor("ada"))
        #expect(scope.touches("laptop", "git"))
        #expect(directory.groups["eng"]?.members == [])
        #expect(directory.clients.count == 0)
        try directory.apply(.upsertActor(.init(id: "bob", name: "bob@example.com")))
        #expect(directory.groups(of: "bob") == [])
        try directory.apply(
            .upsertClient(
                .init(id: "c", actor: "bob", name: "c", tunnel: [Self.address("100.64.0.2")])
            )
        )
        #expect(directory.resources(for: ClientID("c")) == [])
    }

    @Test("an address that is given back can be given again")
    func addresses() throws {
        var directory = try Self.example()
        var laptop = try #require(directory.clients["laptop"])
        laptop.tunnel = [Self.address("100.64.0.3")]
        try directory.apply(.upsertClient(laptop))
        try directory.apply(.upsertClient(laptop))
        try directory.apply(
            .upsertGateway(
                .init(id: "g", name: "g", site: "hq", tunnel: [Self.address("100.64.0.2")])
            )
        )
    }

    @Test("other ranges free the standard ones for resources, and are refused over resources")
    func ranges() throws {
        var directory = try Self.example()
        let plan = AddressPlan(
            tunnel: [try read("172.16.0.0/16")],
            proxies: [try read("172.20.0.0/16")],
            sentinels: [try read("172.20.255.0/24")]
        )
        try directory.apply(.addresses(plan))
        try directory.apply(RefusedChangeTests.resource(RefusedChangeTests.prefix("100.64.0.0/10")))
        #expect(
            throws: ChangeError(field: "addresses", .overlapsResource(name: "R"))
        ) { try directory.apply(.addresses(.standard)) }
    }

    @Test("a change that changes nothing touches nobody")
    func noChange() throws {
        var directory = try Self.example()
        for change in directory.snapshot {
            #expect(try directory.apply(change).isEmpty)
        }
        #expect(try directory.apply(.addMember(group: "eng", actor: "ada")).isEmpty)
    }

    @Test("a snapshot makes the same directory")
    func snapshot() throws {
        let directory = try Self.example()
        var copy = Directory(portal: directory.portal)
        try copy.apply(contentsOf: directory.snapshot)
        #expect(copy == directory)
    }

    @Test("the zones that policies name are told, each once")
    func zones() throws {
        var directory = try Self.example()
        for (number, zone) in ["Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"].enumerated() {
            var conditions = Conditions()
            conditions.hours = Hours(zone: zone)
            try directory.apply(
                .upsertPolicy(
                    .init(
                        id: PolicyID("z\(number)"),
                        group: "eng",
                        resource: "git",
                        conditions: conditions
                    )
                )
            )
        }
        #expect(directory.zoneNames == ["Asia/Tokyo", "Europe/Berlin"])
    }
}
