import Policy
import Testing

@Suite("What is wrong with a configuration file")
struct ConfigurationErrorTests {
    struct Wrong: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let text: String
        let place: String
        let sentence: String
    }

    static let wrong = [
        Wrong(
            testDescription: "an unknown section",
            text: "account: A\nsights: []",
            place: "line 2, column 1",
            sentence: "“sights” is not known here; known are"
        ),
        Wrong(
            testDescription: "a key with a letter missing",
            text:
                "resources:\n  - name: r\n    adress: r\n    address: r.example\n    site: s",
            place: "line 3, column 5",
            sentence: "“adress” is not known here; did you mean “address”?"
        ),
        Wrong(
            testDescription: "a missing key",
            text: "resources:\n  - name: r\n    site: s",
            place: "line 2, column 5",
            sentence: "“address” is missing here."
        ),
        Wrong(
            testDescription: "a word in place of a list",
            text: "sites: hq",
            place: "line 1, column 8",
            sentence: "“sites” must be a list, not a word."
        ),
        Wrong(
            testDescription: "a word in place of a section",
            text: "sites:\n  - hq",
            place: "line 2, column 5",
            sentence: "An element of “sites” must be a section of keys and values, not a word."
        ),
        Wrong(
            testDescription: "a key that stands twice",
            text: "account: A\naccount: B",
            place: "line 2, column 1",
            sentence: "“account” stands here twice; keep one."
        ),
        Wrong(
            testDescription: "a URL as an address",
            text: "resources:\n  - { name: r, site: s, address: https://r.example }",
            place: "line 2, column 6",
            sentence: "“https://r.example” is not an address;"
        ),
        Wrong(
            testDescription: "a network with host bits",
            text: "resources:\n  - name: r\n    site: s\n    address: 10.0.0.5/8",
            place: "line 4, column 14",
            sentence: "Bits behind the prefix are set; write 10.0.0.0/8."
        ),
        Wrong(
            testDescription: "a filter without ports",
            text:
                "resources:\n  - name: r\n    site: s\n    address: r.example\n    allow: [tcp/x]",
            place: "line 5, column 13",
            sentence: "“x” is not a port or a range of ports;"
        ),
        Wrong(
            testDescription: "a day that is none",
            text: """
                policies:
                  - group: g
                    resource: r
                    when:
                      hours:
                        zone: UTC
                        days: monday
                """,
            place: "line 7, column 15",
            sentence: "“monday” is not a day or range of days;"
        ),
        Wrong(
            testDescription: "yes in place of true",
            text: "policies:\n  - group: g\n    resource: r\n    when:\n      verified: yes",
            place: "line 5, column 17",
            sentence: "“yes” is not true or false."
        ),
        Wrong(
            testDescription: "a nameserver by name",
            text: "dns:\n  upstreams: [dns.example]",
            place: "line 2, column 15",
            sentence: "“dns.example” is not a nameserver;"
        ),
        Wrong(
            testDescription: "a test without an expectation",
            text: "tests:\n  - who: a@b.example\n    reach: r.example",
            place: "line 2, column 5",
            sentence: "“expect” is missing here."
        ),
        Wrong(
            testDescription: "a relay's address with a path",
            text:
                "relays:\n  - name: r\n    udp: turn.example/x\n    secret_file: /etc/secret",
            place: "line 3, column 10",
            sentence: "“turn.example/x” is not a relay's address; write such as"
        ),
        Wrong(
            testDescription: "a relay without an address",
            text: "relays:\n  - name: r\n    secret_file: /etc/secret",
            place: "line 2, column 5",
            sentence: "“address” is missing here."
        ),
        Wrong(
            testDescription: "a relay without a secret",
            text: "relays:\n  - name: r\n    address: turn.example",
            place: "line 2, column 5",
            sentence: "“secret_file” is missing here."
        ),
        Wrong(
            testDescription: "a relay with a port of its own and one for both",
            text: "relays:\n  - name: r\n    secret_file: /s\n    address: t.example\n"
                + "    udp: t.example:9",
            place: "line 2, column 5",
            sentence: "“address” stands for both “udp” and “tcp”; write it or them."
        ),
        Wrong(
            testDescription: "a list in place of a word",
            text: "account: [A, B]",
            place: "line 1, column 10",
            sentence: "“account” must be a word, not a list."
        ),
    ]

    @Test("what is wrong is told with its place", arguments: wrong)
    func isWrong(_ row: Wrong) throws {
        let error = try #require(throws: ConfigurationError.self) {
            try Configuration(NodeText.parse(row.text))
        }
        let problem = try #require(error.problems.first)
        #expect(problem.place.description == row.place)
        #expect(problem.sentence.hasPrefix(row.sentence), "\(problem.sentence)")
        #expect(error.problems.count == 1, "\(error.problems)")
    }

    @Test("all that is wrong is told at once, in the order of the file")
    func allAtOnce() throws {
        let text = "x: 1\nsites: a\ny: 2\nresources:\n  - name: r\n    family: ipv5"
        let error = try #require(throws: ConfigurationError.self) {
            try Configuration(NodeText.parse(text))
        }
        #expect(error.problems.map(\.place.line) == [1, 2, 3, 5, 5, 6])
    }

    @Test(
        "a plan that cannot be done says which part",
        arguments: [
            (
                "resources:\n  - { name: r, address: r.example, site: x }", "resource r",
                "There is no site “x”; add it, or name another."
            ),
            (
                "groups:\n  - name: g\n    members: [bob]", "group g",
                "“bob” is neither an e-mail address nor a service account."
            ),
            ("sites:\n  - name: a\n  - name: A", "site A", "It stands there twice."),
            (
                "policies:\n  - { group: g, resource: r }", "policy g → r",
                "There is no group “g”; add it, or name another."
            ),
            (
                "providers:\n  - { name: p, issuer: \"http://x\", client_id: c }", "provider p",
                "issuer: “http://x” is not a URL; write one that begins with https://."
            ),
        ]
    )
    func impossible(text: String, subject: String, sentence: String) throws {
        let error = try #require(throws: PlanError.self) { try ConfigurationTests.applied(text) }
        #expect(error.subject == subject)
        #expect(error.sentence == sentence)
    }
}
