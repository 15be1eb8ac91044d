internal import Bytes
internal import DNS
internal import IP
internal import Synchronization
internal import Testing

@testable internal import Daemon

@Suite("Names looked up by the host's own servers", .timeLimit(.minutes(1)))
struct HostLookupTests {
    private static func endpoint(_ server: TestNameserver) throws -> Endpoint {
        try #require(Endpoint(server.address))
    }

    private static let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]

    @Test("both families are found, and remembered for their time to live")
    func both() async throws {
        let server = try await TestNameserver(.datagram) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, Self.addresses))]
        }
        let endpoint = try Self.endpoint(server)
        let lookup = HostLookup(mark: nil) { [endpoint] }
        for _ in 0..<3 {
            #expect(
                await lookup.addresses(of: "portal.example", .ipv4)
                    == Self.addresses.prefix(2).compactMap { IPAddress($0) }
            )
            #expect(
                await lookup.addresses(of: "PORTAL.example", .ipv6)
                    == Self.addresses.suffix(1).compactMap { IPAddress($0) }
            )
        }
        #expect(server.queries.count == 2)
        #expect(lookup.known["portal.example"]?.count == 3)
    }

    @Test("an answer that counts for no time is asked for again; so is one of other servers")
    func forgotten() async throws {
        let first = try await TestNameserver(.datagram) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, Self.addresses, timeToLive: 0))]
        }
        let second = try await TestNameserver(.datagram) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, ["198.51.100.1"]))]
        }
        let servers = Mutex([try Self.endpoint(first)])
        let lookup = HostLookup(mark: nil) { servers.withLock { $0 } }
        for _ in 0..<2 { _ = await lookup.addresses(of: "portal.example", .ipv4) }
        #expect(first.queries.count == 2)
        let other = try Self.endpoint(second)
        servers.withLock { $0 = [other] }
        for _ in 0..<2 {
            #expect(
                await lookup.addresses(of: "portal.example", .ipv4) == [IPAddress("198.51.100.1")]
            )
        }
        #expect(second.queries.count == 1)
    }

    @Test("a truncated answer is asked for again over TCP")
    func truncated() async throws {
        let stream = try await TestNameserver(.stream) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, Self.addresses))]
        }
        let server = try await TestNameserver(.datagram, port: stream.port) { asked in
            var cut = TestNameserver.answer(to: asked.bytes, [])
            cut[2] |= 2
            return [.answer(cut)]
        }
        let endpoint = try Self.endpoint(server)
        let lookup = HostLookup(mark: nil) { [endpoint] }
        #expect(await lookup.addresses(of: "portal.example", .ipv4).count == 2)
        #expect(stream.queries.count == 1)
    }

    @Test("a server that refuses, fails or lies is passed over for the next")
    func next() async throws {
        let closed = try #require(Endpoint("127.0.0.1:1"))
        let failing = try await TestNameserver(.datagram) { asked in
            var failure = TestNameserver.answer(to: asked.bytes, [])
            failure[3] |= 2
            return [.answer([1, 2]), .answer(failure)]
        }
        let good = try await TestNameserver(.datagram) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, Self.addresses))]
        }
        let servers = [closed, try Self.endpoint(failing), try Self.endpoint(good)]
        let lookup = HostLookup(mark: nil) { servers }
        #expect(await lookup.addresses(of: "portal.example", .ipv4).count == 2)
        #expect(failing.queries.count == 1)
    }

    @Test("when nobody answers, what was good last counts; without it there is nothing")
    func lastGood() async {
        let lookup = HostLookup(mark: nil, lastGood: ["portal.example": ["192.0.2.9"]]) { [] }
        #expect(await lookup.addresses(of: "portal.example", .ipv4) == [IPAddress("192.0.2.9")])
        #expect(await lookup.addresses(of: "portal.example", .ipv6).isEmpty)
        #expect(await lookup.addresses(of: "other.example", .ipv4).isEmpty)
        #expect(await lookup.addresses(of: "::1", .ipv6) == [IPAddress("::1")])
        #expect(await lookup.addresses(of: "::1", .ipv4).isEmpty)
    }

    @Test("names that are remembered are bounded")
    func bounded() async throws {
        let server = try await TestNameserver(.datagram) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes, Self.addresses))]
        }
        let endpoint = try Self.endpoint(server)
        let lookup = HostLookup(mark: nil) { [endpoint] }
        for index in 0..<HostLookup.Limits.names + 20 {
            #expect(await !lookup.addresses(of: "n\(index).example", .ipv4).isEmpty)
        }
        #expect(lookup.known.count == HostLookup.Limits.names)
    }
}
