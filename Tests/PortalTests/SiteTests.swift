internal import Bytes
internal import Control
internal import Foundation
internal import IP
@testable internal import Portal
internal import Testing

/// Several gateways of one site: unreached resources, drains, ended flows.
@Suite struct SiteTests {
    /// A client whose lease for Git is at the first of two gateways.
    private struct Pair {
        let client: RoleTester
        let first: (tester: RoleTester, id: GatewayID, name: String)
        let second: (tester: RoleTester, id: GatewayID, name: String)
        let git: ResourceID
        let lease: LeaseID

        init(_ portal: PortalUnderTest) async throws {
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("gateway", "headquarters")
            let one = try await portal.gateway("one", key: 201, token: token)
            let two = try await portal.gateway("two", key: 202, token: token)
            let ids = (
                try await one.gateway(\.welcome).gateway.id,
                try await two.gateway(\.welcome).gateway.id
            )
            client = try await portal.client()
            git = try await portal.resource("Git")
            try await client.authorize(git, id: "r1")
            let authorized = try await client.client(\.authorized)
            lease = authorized.lease.id
            let isOne = authorized.gateway.id == ids.0
            first = isOne ? (one, ids.0, "one") : (two, ids.1, "two")
            second = isOne ? (two, ids.1, "two") : (one, ids.0, "one")
        }

        /// Which gateway the portal chooses for a client that is connected to `connected`.
        func choice(_ id: String, connected: GatewayID? = nil) async throws -> GatewayID {
            try await client.authorize(git, id: id, connected: connected.map { [$0] } ?? [])
            return try await client.client(\.authorized).gateway.id
        }

        func say(_ isReached: Bool, by gateway: RoleTester) async throws {
            try await gateway.say(
                .reach(FromRole.Reach(resource: git, isReached: isReached, sentence: "A test."))
            )
        }
    }

