internal import Control
internal import Foundation
@testable internal import Portal
internal import Testing

/// Changes of the configuration while leases are live.
@Suite struct ChangeTests {
    /// A client with a lease for Git.
    private func lease(
        in portal: PortalUnderTest
    ) async throws -> (client: RoleTester, gateway: RoleTester, lease: ToClient.Authorized) {
        let gateway = try await portal.gateway()
        _ = try await gateway.gateway(\.welcome)
        let client = try await portal.client()
        try await client.authorize(try await portal.resource("Git"), id: "r1")
        let lease = try await client.client(\.authorized)
        _ = try await gateway.gateway(\.grant)
        return (client, gateway, lease)
    }

    @Test func `a policy that goes ends its leases at client and gateway, and asking again fails`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let (client, gateway, lease) = try await lease(in: portal)
            let without = PortalUnderTest.example.replacing(
                "  - group: Engineering\n    resource: Git\n",
                with: ""
            )
            #expect(try await portal.apply(without).status == 200)
            let ended = try await client.client(\.leaseEnded)
            #expect(ended.lease == lease.lease.id)
            #expect(ended.code == "revoked")
            #expect(try await gateway.gateway(\.revoke).leases == [lease.lease.id])
            let changes = try await client.client(\.changes)
            #expect(changes.changes.contains(.resourceRemoved(lease.resource)))
            try await client.authorize(lease.resource, id: "r2")
            #expect(try await client.client(\.denied).refusal.code == .notFound)
        }
    }

    @Test func `a lease passes to another policy, and nobody hears of edits that do not touch it`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let second = PortalUnderTest.example.replacing(
                "groups:\n",
                with: "groups:\n  - name: Everybody\n    members: [ada@example.com]\n"
            )
            let both = second + "\n  - group: Everybody\n    resource: Git\n"
            try await portal.apply(both)
            let (client, gateway, lease) = try await lease(in: portal)
            let one = both.replacing("  - group: Engineering\n    resource: Git\n", with: "")
            #expect(try await portal.apply(one).status == 200)
            for number in 0..<20 {
                try await portal.apply(
                    one.replacing("sites:\n", with: "sites:\n  - name: s\(number)\n")
                )
            }
            // Whatever was said before this answer would have come before it.
            try await client.authorize(lease.resource, id: "r2")
            let again = try await client.nextToClient().authorized
            #expect(again?.lease.id == lease.lease.id)
            let next = try await gateway.nextToGateway().grant
            #expect(next?.grant.lease.id == lease.lease.id)
        }
    }

    @Test func `new filters reach the gateway and the client, and the lease stays`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let (client, gateway, lease) = try await lease(in: portal)
            try await portal.apply(PortalUnderTest.example.replacing("tcp/443", with: "tcp/22"))
            let update = try await gateway.gateway(\.resource)
            #expect(update.resource.id == lease.resource)
            #expect(update.resource.filters.map(\.description) == ["tcp/22"])
            let changes = try await client.nextToClient().changes
            #expect(changes?.changes.count == 1)
        }
    }

    @Test func `a person who leaves the group loses the lease while away, and hears of it later`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let token = try await portal.token("client", "ada@example.com")
            let client = try await portal.client(token: token)
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let lease = try await client.client(\.authorized).lease.id
            try await client.leave()
            _ = try await client.closing()
            try await portal.apply(PortalUnderTest.example.replacing("ada@", with: "bob@"))
            #expect(try await gateway.gateway(\.revoke).leases == [lease])
            let again = try await portal.client(token: token)
            #expect(try await again.client(\.welcome).resources.isEmpty)
            #expect(try await again.client(\.leaseEnded).lease == lease)
        }
    }

    @Test func `a removed client is told and cut off`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let (client, gateway, lease) = try await lease(in: portal)
            let page: ItemsOf<ClientRow> = try await portal.get("/api/v1/clients").decoded()
            let id = try #require(page.items.first?.id)
            let answer = try await HTTPTester.send(
                "DELETE",
                "/api/v1/clients/\(id)",
                to: portal.socket
            )
            #expect(answer.status == 200)
            #expect(try await gateway.gateway(\.revoke).leases == [lease.lease.id])
            #expect(try await client.client(\.refusal).code == .notFound)
            _ = try await client.closing()
        }
    }

    @Test func `verifying a device lets it in where that is asked for, and no longer ends it`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example + "\n    when: { verified: true }\n")
            _ = try await portal.gateway()
            let client = try await portal.client()
            let lab = try await portal.resource("Lab")
            try await client.authorize(lab, id: "r1")
            #expect(try await client.client(\.denied).failed.map(\.condition) == ["verified"])
            let page: ItemsOf<ClientRow> = try await portal.get("/api/v1/clients").decoded()
            let path = "/api/v1/clients/\(try #require(page.items.first?.id))/verified"
            _ = try await HTTPTester.send(
                "POST",
                path,
                to: portal.socket,
                body: "{\"verified\": true}"
            )
            #expect(try await client.client(\.resourceChanged).resource == lab)
            try await client.authorize(lab, id: "r2")
            let lease = try await client.client(\.authorized).lease.id
            _ = try await HTTPTester.send(
                "POST",
                path,
                to: portal.socket,
                body: "{\"verified\": false}"
            )
            #expect(try await client.client(\.leaseEnded).lease == lease)
        }
    }
}
