internal import Control
internal import Foundation
internal import Mustache
internal import NIOHTTP1
@testable internal import Portal
internal import Testing

/// The web admin, as a browser without scripts sees it.
@Suite struct WebTests {
    private static let password = "correct horse battery staple"

    /// A signed-in browser: its cookie.
    private struct Browser {
        let target: HTTPTarget
        let cookie: String

        func get(_ path: String) async throws -> HTTPAnswer {
            try await HTTPTester.send("GET", path, to: target, headers: ["cookie": cookie])
        }

        /// Sends a form with the key of the page that it is on.
        func submit(_ path: String, from page: String, _ fields: [String: String]) async throws
            -> HTTPAnswer
        {
            var fields = fields
            fields["formKey"] = try await get(page).field("formKey")
            return try await HTTPTester.send(
                "POST",
                path,
                to: target,
                headers: ["cookie": cookie, "content-type": "application/x-www-form-urlencoded"],
                body: HTTPTester.form(fields)
            )
        }
    }

    /// Sends a form of somebody who is not signed in.
    private func submit(
        _ path: String,
        _ fields: [String: String],
        to portal: PortalUnderTest
    ) async throws -> HTTPAnswer {
        let page = try await HTTPTester.send("GET", path, to: portal.tls)
        var fields = fields
        fields["formKey"] = page.field("formKey")
        let cookie = page.cookie("__Host-culvert-form") ?? ""
        return try await HTTPTester.send(
            "POST",
            path,
            to: portal.tls,
            headers: ["cookie": "__Host-culvert-form=\(cookie)"],
            body: HTTPTester.form(fields)
        )
    }

    private func link(of portal: PortalUnderTest) throws -> String {
        let link = try #require(portal.ready.firstLink)
        return String(link.dropFirst("https://localhost:8443".count))
    }

    private func signUp(_ portal: PortalUnderTest) async throws -> Browser {
        let answer = try await submit(
            try link(of: portal),
            ["email": "Root@example.com", "password": Self.password, "repeated": Self.password],
            to: portal
        )
        #expect(answer.status == 303, "\(answer.body)")
        let cookie = try #require(answer.cookie("__Host-culvert"))
        return Browser(target: portal.tls, cookie: "__Host-culvert=\(cookie)")
    }

    @Test func `the first administrator sets a password by a link that works once, and signs in`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let path = try link(of: portal)
            let short = try await submit(
                path,
                ["email": "root@example.com", "password": "short", "repeated": "other"],
                to: portal
            )
            #expect(short.status == 422)
            #expect(short.body.contains("12 are needed"))
            #expect(short.body.contains("not the same"))
            let browser = try await signUp(portal)
            #expect(try await browser.get("/").status == 200)
            #expect(try await HTTPTester.send("GET", path, to: portal.tls).status == 404)