    @Test
    func `a gateway that does not reach a resource is passed over for it, also when connected`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let pair = try await Pair(portal)
            try await pair.say(false, by: pair.first.tester)
            let move = try await pair.client.client(\.move)
            #expect(move.resource == pair.git && move.gateway == pair.first.id)
            #expect(move.code == .unreached)
            #expect(try await pair.choice("r2", connected: pair.first.id) == pair.second.id)
            // What it reaches is not concerned.
            let lab = try await portal.resource("Lab")
            try await pair.client.authorize(lab, id: "r3", connected: [pair.first.id])
            #expect(try await pair.client.client(\.authorized).gateway.id == pair.first.id)
            let rows: ItemsOf<GatewayRow> = try await portal.get("/api/v1/gateways").decoded()
            #expect(rows.items.first { $0.id == pair.first.id.text }?.unreached == ["Git"])
            // Healed, it is one of two again; who moved is not moved back.
            try await pair.say(true, by: pair.first.tester)
            try await pair.first.tester.say(.report(FromRole.Report(clients: 1, flows: 0)))
            #expect(try await pair.choice("r4", connected: pair.first.id) == pair.first.id)
            #expect(pair.client.untaken.filter { $0.contains("\"move\"") }.isEmpty)
        }
    }

    @Test func `when no gateway reaches it nobody moves, and leases are given as before`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let pair = try await Pair(portal)
            try await pair.say(false, by: pair.first.tester)
            _ = try await pair.client.client(\.move)
            #expect(try await pair.choice("r2") == pair.second.id)
            try await pair.say(false, by: pair.second.tester)
            #expect(try await pair.choice("r3", connected: pair.second.id) == pair.second.id)
            #expect(pair.client.untaken.filter { $0.contains("\"move\"") }.isEmpty)
        }
    }

    @Test func `a gateway that drains gets no new leases, its clients are asked to move, and back`()
        async throws
    {
        let folder = PortalUnderTest.freshFolder()
        try await PortalUnderTest.run(folder: folder) { portal in
            let pair = try await Pair(portal)
            let answer = try await HTTPTester.send(
                "POST",
                "/api/v1/gateways/\(pair.first.name)/drain",
                to: portal.socket,
                body: "{\"seconds\": 3600}"
            )
            #expect(answer.status == 200, "\(answer.body)")
            let outcome: DrainOutcome = try answer.decoded()
            #expect(outcome.isDraining && outcome.clients == 1)
            #expect(try await pair.client.client(\.move).code == .draining)
            #expect(try await pair.choice("r2", connected: pair.first.id) == pair.second.id)
            // The lease that running connections need lives on.
            #expect(!pair.client.untaken.contains { $0.contains("lease-ended") })
        }
        try await PortalUnderTest.run(folder: folder) { portal in
            let rows: ItemsOf<GatewayRow> = try await portal.get("/api/v1/gateways").decoded()
            let draining = rows.items.filter(\.isDraining)
            #expect(draining.count == 1)
            let name = try #require(draining.first?.name)
            let answer = try await HTTPTester.send(
                "DELETE",
                "/api/v1/gateways/\(name)/drain",
                to: portal.socket
            )
            let outcome: DrainOutcome = try answer.decoded()
            #expect(!outcome.isDraining)
            let after: ItemsOf<GatewayRow> = try await portal.get("/api/v1/gateways").decoded()
            #expect(!after.items.contains { $0.isDraining })
            let missing = try await HTTPTester.send(
                "POST",
                "/api/v1/gateways/nobody/drain",
                to: portal.socket
            )
            #expect(missing.status == 404)
        }
    }

    @Test func `a drain ends what still runs when its time is over, if somebody else can serve it`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            let pair = try await Pair(portal)
            let answer = try await HTTPTester.send(
                "POST",
                "/api/v1/gateways/\(pair.first.name)/drain",
                to: portal.socket,
                body: "{\"seconds\": 0}"
            )
            #expect(answer.status == 200, "\(answer.body)")
            let ended = try await pair.client.client(\.leaseEnded)
            #expect(ended.lease == pair.lease && ended.code == "draining")
            // The last gateway keeps its clients, whoever drains it.
            #expect(try await pair.choice("r2") == pair.second.id)
            let last = try await HTTPTester.send(
                "POST",
                "/api/v1/gateways/\(pair.second.name)/drain",
                to: portal.socket,
                body: "{\"seconds\": 0}"
            )
            let outcome: DrainOutcome = try last.decoded()
            #expect(outcome.sentence.contains("no other gateway"))
            #expect(try await pair.choice("r3", connected: pair.second.id) == pair.second.id)
            #expect(!pair.client.untaken.contains { $0.contains("lease-ended") })
        }
    }

    @Test func `flows that ended are kept, searched, paged and shown`() async throws {
        try await PortalUnderTest.run { portal in
            let pair = try await Pair(portal)
            let flows = (0..<300).map { number in
                EndedFlow(
                    client: "client-1",
                    device: "laptop",
                    person: number == 7 ? "eve@example.com" : "ada@example.com",
                    resource: pair.git,
                    resourceName: "Git",
                    name: "git.example.com",
                    transport: "tcp",
                    real: .init("10.0.0.1:443") ?? .unspecified,
                    bytesOut: UInt64(number),
                    bytesIn: 2,
                    packetsOut: 1,
                    packetsIn: 1,
                    startMilliseconds: 1_800_000_000_000,
                    endMilliseconds: 1_800_000_001_500,
                    why: "closed"
                )
            }
            try await pair.first.tester.say(.flows(FromRole.Flows(flows: flows, missing: 5)))
            var page: ItemsOf<KeptFlow>?
            for _ in 0..<200 where (page?.total ?? 0) == 0 {
                page = try await portal.get("/api/v1/flows?limit=10").decoded()
            }
            // What is beyond the bound of a message is passed over.
            #expect(page?.total == EndedFlow.Limits.count)
            #expect(page?.items.count == 10)
            #expect(page?.items.first?.bytesOut == UInt64(EndedFlow.Limits.count - 1))
            #expect(page?.items.first?.gateway == pair.first.name)
            let eve: ItemsOf<KeptFlow> = try await portal.get("/api/v1/flows?q=eve").decoded()
            #expect(eve.total == 1 && eve.items.first?.endedAt == 1_800_000_001.5)
        }
    }

    @Test func `of too many flows the oldest go`() async throws {
        let store = try Store(path: "\(PortalUnderTest.freshFolder()).db")
        let flow = EndedFlow(
            client: "client-1",
            resource: "git",
            resourceName: "Git",
            transport: "udp",
            real: .unspecified,
            bytesOut: 1,
            bytesIn: 1,
            packetsOut: 1,
            packetsIn: 1,
            startMilliseconds: 0,
            endMilliseconds: 0,
            why: "idle"
        )
        let logger = PortalUnderTest.logger
        let writer = WriteBehind(store: store, logger: logger)
        let kept = (0..<20).map { KeptFlow(flow, at: .now, gateway: "gateway-\($0)") }
        #expect(writer.save(kept) == 0)
        #expect(writer.save(Array(repeating: kept[0], count: 10_000)) == 20)
        writer.finish()
        await writer.run()
        try await store.pruneFlows(now: .now, keeping: 10)
        let page = try await store.flows(matching: "", offset: 0, count: 100)
        #expect(page.total == 10)
        try await store.pruneFlows(now: .now.addingTimeInterval(30 * 86_400))
        #expect(try await store.flows(matching: "", offset: 0, count: 1).total == 0)
    }
}

extension ToClient {
    var move: Move? { if case .move(let value) = self { value } else { nil } }
}
