internal import Control
internal import Foundation
internal import IP
@testable internal import Portal
internal import Testing

/// The way of a request: client, decision, gateway.
@Suite struct AuthorizationTests {
    @Test func `a permitted client and its gateway are told of one lease and one key`() async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let greeted = try await gateway.gateway(\.welcome)
            #expect(greeted.gateway.site.name == "headquarters")
            #expect(greeted.grants.isEmpty)
            let client = try await portal.client()
            let welcome = try await client.client(\.welcome)
            #expect(welcome.account == "Example")
            #expect(welcome.client.actor == "ada@example.com")
            #expect(welcome.client.tunnel.count == 2)
            #expect(welcome.resources.map(\.name).sorted() == ["Git", "Lab"])
            #expect(welcome.resources.allSatisfy { $0.online == true })

            let git = try #require(welcome.resources.first { $0.name == "Git" }).id
            try await client.authorize(git, id: "r1")
            let authorized = try await client.client(\.authorized)
            let order = try await gateway.gateway(\.grant)
            #expect(authorized.id == "r1")
            #expect(authorized.resource == git)
            #expect(authorized.lease.id == order.grant.lease.id)
            #expect(authorized.lease.lifetimeSeconds > 3_600)
            #expect(authorized.gateway.id == greeted.gateway.id)
            #expect(authorized.gateway.publicKey == (try RoleTester.key(200)))
            #expect(order.grant.client.publicKey == (try RoleTester.key(100)))
            #expect(authorized.gateway.presharedKey == order.grant.client.presharedKey)
            #expect(order.grant.client.tunnel == welcome.client.tunnel)
            #expect(order.grant.resource.filters.map(\.description) == ["tcp/443"])
            #expect(
                order.grant.client.candidates == (try RoleTester.candidates("198.51.100.100:51830"))
            )
        }
    }

    @Test func `the same request again gets the same lease, also from a new connection`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let token = try await portal.token("client", "ada@example.com")
            let client = try await portal.client(token: token)
            let git = try await portal.resource("Git")
            try await client.authorize(git, id: "r1")
            try await client.authorize(git, id: "r1")
            let first = try await client.client(\.authorized)
            let second = try await client.client(\.authorized)
            #expect(first.lease.id == second.lease.id)
            _ = try await gateway.gateway(\.grant)
            try await client.leave()
            _ = try await client.closing()
            let again = try await portal.client(token: token)
            try await again.authorize(git, id: "r1")
            #expect(try await again.client(\.authorized).lease.id == first.lease.id)
            #expect(gateway.untaken.isEmpty)
        }
    }

    @Test func `without a policy there is nothing, without a gateway it is offline`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let stranger = try await portal.client("eve@example.com", name: "eve")
            let welcome = try await stranger.client(\.welcome)
            #expect(welcome.resources.isEmpty)
            let git = try await portal.resource("Git")
            try await stranger.authorize(git, id: "r1")
            #expect(try await stranger.client(\.denied).refusal.code == .notFound)

            let ada = try await portal.client()
            try await ada.authorize(git, id: "r1")
            let denied = try await ada.client(\.denied)
            #expect(denied.refusal.code == .offline)
            #expect(denied.refusal.sentence.contains("headquarters"))
            // As soon as a gateway is there, a denial may be forgotten.
            _ = try await portal.gateway()
            #expect(try await ada.client(\.resourceChanged).resource == git)
            try await ada.authorize(git, id: "r2")
            _ = try await ada.client(\.authorized)
        }
    }

    @Test func `a condition that is not met is named, and one that is met lets in`() async throws {
        try await PortalUnderTest.run { portal in
            let when = "\n    when: { from: [203.0.113.0/24] }\n"
            try await portal.apply(PortalUnderTest.example + when)
            _ = try await portal.gateway()
            let client = try await portal.client()
            let lab = try await portal.resource("Lab")
            try await client.authorize(lab, id: "r1")
            let denied = try await client.client(\.denied)
            #expect(denied.refusal.code == .forbidden)
            #expect(denied.failed.map(\.condition) == ["remote-address"])
            let near = "\n    when: { from: [127.0.0.0/8] }\n"
            try await portal.apply(PortalUnderTest.example + near)
            #expect(try await client.client(\.resourceChanged).resource == lab)
            try await client.authorize(lab, id: "r2")
            _ = try await client.client(\.authorized)
        }
    }

    @Test func `a gateway that refuses ends the lease, and another one takes over`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("gateway", "headquarters")
            let one = try await portal.gateway("one", key: 201, token: token)
            let two = try await portal.gateway("two", key: 202, token: token)
            _ = try await one.gateway(\.welcome)
            _ = try await two.gateway(\.welcome)
            let client = try await portal.client()
            let git = try await portal.resource("Git")
            try await client.authorize(git, id: "r1")
            let first = try await client.client(\.authorized)
            let (chosen, other) = first.gateway.name == "one" ? (one, two) : (two, one)
            let order = try await chosen.gateway(\.grant)
            try await chosen.say(
                .grantAnswer(
                    FromRole.GrantAnswer(
                        id: order.id,
                        lease: order.grant.lease.id,
                        accepted: false,
                        code: "unresolvable",
                        sentence: "git.example.com has no address here."
                    )
                )
            )
            let ended = try await client.client(\.leaseEnded)
            #expect(ended.lease == first.lease.id)
            #expect(ended.code == "unresolvable")
            try await client.authorize(git, id: "r2", without: [first.gateway.id])
            let second = try await client.client(\.authorized)
            #expect(second.gateway.id != first.gateway.id)
            #expect(try await other.gateway(\.grant).grant.lease.id == second.lease.id)
        }
    }

    @Test func `clients are spread over gateways, and stay where they are connected`() async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let token = try await portal.token("gateway", "headquarters")
            _ = try await portal.gateway("one", key: 201, token: token).gateway(\.welcome)
            _ = try await portal.gateway("two", key: 202, token: token).gateway(\.welcome)
            let (git, lab) = (try await portal.resource("Git"), try await portal.resource("Lab"))
            let clients = try await portal.token("client", "ada@example.com")
            let a = try await portal.client(name: "a", key: 1, token: clients)
            let b = try await portal.client(name: "b", key: 2, token: clients)
            try await a.authorize(git, id: "r1")
            let first = try await a.client(\.authorized)
            try await b.authorize(git, id: "r1")
            let second = try await b.client(\.authorized)
            #expect(first.gateway.id != second.gateway.id)
            try await a.authorize(lab, id: "r2", connected: [second.gateway.id])
            #expect(try await a.client(\.authorized).gateway.id == second.gateway.id)
        }
    }
}

