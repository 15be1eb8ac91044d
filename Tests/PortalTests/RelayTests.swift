internal import Control
internal import Crypto
internal import Foundation
internal import IP
@testable internal import Portal
internal import Testing

/// Relays over WebSocket: their session, and what everybody else hears of them.
@Suite struct RelayTests {
    /// Whether a relay with these secrets takes the password.
    private func isGood(_ relay: RelayForRole, for secrets: [String]) -> Bool {
        secrets.contains { secret in
            let code = HMAC<Insecure.SHA1>.authenticationCode(
                for: Array(relay.username.utf8),
                using: SymmetricKey(data: Array(secret.utf8))
            )
            return Data(code).base64EncodedString() == relay.password
        }
    }

    @Test func `client and gateway are dealt a relay, with a password that it takes`() async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let relay = try await portal.relay(region: "eu")
            #expect(relay.welcome.secrets.count == 2)
            #expect(relay.welcome.realm == "localhost")
            let gateway = try await portal.gateway()
            let client = try await portal.client()
            let lists = [
                try await client.client(\.welcome).relays,
                try await gateway.gateway(\.welcome).relays,
            ]
            for list in lists {
                let dealt = try #require(list?.first)
                #expect(list?.count == 1)
                #expect(dealt.id == relay.welcome.relay)
                #expect(dealt.udp.map(\.description) == ["203.0.113.20:3478"])
                #expect(dealt.region == "eu")
                #expect(isGood(dealt, for: relay.welcome.secrets))
                #expect(!isGood(dealt, for: ["another"]))
                let end = try #require(TimeInterval(dealt.username.prefix { $0 != ":" }))
                #expect(abs(end - Date.now.timeIntervalSince1970 - 43_200) < 60)
            }
            #expect(lists[0]?.first?.username != lists[1]?.first?.username)
        }
    }

    @Test func `a relay that comes, goes or moves is told to those whom it touches at once`()
        async throws
    {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateway = try await portal.gateway()
            let client = try await portal.client()
            #expect(try await client.client(\.welcome).relays == [])
            #expect(try await gateway.gateway(\.welcome).relays == [])
            let token = try await portal.token("relay", "ams")
            let first = try await portal.relay(token: token)
            #expect(try await client.client(\.relays).map(\.id) == [first.welcome.relay])
            #expect(try await gateway.gateway(\.relays).map(\.id) == [first.welcome.relay])
            let second = try await portal.relay("fra", at: "203.0.113.21:3478")
            let both = Set([first.welcome.relay, second.welcome.relay])
            #expect(Set(try await client.client(\.relays).map(\.id)) == both)
            #expect(Set(try await gateway.gateway(\.relays).map(\.id)) == both)

            let killed = ContinuousClock.now
            first.tester.drop()
            #expect(try await client.client(\.relays).map(\.id) == [second.welcome.relay])
            #expect(try await gateway.gateway(\.relays).map(\.id) == [second.welcome.relay])
            #expect(killed.duration(to: .now) < .seconds(5), "not by heartbeats, which take 30 s")

            // The same relay at another address: the same name and secret.
            let moved = try await portal.relay(at: "203.0.113.22:3478", token: token)
            #expect(moved.welcome.relay == first.welcome.relay)
            #expect(moved.welcome.secrets == first.welcome.secrets)
            let dealt = try await client.client { message in
                message.relays?.first { $0.id == moved.welcome.relay }
            }
            #expect(dealt.udp.map(\.description) == ["203.0.113.22:3478"])
            try await second.tester.leave(code: 1001)
            // Lists of both may come before.
            _ = try await client.client { $0.relays?.map(\.id) == [moved.welcome.relay] ? $0 : nil }
        }
    }

    @Test func `of three relays everybody gets two, those of the region first`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            var ids: [String: RelayID] = [:]
            for (number, region) in ["us", "eu", "eu"].enumerated() {
                let name = "\(region)-\(number)"
                let address = "203.0.113.\(30 + number):3478"
                ids[name] = try await portal.relay(name, at: address, region: region).welcome.relay
            }
            let token = try await portal.token("client", "ada@example.com")
            let client = try await RoleTester.connect(port: portal.port, token: token.token)
            try await client.hello(.client, name: "laptop", key: 1, region: "eu")
            let dealt = try #require(try await client.client(\.welcome).relays)
            #expect(Set(dealt.map(\.id)) == Set([ids["eu-1"], ids["eu-2"]].compactMap(\.self)))
            let page: ItemsOf<RelayRow> = try await portal.get("/api/v1/relays").decoded()
            #expect(page.items.count == 3)
            // What it measures is shown.
            let times = dealt.map { RelayTime(relay: $0.id, milliseconds: 17) }
            try await client.say(.relayTimes(FromRole.RelayTimes(times: times)))
            try await client.say(.resync(FromRole.Resync(reason: "heard the times?")))
            _ = try await client.client(\.welcome)
            let measured: ItemsOf<RelayRow> = try await portal.get("/api/v1/relays").decoded()
            #expect(measured.items.compactMap(\.roundTripMilliseconds) == [17, 17])
            #expect(measured.items.reduce(0) { $0 + $1.users } == 2)
        }
    }

    @Test func `passwords are renewed before they end`() async throws {
        try await PortalUnderTest.run { configuration in
            configuration.relayPasswordLifetime = .seconds(2)
        } _: { portal in
            try await portal.apply(PortalUnderTest.example)
            let relay = try await portal.relay()
            let client = try await portal.client()
            let first = try #require(try await client.client(\.welcome).relays?.first)
            #expect(first.lifetimeSeconds == 2)
            let second = try #require(try await client.client(\.relays).first)
            #expect(second.id == first.id && second.udp == first.udp)
            #expect(second.username != first.username)
            #expect(isGood(second, for: relay.welcome.secrets))
        }
    }

    @Test func `a token of another kind, a revoked one and none let no relay in`() async throws {
        try await PortalUnderTest.run { portal in
            try await portal.apply(PortalUnderTest.example)
            let wrong = try await portal.token("gateway", "headquarters")
            let tester = try await RoleTester.connect(port: portal.port, token: wrong.token)
            try await tester.relayHello("ams", at: "203.0.113.20:3478")
            let refusal = try await tester.relay(\.refusal)
            #expect(refusal.code == .malformed && refusal.kind == .mend)

            let token = try await portal.token("relay", "ams")
            let asClient = try await RoleTester.connect(port: portal.port, token: token.token)
            try await asClient.hello(.client, name: "laptop", key: 1)
            #expect(try await asClient.client(\.refusal).code == .malformed)

            let client = try await portal.client()
            #expect(try await client.client(\.welcome).relays == [])
            let relay = try await portal.relay(token: token)
            #expect(try await client.client(\.relays).count == 1)
            let answer = try await HTTPTester.send(
                "DELETE",
                "/api/v1/tokens/\(token.id)",
                to: portal.socket
            )
            #expect(answer.status == 204)
            #expect(try await relay.tester.relay(\.refusal).kind == .signIn)
            #expect(try await client.client(\.relays).isEmpty)
            let refused = await #expect(throws: RoleTester.Refused.self) {
                try await RoleTester.connect(port: portal.port, token: token.token)
            }
            #expect(refused?.status == 401)
        }
    }

    @Test(arguments: ["127.0.0.1:3478", "0.0.0.0:3478", "203.0.113.20:0", "[fe80::1]:3478"])
    func `a relay that nobody could reach is told what to do`(address: String) async throws {
        try await PortalUnderTest.run { portal in
            let token = try await portal.token("relay", "ams")
            let relay = try await RoleTester.connect(port: portal.port, token: token.token)
            try await relay.relayHello("ams", at: address)
            let refusal = try await relay.relay(\.refusal)
            #expect(refusal.kind == .mend)
            #expect(refusal.sentence.contains("--public-address"))
            _ = try await relay.closing()
        }
    }

    @Test func `a relay that fell silent is replaced by the next of its name`() async throws {
        try await PortalUnderTest.run { portal in
            let token = try await portal.token("relay", "ams")
            let first = try await portal.relay(token: token)
            first.tester.fallSilent()
            let second = try await portal.relay(token: token)
            #expect(second.welcome.relay == first.welcome.relay)
            _ = try await first.tester.closing()
        }
    }

    @Test func `a relay says nothing that is for others, and one hello`() async throws {
        try await PortalUnderTest.run { portal in
            for message: FromRole in [
                .resync(FromRole.Resync(reason: "x")),
                .relayHello(FromRole.RelayHello(name: "ams", software: "1")),
                .relayTimes(FromRole.RelayTimes(times: [])),
            ] {
                let relay = try await portal.relay()
                try await relay.tester.say(message)
                #expect(try await relay.tester.relay(\.refusal).code == .malformed)
                _ = try await relay.tester.closing()
            }
            let client = try await portal.client()
            _ = try await client.client(\.welcome)
            try await client.say(.relayReport(FromRole.RelayReport(allocations: 1)))
            #expect(try await client.client(\.refusal).code == .malformed)
        }
    }

    @Test func `who knew the portal before its start is told nothing of relays at first`()
        async throws
    {
        let folder = PortalUnderTest.freshFolder()
        var tokens: [MadeToken] = []
        var before: (RelayID, [String])?
        var instance = ""
        try await PortalUnderTest.run(folder: folder) { portal in
            try await portal.apply(PortalUnderTest.example)
            tokens = [
                try await portal.token("client", "ada@example.com"),
                try await portal.token("relay", "ams"),
            ]
            let relay = try await portal.relay(token: tokens[1])
            before = (relay.welcome.relay, relay.welcome.secrets)
            let client = try await portal.client(token: tokens[0])
            instance = try await client.client(\.welcome).instance
        }
        try await PortalUnderTest.run(folder: folder) { portal in
            let client = try await RoleTester.connect(port: portal.port, token: tokens[0].token)
            try await client.hello(.client, name: "laptop", key: 1, instance: instance)
            #expect(try await client.client(\.welcome).relays == nil)
            // A device that starts now has nothing to keep.
            let other = try await portal.client(name: "new", token: tokens[0])
            #expect(try await other.client(\.welcome).relays == [])
            let relay = try await portal.relay(token: tokens[1])
            #expect(relay.welcome.relay == before?.0)
            #expect(relay.welcome.secrets == before?.1)
            #expect(try await other.client(\.relays).map(\.id) == [relay.welcome.relay])
        }
    }

    // MARK: - Stock servers

    private func stock(_ file: String, _ address: String = "192.0.2.30") -> String {
        PortalUnderTest.example
            + "\nrelays:\n  - name: stock\n    address: \(address)\n    region: eu\n"
            + "    secret_file: \(file)\n"
    }

    @Test func `a stock server of the configuration is dealt with its own secret`() async throws {
        try await PortalUnderTest.run { portal in
            let file = "\(portal.folder)/turn-secret"
            try Data("north\n".utf8).write(to: URL(filePath: file))
            try await portal.apply(PortalUnderTest.example)
            let client = try await portal.client()
            #expect(try await client.client(\.welcome).relays == [])
            let answer = try await portal.apply(stock(file))
            let outcome: ApplyOutcome = try answer.decoded()
            #expect(outcome.plan.map(\.sign) == ["+"])
            let dealt = try #require(try await client.client(\.relays).first)
            #expect(dealt.udp.map(\.description) == ["192.0.2.30:3478"])
            #expect(dealt.tcp == dealt.udp && dealt.tls.isEmpty)
            #expect(isGood(dealt, for: ["north"]))

            let page: ItemsOf<RelayRow> = try await portal.get("/api/v1/relays").decoded()
            #expect(page.items.map(\.isOnline) == [true])
            #expect(page.items.first?.addresses == ["udp 192.0.2.30:3478", "tcp 192.0.2.30:3478"])
            let exported = try await portal.get("/api/v1/configuration").body
            #expect(exported.contains("    secret_file: \(file)"))
            #expect(!exported.contains("north"))

            try await portal.apply(stock(file, "192.0.2.31"))
            let moved = try await client.client { $0.relays?.first }
            #expect(moved.udp.map(\.description) == ["192.0.2.31:3478"])
            try await portal.apply(PortalUnderTest.example + "\nrelays: []\n")
            #expect(try await client.client(\.relays).isEmpty)
        }
    }

    @Test func `a server that cannot be used is named with the plan, and not dealt`() async throws {
        try await PortalUnderTest.run { portal in
            let yaml = stock("/nowhere/secret")
            for isDryRun in [true, false] {
                let outcome: ApplyOutcome = try await portal.apply(yaml, dryRun: isDryRun).decoded()
                let line = try #require(outcome.plan.last)
                #expect(line.sign == "!" && line.subject == "relay stock")
                #expect(line.details.hasPrefix("/nowhere/secret cannot be read;"))
                #expect(outcome.applied == !isDryRun)
            }
            let client = try await portal.client()
            #expect(try await client.client(\.welcome).relays == [])
            let wrong = try await portal.apply(yaml.replacing("192.0.2.30", with: "turn/x"))
            #expect(wrong.status == 422)
            #expect(
                wrong.body.contains("\"line\":22,") || wrong.body.contains("\"line\":22}"),
                "\(wrong.body)"
            )
        }
    }
}
