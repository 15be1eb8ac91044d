internal import Control
internal import Foundation
@testable internal import Portal
internal import Testing

/// What helps a client whose path or portal failed: punch, stand-by, the truth about leases.
@Suite struct RecoveryTests {
    /// A client with a lease for Git.
    private func lease(
        in portal: PortalUnderTest,
        _ gateway: RoleTester
    ) async throws -> (client: RoleTester, lease: ToClient.Authorized) {
        let client = try await portal.client()
        try await client.authorize(try await portal.resource("Git"), id: "r1")
        let lease = try await client.client(\.authorized)
        _ = try await gateway.gateway(\.grant)
        return (client, lease)
    }

    @Test func `punch is passed on with the client's candidates, inside a live lease only`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let (client, lease) = try await lease(in: portal, gateway)
            let stranger = try await portal.client(name: "other", key: 101)
            let place = try RoleTester.candidates("198.51.100.77:4000", "127.0.0.1:4000")
            let punch = FromRole.Punch(gateway: lease.gateway.id, candidates: place)
            // The stranger's comes first; were it passed on, it would be seen first.
            try await stranger.say(.punch(punch))
            try await stranger.say(.resync(FromRole.Resync(reason: "passed?")))
            _ = try await stranger.client(\.welcome)
            _ = try await stranger.client(\.welcome)
            try await client.say(.punch(FromRole.Punch(gateway: "gateway-none", candidates: [])))
            try await client.say(.punch(punch))
            #expect(try await gateway.nextToGateway().clientCandidates?.candidates == [place[0]])
            let passed = try #require(try await gateway.nextToGateway().punch)
            #expect(passed.candidates == [place[0]])
            #expect(gateway.untaken.isEmpty)
            let metrics = try await portal.get("/metrics").body
            #expect(metrics.contains("culvert_portal_refused_punches_total 2\n"))
        }
    }

    @Test func `a client that starts again finds each resource where its flows are`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("client", "ada@example.com")
            let first = try await portal.gateway("first", key: 200)
            _ = try await first.gateway(\.welcome)
            let second = try await portal.gateway("second", key: 201)
            _ = try await second.gateway(\.welcome)
            let (git, lab) = (try await portal.resource("Git"), try await portal.resource("Lab"))
            let client = try await portal.client(token: token)
            try await client.authorize(git, id: "r1")
            let one = try await client.client(\.authorized).gateway.id
            try await client.authorize(lab, id: "r2", without: [one])
            let other = try await client.client(\.authorized).gateway.id
            try await client.authorize(git, id: "s1", standBy: true)
            #expect(try await client.client(\.authorized).gateway.id == other)
            client.drop()
            let again = try await portal.client(key: 102, token: token)
            try await again.authorize(lab, id: "r1", connected: [one])
            #expect(try await again.client(\.authorized).gateway.id == other)
            try await again.authorize(git, id: "r2", connected: [other])
            #expect(try await again.client(\.authorized).gateway.id == one)
        }
    }

    @Test func `a stand-by lease is at another gateway, and the first one stays`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let first = try await portal.gateway("first", key: 200)
            _ = try await first.gateway(\.welcome)
            let (client, lease) = try await lease(in: portal, first)
            // There is no other gateway yet: nothing changes.
            try await client.authorize(lease.resource, id: "s0", standBy: true)
            #expect(try await client.client(\.denied).refusal.code == .offline)
            let second = try await portal.gateway("second", key: 201)
            _ = try await second.gateway(\.welcome)
            try await client.authorize(
                lease.resource,
                id: "s1",
                connected: [lease.gateway.id],
                without: [lease.gateway.id],
                standBy: true
            )
            let standBy = try await client.client(\.authorized)
            #expect(standBy.gateway.id != lease.gateway.id)
            #expect(standBy.lease.id != lease.lease.id)
            #expect(standBy.lease.lifetimeSeconds <= 600)
            #expect(try await second.gateway(\.grant).grant.lease.id == standBy.lease.id)
            // Asked for again without standing by, it is the same lease with a whole life.
            try await client.authorize(
                lease.resource,
                id: "s2",
                connected: [standBy.gateway.id, lease.gateway.id],
                without: [lease.gateway.id]
            )
            let used = try await client.client(\.authorized)
            #expect(used.lease.id == standBy.lease.id)
            #expect(used.lease.lifetimeSeconds > 80_000)
            #expect(try await second.gateway(\.grant).grant.lease.lifetimeSeconds > 80_000)
            // The first one lives until the client gives it back; nobody else can.
            let stranger = try await portal.client(name: "other", key: 101)
            try await stranger.say(.release(FromRole.Release(leases: [lease.lease.id])))
            try await stranger.authorize(lease.resource, id: "x", connected: [lease.gateway.id])
            _ = try await stranger.client(\.authorized)
            try await client.say(.release(FromRole.Release(leases: [lease.lease.id, "lease-x"])))
            let revoke = try await first.gateway(\.revoke)
            #expect(revoke.leases == [lease.lease.id] && revoke.code == "released")
            try await client.say(.resync(FromRole.Resync(reason: "what is left?")))
            let welcome = try await client.client(\.welcome)
            #expect(welcome.leases?.map(\.lease) == [standBy.lease.id])
            #expect(client.untaken.isEmpty)
        }
    }

    @Test func `a client's hello names its leases, and welcome says which are live`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let token = try await portal.token("client", "ada@example.com")
            let client = try await portal.client(token: token)
            #expect(try await client.client(\.welcome).leases == nil)
            var held: [LeaseID] = []
            for (number, name) in ["Git", "Lab"].enumerated() {
                try await client.authorize(try await portal.resource(name), id: "r\(number)")
                held.append(try await client.client(\.authorized).lease.id)
            }
            try await client.leave()
            _ = try await client.closing()
            let without = PortalUnderTest.example.replacing(
                "  - group: Engineering\n    resource: Git\n",
                with: ""
            )
            try await portal.apply(without)
            #expect(try await gateway.gateway(\.revoke).leases == [held[0]])
            let again = try await RoleTester.connect(port: portal.port, token: token.token)
            try await again.hello(.client, name: "laptop", key: 100, leases: held + ["lease-lost"])
            let states = try #require(try await again.client(\.welcome).leases)
            #expect(states.map(\.lease) == [held[1]])
            #expect(states.allSatisfy { (80_000...86_400).contains($0.lifetimeSeconds) })
            #expect(try await again.client(\.leaseEnded).lease == held[0])
        }
    }

    @Test func `a client that holds nothing hears of no lease`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let token = try await portal.token("client", "ada@example.com")
            let client = try await portal.client(token: token)
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            _ = try await client.client(\.authorized)
            _ = try await gateway.gateway(\.grant)
            try await client.leave()
            _ = try await client.closing()
            let again = try await RoleTester.connect(port: portal.port, token: token.token)
            try await again.hello(.client, name: "laptop", key: 101, leases: [])
            #expect(try await again.client(\.welcome).leases == [])
        }
    }

    @Test func `a portal that is overrun tells whoever connects how long to wait`() async throws {
        try await PortalUnderTest.run { configuration in
            configuration.arrivalsMax = 0
        } _: { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("client", "ada@example.com")
            let refused = await #expect(throws: RoleTester.Refused.self) {
                try await RoleTester.connect(port: portal.port, token: token.token)
            }
            #expect(refused?.status == 503)
            let refusal = try JSONDecoder().decode(
                Refusal.self,
                from: Data((refused?.body ?? "").utf8)
            )
            #expect(refusal.code == .overloaded && refusal.kind == .retryAfter)
            #expect((1...10).contains(refusal.retryAfterSeconds ?? 0))
        }
    }

    @Test func `who is sent away by a portal that stops is told to come back soon`() async throws {
        var client: RoleTester?
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            client = try await portal.client()
            _ = try await client?.client(\.welcome)
        }
        let refusal = try #require(try await client?.client(\.refusal))
        #expect(refusal.code == .stopping && refusal.retryAfterSeconds == 1)
    }
}