extension ToClient {
    var welcome: Welcome? { if case .welcome(let value) = self { value } else { nil } }
    var changes: Changes? { if case .changes(let value) = self { value } else { nil } }
    var authorized: Authorized? { if case .authorized(let value) = self { value } else { nil } }
    var denied: Denied? { if case .denied(let value) = self { value } else { nil } }
    var leaseEnded: LeaseEnded? { if case .leaseEnded(let value) = self { value } else { nil } }
    var leaseExtended: LeaseExtended? {
        if case .leaseExtended(let value) = self { value } else { nil }
    }
    var resourceChanged: ResourceChanged? {
        if case .resourceChanged(let value) = self { value } else { nil }
    }
    var gatewayCandidates: GatewayCandidates? {
        if case .gatewayCandidates(let value) = self { value } else { nil }
    }
    var gatewayOffline: GatewayOffline? {
        if case .gatewayOffline(let value) = self { value } else { nil }
    }
    var relays: [RelayForRole]? {
        if case .relays(let value) = self { value.relays } else { nil }
    }
    var refusal: Control.Refusal? { if case .refusal(let value) = self { value } else { nil } }
}

extension ToRelay {
    var welcome: Welcome? { if case .welcome(let value) = self { value } else { nil } }
    var refusal: Control.Refusal? { if case .refusal(let value) = self { value } else { nil } }
}

extension ToGateway {
    var punch: Punch? { if case .punch(let value) = self { value } else { nil } }
    var relays: [RelayForRole]? {
        if case .relays(let value) = self { value.relays } else { nil }
    }
    var welcome: Welcome? { if case .welcome(let value) = self { value } else { nil } }
    var grant: GrantOrder? { if case .grant(let value) = self { value } else { nil } }
    var revoke: Revoke? { if case .revoke(let value) = self { value } else { nil } }
    var extend: Extend? { if case .extend(let value) = self { value } else { nil } }
    var resource: ResourceUpdate? { if case .resource(let value) = self { value } else { nil } }
    var clientCandidates: ClientCandidates? {
        if case .clientCandidates(let value) = self { value } else { nil }
    }
    var refusal: Control.Refusal? { if case .refusal(let value) = self { value } else { nil } }
}
