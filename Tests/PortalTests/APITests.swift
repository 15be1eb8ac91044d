internal import Control
internal import Foundation
@testable internal import Portal
internal import Testing

/// The API, over the local socket and over TLS.
@Suite struct APITests {
    @Test func `what is accepted and not done yet is said with the plan each time`() async throws {
        try await PortalUnderTest.run { portal in
            let yaml =
                PortalUnderTest.example + "\n    when: { countries: [NL] }\n"
            for isNew in [true, false] {
                let outcome: ApplyOutcome = try await portal.apply(yaml).decoded()
                let warnings = outcome.plan.filter { $0.sign == "!" }
                #expect(warnings.map(\.subject) == ["policy Engineering → Lab"])
                #expect(warnings.first?.details.hasPrefix("it asks for a country") == true)
                #expect(outcome.applied == isNew)
                #expect((outcome.plan.count > 1) == isNew)
            }
        }
    }

    @Test func `applying what was exported changes nothing`() async throws {
        try await PortalUnderTest.run { portal in
            let first: ApplyOutcome = try await portal.apply(PortalUnderTest.example).decoded()
            #expect(first.applied)
            #expect(first.revision == 1)
            #expect(first.plan.contains { $0.sign == "+" && $0.subject == "resource Git" })
            let again: ApplyOutcome = try await portal.apply(PortalUnderTest.example).decoded()
            #expect(!again.applied)
            #expect(again.revision == 1)
            #expect(again.plan.isEmpty)
            let exported = try await portal.get("/api/v1/configuration")
            #expect(exported.body.contains("git.example.com"))
            let outcome: ApplyOutcome = try await portal.apply(exported.body).decoded()
            #expect(outcome.plan.isEmpty, "\(outcome.plan)")
            #expect(try await portal.get("/api/v1/configuration").body == exported.body)
        }
    }

    @Test func `a dry run says what would be done and does nothing`() async throws {
        try await PortalUnderTest.run { portal in
            let plan: ApplyOutcome = try await portal.apply(PortalUnderTest.example, dryRun: true)
                .decoded()
            #expect(!plan.applied)
            #expect(!plan.plan.isEmpty)
            let status: PortalStatus = try await portal.get("/api/v1/status").decoded()
            #expect(status.revision == 0)
            #expect(status.resources == 0)
        }
    }

    @Test(arguments: [
        ("sites:\n  - nam: x\n", 2, "nam"),
        ("sites: [\n", 2, "YAML"),
        ("resources:\n  - name: X\n    address: 10.0.0.1/8\n    site: s\n", 3, "10.0.0.0/8"),
    ])
    func `what is wrong in a file is told with its line`(text: String, line: Int, word: String)
        async throws
    {
        struct Wrong: Decodable { let problems: [APIError.Problem] }
        try await PortalUnderTest.run { portal in
            let answer = try await portal.apply(text)
            #expect(answer.status == 422)
            let wrong: Wrong = try answer.decoded()
            #expect(wrong.problems.contains { $0.line == line }, "\(answer.body)")
            #expect(answer.body.contains(word), "\(answer.body)")
        }
    }