            let wrong = try await submit(
                "/sign-in",
                ["email": "root@example.com", "password": "wrong"],
                to: portal
            )
            #expect(wrong.status == 401)
            let stranger = try await submit(
                "/sign-in",
                ["email": "eve@example.com", "password": Self.password],
                to: portal
            )
            #expect(stranger.status == 401)
            let right = try await submit(
                "/sign-in",
                ["email": "root@example.com", "password": Self.password, "next": "/resources"],
                to: portal
            )
            #expect(right.status == 303)
            #expect(right.headers["location"] == ["/resources"])
            let cookie = try #require(right.headers["set-cookie"].first)
            #expect(
                cookie.contains("HttpOnly") && cookie.contains("Secure")
                    && cookie.contains("SameSite")
            )
            let astray = try await submit(
                "/sign-in",
                ["email": "root@example.com", "password": Self.password, "next": "//evil.example"],
                to: portal
            )
            #expect(astray.headers["location"] == ["/"])
        }
    }

    @Test func `guessing is slowed down`() async throws {
        try await PortalUnderTest.run { portal in
            var last = 0
            for _ in 0..<7 where last != 429 {
                last = try await submit(
                    "/sign-in",
                    ["email": "a@b.c", "password": "x"],
                    to: portal
                ).status
            }
            #expect(last == 429)
        }
    }

    @Test func `who is not signed in sees nothing, and no form is taken from elsewhere`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            for path in [
                "/", "/resources", "/policies", "/clients", "/activity", "/tokens", "/people",
                "/relays",
            ] {
                let answer = try await HTTPTester.send("GET", path, to: portal.tls)
                #expect(answer.status == 303)
                #expect(answer.headers["location"].first?.hasPrefix("/sign-in?next=") == true)
            }
            let browser = try await signUp(portal)
            let forged = try await HTTPTester.send(
                "POST",
                "/sites",
                to: portal.tls,
                headers: ["cookie": browser.cookie],
                body: "name=x"
            )
            #expect(forged.status == 403)
            let out = try await browser.submit("/sign-out", from: "/", [:])
            #expect(out.status == 303)
            #expect(try await browser.get("/").status == 303)
        }
    }

    @Test func `a resource is made, shown, changed and deleted, with faults next to their fields`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let browser = try await signUp(portal)
            let bad = try await browser.submit(
                "/resources/new",
                from: "/resources/new",
                ["name": "Wiki", "address": "10.0.0.1/8", "site": "headquarters", "family": "both"]
            )
            #expect(bad.status == 422)
            #expect(bad.body.contains("write 10.0.0.0/8"))
            let fields = [
                "name": "<b>Wiki</b>", "address": "wiki.example.com", "site": "headquarters",
                "allow": "tcp/443, icmp", "family": "ipv4",
            ]
            let made = try await browser.submit("/resources/new", from: "/resources/new", fields)
            #expect(made.status == 303, "\(made.body)")
            let list = try await browser.get("/resources?done=created")
            #expect(list.body.contains("&lt;b&gt;Wiki&lt;/b&gt;"))
            #expect(!list.body.contains("<b>Wiki"))
            #expect(list.body.contains("Created."))
            let path = "/resources/\(try await portal.resource("<b>Wiki</b>"))"
            let page = try await browser.get(path)
            #expect(page.body.contains("value=\"tcp/443, icmp\""))
            var changed = fields
            changed["name"] = "Wiki"
            #expect(try await browser.submit(path, from: path, changed).status == 303)
            #expect(try await browser.get("\(path)/delete").body.contains("Delete Wiki?"))
            #expect(try await browser.submit("\(path)/delete", from: path, [:]).status == 303)
            #expect(try await browser.get(path).status == 404)
        }
    }

    @Test func `a policy is made with conditions, explained and deleted`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let browser = try await signUp(portal)
            let group = try await browser.submit(
                "/people/new",
                from: "/people/new",
                ["name": "Guests", "members": "bob@example.com\neve@example.com"]
            )
            #expect(group.status == 303, "\(group.body)")
            var fields = ["group": "Guests", "resource": "Git", "hours": "08:00-18:30"]
            let bad = try await browser.submit("/policies/new", from: "/policies/new", fields)
            #expect(bad.body.contains("Hours need a time zone"))
            fields["zone"] = "Europe/Amsterdam"
            let made = try await browser.submit("/policies/new", from: "/policies/new", fields)
            #expect(made.status == 303, "\(made.body)")
            #expect(try await browser.get("/policies").body.contains("Europe/Amsterdam"))
            let explained = try await browser.get(
                "/policies/explain?who=bob%40example.com&reach=git.example.com%3A443&at=2026-06-01T23:00:00Z"
            )
            #expect(explained.body.contains("denied"))
            let page: ItemsOf<PolicyRow> = try await portal.get("/api/v1/policies?q=guests")
                .decoded()
            let path = "/policies/\(try #require(page.items.first?.id))"
            #expect(try await browser.submit("\(path)/delete", from: path, [:]).status == 303)
            #expect(try await browser.get(path).status == 404)
        }
    }

    @Test func `every page is there, says what to do when empty, and carries a strict policy`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let browser = try await signUp(portal)
            let pages = [
                ("/", "Getting started"), ("/resources", "First, a site"),
                ("/policies", "No policies yet"), ("/sites", "No sites yet"),
                ("/people", "No groups yet"), ("/clients", "No clients yet"),
                ("/relays", "No relays yet"),
                ("/tokens", "New token"), ("/activity", "Nothing has happened yet"),
                ("/activity/changes", "set a password"),
                ("/policies/explain", "Explain a decision"), ("/people/new", "New group"),
            ]
            for (path, text) in pages {
                let answer = try await browser.get(path)
                #expect(answer.status == 200, "\(path)")
                #expect(answer.body.contains(text), "\(path): \(answer.body)")
                #expect(!answer.body.contains("{{"))
                #expect(!answer.body.contains("<script") && !answer.body.contains("style="))
                let policy = answer.headers["content-security-policy"].first ?? ""
                #expect(policy.contains("default-src 'none'"))
                #expect(answer.headers["cache-control"] == ["no-store"])
            }
            #expect(try await browser.get("/nothing").status == 404)
            #expect(
                try await browser.get("/assets/portal.css").body.contains("prefers-color-scheme")
            )
        }
    }

    @Test func `relays are listed with their state, and the overview says when there is none`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            _ = try await portal.gateway()
            let browser = try await signUp(portal)
            #expect(try await browser.get("/").body.contains("There is no relay"))
            let relay = try await portal.relay("<ams>", region: "eu")
            try await relay.tester.say(.relayReport(FromRole.RelayReport(allocations: 17)))
            let fine = try await browser.get("/").body
            #expect(!fine.contains("There is no relay") && fine.contains("of 1 relays online"))
            let page = try await browser.get("/relays").body
            for text in ["&lt;ams&gt;", "online", "eu", "udp 203.0.113.20:3478", "17"] {
                #expect(page.contains(text), "\(text)")
            }
            #expect(!page.contains(relay.welcome.secrets[0]))
            #expect(try await browser.get("/relays?q=nowhere").body.contains("Nothing found"))
            try await relay.tester.leave(code: 1001)
            _ = try await relay.tester.closing()
            #expect(try await browser.get("/").body.contains("No relay can be reached"))
            #expect(try await browser.get("/relays").body.contains("offline"))
        }
    }

    @Test func `a policy that can let nobody in yet says so where it was made`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let browser = try await signUp(portal)
            let fields = ["group": "Engineering", "resource": "Git", "countries": "NL"]
            let made = try await browser.submit("/policies/new", from: "/policies/new", fields)
            #expect(made.status == 303, "\(made.body)")
            let place = try #require(made.headers["location"].first)
            #expect(place.hasPrefix("/policies/") && place.hasSuffix("?done=created"))
            let page = try await browser.get(place).body
            #expect(page.contains("Take care: it asks for a country"))
            #expect(page.contains("Created."))
            let path = String(place.prefix { $0 != "?" })
            let cleared = try await browser.submit(
                path,
                from: path,
                ["group": "Engineering", "resource": "Git"]
            )
            #expect(cleared.headers["location"] == ["/policies?done=saved"])
            #expect(!(try await browser.get(path).body.contains("Take care")))
        }
    }

    @Test func `a token is shown once and revoked`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let browser = try await signUp(portal)
            let made = try await browser.submit(
                "/tokens",
                from: "/tokens",
                ["kind": "gateway", "name": "headquarters"]
            )
            #expect(made.body.contains("culvert_g"))
            let list = try await browser.get("/tokens")
            #expect(!list.body.contains("culvert_g"))
            let start = try #require(list.body.range(of: "/tokens/token-"))
            let path = String(list.body[start.lowerBound...].prefix { $0 != "\"" })
            #expect(try await browser.submit(path, from: "/tokens", [:]).status == 303)
            #expect(try await browser.get("/tokens").body.contains("revoked"))
        }
    }

    @Test func `every template can be read`() {
        for name in Templates.names {
            #expect(Templates.library.getTemplate(named: name) != nil, "\(name)")
        }
    }

    @Test func `a list stays quick with many rows`() async throws {
        let rows = (0..<100_000).map { number in
            PolicyRow(
                id: "\(number)",
                group: "group \(number % 977)",
                resource: "r\(number)",
                conditions: []
            )
        }
        let found = ListQuery(text: "GROUP r1234", sort: "-resource").apply(to: rows)
        #expect(found.first?.resource == "r12349")
        #expect(found.count == 11)
    }
}
