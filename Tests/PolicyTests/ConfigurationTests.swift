import Control
import IP
import Policy
import SansIO
import Testing

@Suite("The configuration file")
struct ConfigurationTests {
    static let example = """
        account: Example
        sites:
          - name: headquarters
          - name: berlin
        resources:
          - name: Git
            address: git.example.com
            site: headquarters
            allow: [tcp/443, tcp/22, icmp]
            family: both
          - name: Berlin wiki
            address: wiki.fritz.box
            alias: wiki.berlin.example
            site: berlin
          - name: Chat
            address: "*.slack.com"
            site: headquarters
        groups:
          - name: Engineering
            members: [ada@example.com]
        policies:
          - group: Engineering
            resource: Git
            when:
              from: [203.0.113.0/24]
              countries: [NL, DE]
              hours: { zone: Europe/Amsterdam, days: mon-fri, times: ["08:00-18:30"] }
              providers: [corporate]
              verified: true
              client: { version: ">=1.1", os: [linux] }
        dns:
          upstreams: ["9.9.9.9", "tls://dns.example.net", "https://dns.example.net/dns-query"]
          zones: { corp.example.com: ["10.0.0.53"] }
          search: corp.example.com
        addresses:
          proxies: [100.96.0.0/11, "fd00:2021:1111:8000::/107"]
        providers:
          - name: corporate
            issuer: https://id.example.com
            client_id: culvert
            client_secret_file: /etc/culvert/oidc-secret
        relays:
          - name: amsterdam
            address: turn.example.com
            tls: turn.example.com:443
            region: eu
            secret_file: /etc/culvert/turn-secret
          - name: backup
            udp: ["192.0.2.30", "[2001:db8::30]:3479"]
            secret_file: /etc/culvert/turn-secret
        tests:
          - who: ada@example.com
            reach: git.example.com:443
            from: 203.0.113.9
            at: 2026-06-01T09:00:00+02:00
            expect: allow
        """

    static func applied(
        _ text: String,
        to directory: Directory = Directory()
    ) throws -> Directory {
        var (directory, random) = (directory, RandomSource(seed: 1))
        let plan = try directory.plan(to: Configuration(NodeText.parse(text)), using: &random)
        try directory.apply(contentsOf: plan.changes)
        return directory
    }

    @Test("the documented example is read, applied, exported and read again")
    func example() throws {
        let directory = try Self.applied(Self.example)
        #expect(directory.account == "Example")
        let git = try #require(directory.resources[named: "git"])
        #expect(git.filters.map(\.description) == ["tcp/443", "tcp/22", "icmp"])
        let policy = try #require(directory.policies(for: git.id).first)
        #expect(policy.conditions.hours?.description == "mon-fri 08:00-18:30 Europe/Amsterdam")
        #expect(policy.conditions.systems == ["linux"])
        #expect(policy.conditions.providers == directory.providers.map(\.id))
        let ada = try #require(directory.actors[named: "Ada@Example.com"])
        #expect(ada.kind == .person)
        #expect(directory.resources(for: ada.id).map(\.name) == ["Git"])
        #expect(directory.resources[named: "Berlin wiki"]?.pattern == "wiki.berlin.example")
        #expect(directory.dns.zones == [.init(name: "corp.example.com", upstreams: ["10.0.0.53"])])

        let relay = try #require(directory.relays[named: "Amsterdam"])
        #expect(relay.all.map(\.description) == ["turn.example.com:3478", "turn.example.com:443"])
        #expect(relay.udp == relay.tcp)
        #expect(relay.region == "eu")
        let backup = try #require(directory.relays[named: "backup"])
        #expect(backup.udp.map(\.description) == ["192.0.2.30:3478", "[2001:db8::30]:3479"])

        let exported = Configuration(exporting: directory)
        #expect(try Configuration(NodeText.parse(exported.node.yaml)) == exported)
    }

