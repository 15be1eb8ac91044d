internal import Control
internal import Foundation
internal import IP
internal import NIOCore
internal import Policy
internal import SwiftASN1
@testable internal import Portal
internal import Testing
internal import X509

/// Small rules, one by one.
@Suite struct RulesTests {
    private static let plan = AddressPlan.standard

    @Test(arguments: [
        ("203.0.113.9:51830", true), ("10.0.0.5:1024", true), ("[2001:db8::9]:51830", true),
        ("203.0.113.9:1023", false), ("127.0.0.1:4000", false), ("169.254.1.1:4000", false),
        ("224.0.0.1:4000", false), ("255.255.255.255:4000", false), ("0.0.0.0:4000", false),
        ("[::1]:4000", false), ("[fe80::1]:4000", false), ("[ff02::1]:4000", false),
        ("100.64.0.5:4000", false), ("100.96.0.5:4000", false), ("[fd00:2021:1111::5]:4000", false),
    ])
    func `a candidate may be passed on`(text: String, isAccepted: Bool) throws {
        let candidate = Candidate(kind: .host, endpoint: try #require(.init(text)))
        let rules = CandidateRules(plan: Self.plan)
        #expect(rules.accepted([candidate, candidate]) == (isAccepted ? [candidate] : []))
    }

    @Test func `at most twelve candidates are passed on, none into a resource's network`() throws {
        let many = try (1...20).map { number in
            Candidate(kind: .host, endpoint: try #require(.init("10.7.0.\(number):5000")))
        }
        let rules = CandidateRules(plan: Self.plan)
        #expect(rules.accepted(many).count == 12)
        let network = [try #require(IPPrefix("10.7.0.0/24"))]
        let outside = IPAddress("203.0.113.1")
        #expect(rules.passable(many, toSiteOf: network, clientSeenAt: outside).isEmpty)
        #expect(rules.passable(many, toSiteOf: network, clientSeenAt: nil).isEmpty)
        let inside = IPAddress("10.7.0.77")
        #expect(rules.passable(many, toSiteOf: network, clientSeenAt: inside).count == 20)
    }

    private func option(
        _ id: GatewayID,
        _ clients: Int = 0,
        draining: Bool = false,
        current: Bool = true,
        region: String? = nil
    ) -> GatewayChoice.Option {
        GatewayChoice.Option(
            id: id,
            clientCount: clients,
            isDraining: draining,
            speaksCurrent: current,
            region: region
        )
    }

    private func choice(
        _ options: [GatewayChoice.Option],
        connected: [GatewayID] = [],
        without: [GatewayID] = [],
        near region: String? = nil
    ) -> Result<GatewayID, GatewayChoice.Failure> {
        var random = SystemRandomNumberGenerator()
        do {
            return .success(
                try GatewayChoice.choose(
                    among: options,
                    connected: connected,
                    without: without,
                    near: region,
                    using: &random
                )
            )
        } catch {
            return .failure(error)
        }
    }

    @Test func `the gateway is the connected one, else the least loaded, never an excluded one`() {
        let two = [option("a", 5), option("b", 1)]
        #expect(choice(two) == .success("b"))
        #expect(choice(two, connected: ["a"]) == .success("a"))
        #expect(choice(two, connected: ["a"], without: ["a"]) == .success("b"))
        #expect(choice(two, without: ["a", "b"]) == .failure(.offline))
        #expect(choice([]) == .failure(.offline))
        #expect(choice([option("a", current: false)]) == .failure(.versionMismatch))
        #expect(choice([option("a", current: false), option("b", 9)]) == .success("b"))
        #expect(
            choice([option("a", draining: true), option("b", 9)], connected: ["a"]) == .success("b")
        )
        #expect(choice([option("a", draining: true)], connected: ["a"]) == .success("a"))
        #expect(choice([option("a", draining: true)]) == .failure(.offline))
    }

    @Test func `a gateway of the client's region goes before a less loaded one elsewhere`() {
        let three = [
            option("a", 5, region: "eu"), option("b", 1, region: "us"),
            option("c", 9, region: "eu"),
        ]
        #expect(choice(three, near: "eu") == .success("a"))
        #expect(choice(three, near: "us") == .success("b"))
        #expect(choice(three, near: "asia") == .success("b"))
        #expect(choice(three, near: nil) == .success("b"))
        #expect(choice(three, connected: ["c"], near: "us") == .success("c"))
        #expect(choice(three, without: ["a", "c"], near: "eu") == .success("b"))
    }

    @Test func `an address on a relay passes where one inside a resource does not`() throws {
        let network = [try #require(IPPrefix("203.0.113.0/24"))]
        let relay = try #require(IPAddress("203.0.113.20"))
        let candidates = [
            Candidate(kind: .relayed, endpoint: try #require(.init("203.0.113.20:50000"))),
            Candidate(kind: .relayed, endpoint: try #require(.init("203.0.113.21:50000"))),
            Candidate(kind: .host, endpoint: try #require(.init("203.0.113.20:50001"))),
        ]
        let passed = CandidateRules(plan: Self.plan).passable(
            candidates,
            toSiteOf: network,
            clientSeenAt: nil,
            isRelay: { $0 == relay }
        )
        #expect(passed == [candidates[0]])
    }

    @Test func `a pair's key depends on secret, account and both keys, and on nothing else`() throws
    {
        let keys = PresharedKeys(secret: Array(repeating: 1, count: 32), account: "a")
        let (one, two) = (try RoleTester.key(1), try RoleTester.key(2))
        let key = keys.key(client: one, gateway: two)
        #expect(key == keys.key(client: one, gateway: two))
        #expect(key != keys.key(client: two, gateway: one))
        let other = PresharedKeys(secret: Array(repeating: 1, count: 32), account: "b")
        #expect(key != other.key(client: one, gateway: two))
        let another = PresharedKeys(secret: Array(repeating: 2, count: 32), account: "a")
        #expect(key != another.key(client: one, gateway: two))
    }

    @Test func `tunnel addresses are given once, and again when given back`() throws {
        let plan = AddressPlan(
            tunnel: [try #require(IPPrefix("10.0.0.0/29")), try #require(IPPrefix("fd00::/64"))],
            proxies: [],
            sentinels: []
        )
        var addresses = TunnelAddresses(taken: [try #require(IPAddress("10.0.0.2"))])
        var given: [[IPAddress]] = []
        while let next = addresses.next(in: plan) { given.append(next) }
        #expect(
            given.map { $0[0].description } == [
                "10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6",
            ]
        )
        #expect(given[0][1].description == "fd00::1")
        for address in given[2] { addresses.release(address) }
        #expect(addresses.next(in: plan) == given[2])
    }

    @Test(arguments: [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.66, 198.51.100.7, 10.0.0.9"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
    ])
    func `who asked is told by trusted proxies only`(peer: String, header: [String], seen: String)
        throws
    {
        let remote = RemoteAddress(proxies: [try #require(IPPrefix("10.0.0.0/24"))])
        let address = try SocketAddress(ipAddress: peer, port: 1)
        #expect(remote.address(of: address, forwardedFor: header)?.description == seen)
    }

    @Test func `tries to sign in refill with time, and one name does not lock another`() {
        var limiter = SignInLimiter()
        let start = Date(timeIntervalSince1970: 0)
        for _ in 0..<5 { #expect(limiter.take(["a"], now: start) == nil) }
        #expect(limiter.take(["a"], now: start) == 30)
        #expect(limiter.take(["a", "b"], now: start) == 30)
        #expect(limiter.take(["b"], now: start) == nil)
        #expect(limiter.take(["a"], now: start.addingTimeInterval(31)) == nil)
    }

    @Test func `a reader that lags is closed, by count and by time`() {
        let outlet = Outlet()
        for _ in 0..<Outlet.Limits.messageCount { #expect(outlet.send(.message("x")) == .queued) }
        #expect(outlet.send(.message("x")) == .lagging)
        #expect(outlet.send(.message("x")) == .closed)
        let closing = Outlet()
        #expect(closing.send(.close(1000)) == .queued)
        #expect(closing.send(.message("too late")) == .closed)
    }

    @Test(arguments: [
        ("[::]:8443", "::", 8443), (":8443", "::", 8443), ("0.0.0.0:1", "0.0.0.0", 1),
        ("portal.example.com:443", "portal.example.com", 443),
        ("[2001:db8::1]:9", "2001:db8::1", 9),
    ])
    func `an address to listen on is read`(text: String, host: String, port: Int) throws {
        let address = try ListenAddress(text)
        #expect(address.host == host)
        #expect(address.port == port)
    }

    @Test(arguments: ["8443", "::1:8443", "[x]:1", "host:99999", ""])
    func `what is no address to listen on is refused`(text: String) {
        #expect(throws: PortalStartError.badListenAddress(text)) { try ListenAddress(text) }
    }

    @Test func `passwords are kept as salted scrypt, and compared`() throws {
        let one = try Secrets.hash(password: "correct horse")
        #expect(one != (try Secrets.hash(password: "correct horse")))
        #expect(one.hasPrefix("scrypt$"))
        #expect(Secrets.verify(password: "correct horse", against: one))
        #expect(!Secrets.verify(password: "correct horsf", against: one))
        #expect(!Secrets.verify(password: "correct horse", against: "nonsense"))
    }

    @Test func `a certificate is kept until it is due or lacks a name, the authority for ever`()
        throws
    {
        let folder = try StateFolder(path: PortalUnderTest.freshFolder())
        let names = ServerNames(["portal.example.com", "192.0.2.1", "2001:db8::1", "192.0.2.1"])
        func start(_ names: ServerNames, daysLater: Double) throws -> (
            print: [UInt8], chain: String?
        ) {
            let now = Date.now.addingTimeInterval(daysLater * 86_400)
            let identity = try ServerIdentity(
                source: .ownAuthority(names),
                folder: folder,
                now: now
            )
            return (identity.fingerprint, try folder.read("server.pem"))
        }
        let first = try start(names, daysLater: 0)
        let document = try PEMDocument.parseMultiple(pemString: try #require(first.chain))[0]
        let certificate = try Certificate(pemDocument: document)
        #expect(names.areCovered(by: certificate))
        #expect(try start(names, daysLater: 50).chain == first.chain)
        let renewed = try start(names, daysLater: 61)
        #expect(renewed.chain != first.chain)
        #expect(renewed.print == first.print)
        let more = try start(ServerNames(names.all + ["other.example.com"]), daysLater: 61)
        #expect(more.chain != renewed.chain)
        let attributes = try FileManager.default.attributesOfItem(
            atPath: folder.path(of: "authority.key")
        )
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
}
