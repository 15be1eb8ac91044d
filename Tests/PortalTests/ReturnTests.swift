internal import Control
internal import Foundation
@testable internal import Portal
internal import Testing

/// A portal that starts again: its gateways and clients come back in any order.
@Suite struct ReturnTests {
    /// What outlives a portal.
    private struct Left {
        let folder: String
        let gateway: MadeToken
        let client: MadeToken
    }

    /// A portal that ran with one gateway, which stayed to the end or left before.
    private func ran(gatewayStays: Bool) async throws -> Left {
        let folder = PortalUnderTest.freshFolder()
        var left: Left?
        try await PortalUnderTest.run(folder: folder) { portal in
            try await portal.apply(PortalUnderTest.example)
            let tokens = (
                gateway: try await portal.token("gateway", "headquarters"),
                client: try await portal.token("client", "ada@example.com")
            )
            let gateway = try await portal.gateway(token: tokens.gateway)
            _ = try await gateway.gateway(\.welcome)
            if !gatewayStays {
                try await gateway.leave()
                _ = try await gateway.closing()
                for _ in 0..<1_000 {
                    let status: PortalStatus = try await portal.get("/api/v1/status").decoded()
                    if status.gatewaysOnline == 0 { break }
                }
            }
            left = Left(folder: folder, gateway: tokens.gateway, client: tokens.client)
        }
        return try #require(left)
    }

    @Test func `a request waits for a gateway that was there before the portal started again`()
        async throws
    {
        let left = try await ran(gatewayStays: true)
        try await PortalUnderTest.run(
            folder: left.folder,
            change: { $0.gatewayReturnTime = .seconds(3_600) }
        ) { portal in
            let git = try await portal.resource("Git")
            let client = try await portal.client(token: left.client)
            _ = try await client.client(\.welcome)
            try await client.authorize(git, id: "r1")
            try await client.authorize(git, id: "r1")
            try await client.say(.resync(FromRole.Resync(reason: "answered?")))
            #expect(try await client.nextToClient().welcome != nil, "no answer came before")
            // One that the client says has failed is not waited for.
            let row: ItemsOf<GatewayRow> = try await portal.get("/api/v1/gateways").decoded()
            let id = GatewayID(try #require(row.items.first).id)
            try await client.authorize(git, id: "r2", without: [id])
            #expect(try await client.client(\.denied).id == "r2")
            let gateway = try await portal.gateway(token: left.gateway)
            let answer = try await client.client(\.authorized)
            #expect(answer.id == "r1")
            #expect(try await gateway.gateway(\.grant).grant.lease.id == answer.lease.id)
        }
    }

    @Test func `a gateway that does not come back is named in the denial`() async throws {
        let left = try await ran(gatewayStays: true)
        try await PortalUnderTest.run(
            folder: left.folder,
            change: { $0.gatewayReturnTime = .milliseconds(50) }
        ) { portal in
            let client = try await portal.client(token: left.client)
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let refusal = try await client.client(\.denied).refusal
            #expect(refusal.code == .offline)
            #expect(refusal.sentence.contains("“gw” has not come back since the portal started"))
        }
    }

    @Test func `a gateway that left before is not waited for`() async throws {
        let left = try await ran(gatewayStays: false)
        try await PortalUnderTest.run(
            folder: left.folder,
            change: { $0.gatewayReturnTime = .seconds(3_600) }
        ) { portal in
            let client = try await portal.client(token: left.client)
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            let refusal = try await client.client(\.denied).refusal
            #expect(
                refusal.sentence
                    == "No gateway of the site “headquarters” is connected; whoever runs it has "
                    + "to look."
            )
        }
    }
}