    @Test("a plan says what it does, and is empty once it is done")
    func plan() throws {
        var directory = try Self.applied(Self.example)
        var random = RandomSource(seed: 2)
        let same = try Configuration(NodeText.parse(Self.example))
        #expect(try directory.plan(to: same, using: &random).isEmpty)

        let changed = Self.example
            .replacing("members: [ada@example.com]", with: "members: [grace@example.com]")
            .replacing("allow: [tcp/443, tcp/22, icmp]", with: "allow: [tcp/443]")
            .replacing("verified: true", with: "verified: false")
            .replacing(
                "  - name: Chat\n    address: \"*.slack.com\"\n    site: headquarters\n",
                with: ""
            )
            .replacing("sites:\n", with: "sites:\n  - name: lab\n")
        let wanted = try Configuration(NodeText.parse(changed))
        let plan = try directory.plan(to: wanted, using: &random)
        #expect(
            plan.lines.map(\.description) == [
                "- resource Chat",
                "+ site lab",
                "+ person grace@example.com",
                "~ group Engineering: + grace@example.com",
                "~ group Engineering: - ada@example.com",
                "~ resource Git: allow tcp/443 tcp/22 icmp → tcp/443",
                "~ policy Engineering → Git: conditions",
            ]
        )
        try directory.apply(contentsOf: plan.changes)
        #expect(try directory.plan(to: wanted, using: &random).isEmpty)
    }

    @Test("what is accepted and not done yet is said with each plan, and changes nothing")
    func warnings() throws {
        let directory = try Self.applied(Self.example)
        var random = RandomSource(seed: 4)
        let plan = try directory.plan(
            to: Configuration(NodeText.parse(Self.example)),
            using: &random
        )
        #expect(plan.isEmpty)
        #expect(
            plan.warnings.map { String("\($0)".prefix { $0 != "," }) } == [
                "! policy Engineering → Git: it asks for a country",
                "! policy Engineering → Git: it asks for a sign-in through an identity provider",
            ]
        )
        let other = try Configuration(NodeText.parse("account: Example"))
        #expect(try directory.plan(to: other, using: &random).warnings.isEmpty)
    }

    @Test("a relay is changed in place, and goes with its line")
    func relays() throws {
        var directory = try Self.applied(Self.example)
        let id = directory.relays[named: "amsterdam"]?.id
        var random = RandomSource(seed: 5)
        let changed = Self.example.replacing("region: eu", with: "region: ams")
            .replacing("turn.example.com:443", with: "turn.example.com")
        let plan = try directory.plan(to: Configuration(NodeText.parse(changed)), using: &random)
        #expect(
            plan.lines.map(\.description) == [
                "~ relay amsterdam: tls turn.example.com:443 → turn.example.com:5349, "
                    + "region eu → ams"
            ]
        )
        let scope = try directory.apply(contentsOf: plan.changes)
        #expect(scope.hasNewRelays && scope.areas.isEmpty && !scope.isEmpty)
        #expect(directory.relays[named: "amsterdam"]?.id == id)
        let none = try Configuration(NodeText.parse("relays: []"))
        #expect(
            try directory.plan(to: none, using: &random).lines.map(\.description).sorted()
                == ["- relay amsterdam", "- relay backup"]
        )
    }

    @Test("a section that is absent is left alone; one that is empty leaves nothing")
    func absent() throws {
        let directory = try Self.applied(Self.example)
        let kept = try Self.applied("account: Example", to: directory)
        #expect(kept == directory)
        let emptied = try Self.applied("policies: []\nresources: []", to: directory)
        #expect(emptied.policies.count == 0)
        #expect(emptied.resources.count == 0)
        #expect(emptied.sites.count == 2)
        #expect(emptied.actors.count == 1)
    }

    @Test("several policies of one group and resource are told apart by what they say")
    func severalPolicies() throws {
        let start = """
            sites:
              - name: s
            resources:
              - { name: r, address: r.example, site: s }
            groups:
              - name: g
            policies:
              - { group: g, resource: r, when: { countries: [NL] } }
              - { group: g, resource: r, when: { countries: [DE] } }
              - { group: g, resource: r }
            """
        let directory = try Self.applied(start)
        var random = RandomSource(seed: 3)
        func lines(_ text: String) throws -> [String] {
            let wanted = try Configuration(NodeText.parse(text))
            return try directory.plan(to: wanted, using: &random).lines.map(\.description)
        }
        let policies = start.split(separator: "\n").suffix(3)
        let head = start.split(separator: "\n").dropLast(3)
        #expect(try lines((head + policies.reversed()).joined(separator: "\n")) == [])
        #expect(
            try lines((head + policies.dropFirst()).joined(separator: "\n"))
                == ["- policy g → r"]
        )
        #expect(
            try lines(start.replacing("[DE]", with: "[FR]")) == ["~ policy g → r: conditions"]
        )
    }

    @Test("several files are one, but a section that is no list may stand in one of them only")
    func files() throws {
        func node(_ text: String, _ file: String) -> Node {
            let node = NodeText.parse(text)
            return Node(node.content, at: Node.Place(file: file, line: 1, column: 1))
        }
        let both = try Configuration(documents: [
            node("account: A\nsites:\n  - name: a", "a.yaml"),
            node("sites:\n  - name: b", "b.yaml"),
        ])
        #expect(both.sites?.map(\.name) == ["a", "b"])
        #expect(both.resources == nil)
        let error = try #require(throws: ConfigurationError.self) {
            try Configuration(documents: [
                node("account: A", "a.yaml"), node("account: B", "b.yaml"),
            ])
        }
        #expect(error.problems.map(\.place.description) == ["b.yaml:1:1"])
    }

    @Test("a site that something still needs is not removed")
    func siteInUse() throws {
        let directory = try Self.applied(Self.example)
        let error = try #require(throws: PlanError.self) {
            try Self.applied("sites: []", to: directory)
        }
        #expect(error.sentence.contains("still need it"))
    }

    @Test(
        "what is left out while something needs it is told with its place, names and a way out",
        arguments: [
            (
                "a policy of the file needs the resource",
                """
                sites: [{ name: hq }]
                resources: []
                groups: [{ name: G }]
                policies:
                  - group: G
                    resource: R
                """,
                "line 6, column 15", "policy G → R",
                "The file leaves out the resource “R”, which this needs; put it back, or take "
                    + "this out too."
            ),
            (
                "a policy of the portal needs the resource",
                """
                sites: [{ name: hq }]
                resources:
                  - { name: S, address: s.example, site: hq }
                """,
                "line 3, column 3", "resource R",
                "“resources” leaves it out here, and the policy “G → R” still needs it; put it "
                    + "back, or let the file say under “policies” what is to stay."
            ),
            (
                "a policy of the portal needs the group",
                "groups: []", "line 1, column 9", "group G",
                "“groups” leaves it out here, and the policy “G → R” still needs it; put it "
                    + "back, or let the file say under “policies” what is to stay."
            ),
            (
                "a policy of the file needs hours in a zone",
                """
                policies:
                  - group: G
                    resource: R
                    when:
                      hours: { zone: Nowhere in particular }
                """,
                "line 5, column 7", "policy G → R",
                "when.hours.zone: “Nowhere in particular” is not a time zone; write one such as "
                    + "Europe/Amsterdam."
            ),
        ]
    )
    func places(_: String, text: String, place: String, subject: String, sentence: String) throws {
        let directory = try Self.applied(
            """
            sites: [{ name: hq }]
            resources: [{ name: R, address: r.example, site: hq }]
            groups: [{ name: G }]
            policies: [{ group: G, resource: R }]
            """
        )
        var random = RandomSource(seed: 1)
        let wanted = try Configuration(NodeText.parse(text))
        let error = try #require(throws: PlanError.self) {
            try directory.plan(to: wanted, using: &random)
        }
        #expect(error.place?.description == place)
        #expect(error.subject == subject)
        #expect(error.sentence == sentence)
    }

    @Test("four users of a kind are named, more are counted")
    func users() {
        func sentence(_ names: [String]) -> String {
            ChangeError(field: "id", .inUse(by: "policy", names: names)).sentence
        }
        #expect(
            sentence(["a"]) == "It is still used by the policy “a”; remove that first."
        )
        #expect(
            sentence(["a", "b"])
                == "It is still used by the policies “a” and “b”; remove those first."
        )
        #expect(
            sentence(["a", "b", "c", "d", "e"])
                == "It is still used by the policies “a”, “b”, “c” and 2 more; remove those first."
        )
    }

    @Test("words that YAML could take for something else are quoted")
    func yaml() {
        func scalar(_ word: String) -> String {
            String(Node(.map([.init(key: "k", value: Node(.scalar(word)))])).yaml.dropLast())
        }
        #expect(scalar("plain word") == "k: plain word")
        #expect(scalar("git.example.com") == "k: git.example.com")
        for word in [
            "", "true-ish: x", "1.10", "08:00", "no", "*.x", "a # b", "- a", "@a", "~", " a", "é",
            "::",
        ] {
            #expect(scalar(word) == "k: \"\(word)\"")
        }
        #expect(scalar("a\"b\\c\nd\u{1}\u{85}") == #"k: "a\"b\\c\nd\x01\x85""#)
    }

    @Test("the export is written like this")
    func golden() throws {
        let directory = try Self.applied(
            """
            account: Example
            sites:
              - name: hq
            resources:
              - { name: Git, address: "*.git.example", site: hq, allow: [tcp/443] }
            groups:
              - name: g
            policies:
              - { group: g, resource: Git, when: { verified: true, hours: { zone: UTC } } }
            dns: { zones: { corp.example: ["10.0.0.53"] } }
            """
        )
        let text = Configuration(exporting: directory).node.yaml
        #expect(
            text == """
                account: Example
                sites:
                  - name: hq
                resources:
                  - name: Git
                    address: "*.git.example"
                    site: hq
                    allow: [tcp/443]
                groups:
                  - name: g
                    members: []
                policies:
                  - group: g
                    resource: Git
                    when:
                      hours:
                        zone: UTC
                      verified: true
                dns:
                  upstreams: []
                  zones:
                    corp.example: ["10.0.0.53"]
                addresses:
                  tunnel: ["100.64.0.0/11", "fd00:2021:1111::/107"]
                  proxies: ["100.96.0.0/11", "fd00:2021:1111:8000::/107"]
                  sentinels: ["100.100.111.0/24", "fd00:2021:1111:8000:100:100:111:0/120"]
                providers: []
                relays: []
                tests: []

                """
        )
    }
}