    @Test func `several files are one transaction, and a failed policy test changes nothing`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            struct Files: Encodable { let files: [ConfigurationText.File] }
            let test = """
                tests:
                  - who: ada@example.com
                    reach: git.example.com:443
                    expect: deny
                """
            func send(_ expectation: String) async throws -> HTTPAnswer {
                let files = Files(files: [
                    .init(name: "main.yaml", text: PortalUnderTest.example),
                    .init(name: "tests.yaml", text: test.replacing("deny", with: expectation)),
                ])
                return try await HTTPTester.send(
                    "POST",
                    "/api/v1/configuration",
                    to: portal.socket,
                    headers: ["content-type": "application/json"],
                    body: String(decoding: try JSONEncoder().encode(files), as: UTF8.self)
                )
            }
            let refused = try await send("deny")
            #expect(refused.status == 422)
            #expect(refused.body.contains("ada@example.com"))
            #expect(try await portal.get("/api/v1/sites").body.contains("\"total\":0"))
            #expect(try await send("allow").status == 200)
        }
    }

    @Test func `a decision is explained for anybody, anywhere, at any time`() async throws {
        try await PortalUnderTest.run { portal in
            let hours =
                "\n    when: { hours: { zone: Europe/Amsterdam, days: mon-fri, times: [\"08:00-18:30\"] } }\n"
            try await portal.apply(PortalUnderTest.example + hours)
            func ask(_ query: String) async throws -> DecisionQuery.Answer {
                try await portal.get("/api/v1/decisions?\(query)").decoded()
            }
            let git = try await ask("who=ada@example.com&reach=git.example.com:443")
            #expect(git.allowed)
            #expect(git.group == "Engineering")
            #expect(git.site == "headquarters")
            let other = try await ask("who=ada@example.com&reach=git.example.com:22")
            #expect(!other.allowed)
            #expect(other.sentence.contains("tcp/22"))
            let day = try await ask(
                "who=ada@example.com&reach=10.7.0.1:80&at=2026-06-01T09:00:00%2B02:00"
            )
            #expect(day.allowed)
            #expect(day.until == "2026-06-01T16:30:00Z")
            let night = try await ask(
                "who=ada@example.com&reach=10.7.0.1:80&at=2026-06-01T23:00:00%2B02:00"
            )
            #expect(!night.allowed)
            #expect(!night.failed.isEmpty)
            let eve = try await ask("who=eve@example.com&reach=git.example.com:443")
            #expect(!eve.allowed)
            #expect(try await portal.get("/api/v1/decisions?who=x&reach=%20").status == 400)
        }
    }

    @Test func `over TLS the API opens to its own tokens and to nothing else`() async throws {
        try await PortalUnderTest.run { portal in
            let bare = try await HTTPTester.send("GET", "/api/v1/status", to: portal.tls)
            #expect(bare.status == 401)
            try await portal.apply(PortalUnderTest.example)
            let role = try await portal.token("client", "ada@example.com")
            let wrong = try await HTTPTester.send(
                "GET",
                "/api/v1/status",
                to: portal.tls,
                headers: ["authorization": "Bearer \(role.token)"]
            )
            #expect(wrong.status == 401)
            let token = try await portal.token("api", "automation")
            let right = try await HTTPTester.send(
                "GET",
                "/api/v1/status",
                to: portal.tls,
                headers: ["authorization": "Bearer \(token.token)"]
            )
            #expect(right.status == 200)
            let metrics = try await HTTPTester.send(
                "GET",
                "/metrics",
                to: portal.tls,
                headers: ["authorization": "Bearer \(token.token)"]
            )
            #expect(metrics.body.contains("culvert_portal_changes_total"))
            for path in ["/healthz", "/readyz"] {
                #expect(try await HTTPTester.send("GET", path, to: portal.tls).status == 200)
            }
            let listed = try await portal.get("/api/v1/tokens").body
            #expect(listed.contains(token.id))
            #expect(!listed.contains(token.token))
        }
    }

    @Test func `lists are searched, sorted and cut`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let all: ItemsOf<ResourceRow> = try await portal.get("/api/v1/resources?sort=-name")
                .decoded()
            #expect(all.items.map(\.name) == ["Lab", "Git"])
            let some: ItemsOf<ResourceRow> = try await portal.get("/api/v1/resources?q=10.7")
                .decoded()
            #expect(some.items.map(\.name) == ["Lab"])
            let part: ItemsOf<ResourceRow> = try await portal.get(
                "/api/v1/resources?sort=name&offset=1&limit=1"
            )
            .decoded()
            #expect(part.items.map(\.name) == ["Lab"])
            #expect(part.total == 2)
        }
    }

    @Test func `every change stands in the audit log with who and why`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let page: ItemsOf<ChangeRow> = try await portal.get("/api/v1/changes").decoded()
            #expect(page.items.map(\.revision) == [1])
            #expect(page.items.first?.who.hasPrefix("local user") == true)
            #expect(page.items.first?.summary.contains("headquarters") == true)
            let token = try await portal.token("api", "automation")
            let path = "/api/v1/tokens/\(token.id)"
            _ = try await HTTPTester.send("DELETE", path, to: portal.socket)
            let later: ItemsOf<ChangeRow> = try await portal.get("/api/v1/changes").decoded()
            #expect(
                later.items.map(\.summary).prefix(2) == [
                    "revoked the token (api) of automation", "made a token (api) for automation",
                ]
            )
        }
    }

    @Test func `who was let in stands in the activity`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let client = try await portal.client()
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            _ = try await client.client(\.denied)
            // Written behind, within 50 ms.
            for _ in 0..<100 {
                let page: ItemsOf<Activity> = try await portal.get("/api/v1/activity?q=ada")
                    .decoded()
                guard let first = page.items.first else { continue }
                #expect(first.resource == "Git")
                #expect(!first.isAllowed)
                return
            }
            Issue.record("no activity was written")
        }
    }
}
