internal import Control
internal import Foundation
internal import IP
@testable internal import Portal
internal import Testing

/// Connections: who is let in, who stays, what is said again.
@Suite struct SessionTests {
    @Test func `a wrong token is refused with a sentence and may be ended`() async throws {
        try await PortalUnderTest.run { portal in
            let url = try #require(PortalURL("https://localhost:8443"))
            let secret = Array(repeating: UInt8(7), count: 32)
            let unknown = try #require(
                Token(kind: .client, url: url, fingerprint: nil, secret: secret)
            )
            for text in [unknown.text, "culvert_cnonsense", ""] {
                let refused = await #expect(throws: RoleTester.Refused.self) {
                    _ = try await RoleTester.connect(port: portal.port, token: text)
                }
                #expect(refused?.status == 401)
                let refusal = try JSONDecoder().decode(
                    Control.Refusal.self,
                    from: Data((refused?.body ?? "").utf8)
                )
                #expect(refusal.kind == .signIn)
                #expect(!refusal.sentence.isEmpty)
            }
            let elsewhere = await #expect(throws: RoleTester.Refused.self) {
                _ = try await RoleTester.connect(
                    port: portal.port,
                    token: unknown.text,
                    path: "/other"
                )
            }
            #expect(elsewhere?.status == 404)
        }
    }

    @Test func `a revoked token ends its sessions and leases at once, and opens nothing`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let token = try await portal.token("client", "ada@example.com")
            let client = try await portal.client(token: token)
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let lease = try await client.client(\.authorized).lease.id
            let answer = try await HTTPTester.send(
                "DELETE",
                "/api/v1/tokens/\(token.id)",
                to: portal.socket
            )
            #expect(answer.status == 204)
            #expect(try await client.client(\.leaseEnded).lease == lease)
            #expect(try await client.client(\.refusal).kind == .signIn)
            _ = try await client.closing()
            #expect(try await gateway.gateway(\.revoke).leases == [lease])
            let refused = await #expect(throws: RoleTester.Refused.self) {
                _ = try await RoleTester.connect(port: portal.port, token: token.token)
            }
            #expect(refused?.status == 401)
        }
    }

    @Test func `a live older connection keeps the place, a silent one loses it`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("client", "ada@example.com")
            let older = try await portal.client(token: token)
            let first = try await older.client(\.welcome)
            let newer = try await portal.client(token: token)
            let refusal = try await newer.client(\.refusal)
            #expect(refusal.code == .connectedElsewhere)
            #expect(refusal.sentence.contains("127.0.0.1"))
            _ = try await newer.closing()

            older.fallSilent()
            let newest = try await portal.client(token: token)
            let second = try await newest.client(\.welcome)
            #expect(second.client == first.client)
            _ = try await older.closing()
        }
    }

    @Test func `a message too large, too deep or unreadable ends the session`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("client", "ada@example.com")
            let large = try await portal.client(name: "large", token: token)
            _ = try await large.client(\.welcome)
            try await large.say(text: String(repeating: "x", count: 1 << 20 + 1))
            #expect(try await large.closing() == 1009)
            let deep = try await portal.client(name: "deep", token: token)
            _ = try await deep.client(\.welcome)
            try await deep.say(
                text: String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
            )
            #expect(try await deep.client(\.refusal).code == .malformed)
            let wrong = try await portal.client(name: "wrong", token: token)
            _ = try await wrong.client(\.welcome)
            try await wrong.say(text: "{\"type\": \"authorize\", \"id\": 7}")
            let refusal = try await wrong.client(\.refusal)
            #expect(refusal.code == .malformed)
            #expect(refusal.kind == .mend)
            let unknown = try await portal.client(name: "unknown", token: token)
            _ = try await unknown.client(\.welcome)
            try await unknown.say(text: "{\"type\": \"of-a-later-version\", \"x\": 1}")
            try await unknown.say(.resync(FromRole.Resync(reason: "still here?")))
            _ = try await unknown.client(\.welcome)
        }
    }

    @Test func `a peer without a common version is told what to upgrade`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("client", "ada@example.com")
            let client = try await RoleTester.connect(port: portal.port, token: token.token)
            let old = ProtocolVersion(major: 0, minor: 9)
            try await client.hello(.client, name: "old", key: 1, versions: [old])
            let refusal = try await client.client(\.refusal)
            #expect(refusal.code == .versionMismatch)
            #expect(refusal.kind == .mend)
        }
    }

    @Test func `changes are numbered without gaps, and resync brings everything again`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let client = try await portal.client()
            var tracker = RevisionTracker()
            let welcome = try await client.client(\.welcome)
            tracker.welcome(instance: welcome.instance, revision: welcome.revision)
            // Another site's edits are no business of this client: its channel has no gap by them.
            try await portal.apply(PortalUnderTest.example + "\naccount_note: x")
            for port in [8443, 9443, 10_443] {
                try await portal.apply(
                    PortalUnderTest.example.replacing("tcp/443", with: "tcp/\(port)")
                )
                let changes = try await client.client(\.changes)
                #expect(tracker.changes(to: changes.revision) == .apply)
                guard case .resource(let resource)? = changes.changes.first else {
                    Issue.record("no resource in \(changes)")
                    return
                }
                #expect(resource.filters.map(\.description) == ["tcp/\(port)"])
            }
            try await client.say(.resync(FromRole.Resync(reason: "a gap")))
            let again = try await client.client(\.welcome)
            #expect(again.instance == welcome.instance)
            #expect(again.resources.contains { $0.filters.map(\.description) == ["tcp/10443"] })
        }
    }

    @Test func `pings keep a session alive and end one that stays silent`() async throws {
        try await PortalUnderTest.run { configuration in
            configuration.heartbeat = .milliseconds(100)
        } _: { portal in
            try await portal.apply(PortalUnderTest.example)
            let client = try await portal.client()
            _ = try await client.client(\.welcome)
            client.fallSilent()
            _ = try await client.closing()
            #expect(client.pingCount >= 1)
        }
    }

    @Test func `candidates travel inside a live lease only, and cannot aim a peer`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            _ = try await gateway.gateway(\.welcome)
            let client = try await portal.client()
            _ = try await client.client(\.welcome)
            let moved = try RoleTester.candidates(
                "198.51.100.9:4000",
                "127.0.0.1:4000",
                "198.51.100.9:80",
                "10.7.0.9:4000"
            )
            try await client.say(.candidates(FromRole.CandidatesChanged(candidates: moved)))
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            _ = try await client.client(\.authorized)
            // Nothing came before the lease; and of four places only one may be passed on.
            let order = try await gateway.nextToGateway().grant
            #expect(order?.grant.client.candidates == [moved[0]])
            let next = try RoleTester.candidates("198.51.100.10:4000")
            try await client.say(.candidates(FromRole.CandidatesChanged(candidates: next)))
            #expect(try await gateway.gateway(\.clientCandidates).candidates == next)
            try await gateway.say(.candidates(FromRole.CandidatesChanged(candidates: next)))
            let told = try await client.client(\.gatewayCandidates)
            #expect(told.candidates == next)
            #expect(told.publicKey == nil)
        }
    }

    @Test func `a gateway that started anew gets its leases, and clients its key`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("gateway", "headquarters")
            let gateway = try await portal.gateway(token: token)
            let client = try await portal.client()
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let first = try await client.client(\.authorized)
            gateway.drop()
            _ = try await gateway.closing()
            let again = try await portal.gateway(key: 201, token: token)
            let welcome = try await again.gateway(\.welcome)
            #expect(welcome.grants.map(\.lease.id) == [first.lease.id])
            let told = try await client.client(\.gatewayCandidates)
            #expect(told.gateway == first.gateway.id)
            #expect(told.publicKey == (try RoleTester.key(201)))
            #expect(told.presharedKey == welcome.grants.first?.client.presharedKey)
            #expect(told.presharedKey != first.gateway.presharedKey)
        }
    }

    @Test func `a gateway that says goodbye is announced as gone`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let client = try await portal.client()
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let lease = try await client.client(\.authorized)
            try await gateway.leave(code: 1001)
            #expect(try await client.client(\.gatewayOffline).gateway == lease.gateway.id)
        }
    }

    @Test func `devices keep their tunnel addresses when the portal starts again`() async throws {
        let folder = PortalUnderTest.freshFolder()
        var seen: (client: [IPAddress], gateway: [IPAddress], tokens: [MadeToken]) = ([], [], [])
        try await PortalUnderTest.run(folder: folder) { portal in
            try await portal.apply(PortalUnderTest.example)
            let tokens = [
                try await portal.token("client", "ada@example.com"),
                try await portal.token("gateway", "headquarters"),
            ]
            let client = try await portal.client(token: tokens[0])
            let gateway = try await portal.gateway(token: tokens[1])
            seen.client = try await client.client(\.welcome).client.tunnel
            seen.gateway = try await gateway.gateway(\.welcome).gateway.tunnel
            seen.tokens = tokens
            #expect(Set(seen.client).isDisjoint(with: seen.gateway))
        }
        try await PortalUnderTest.run(folder: folder) { portal in
            let other = try await portal.client(name: "other")
            let client = try await portal.client(token: seen.tokens[0])
            let gateway = try await portal.gateway(token: seen.tokens[1])
            #expect(try await client.client(\.welcome).client.tunnel == seen.client)
            #expect(try await gateway.gateway(\.welcome).gateway.tunnel == seen.gateway)
            #expect(
                Set(try await other.client(\.welcome).client.tunnel).isDisjoint(with: seen.client)
            )
        }
    }
}
