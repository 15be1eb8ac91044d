import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Two pools: handshakes")
struct HandshakeTests {
    static let gateway = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830)

    static func path(from address: UInt32) -> Path {
        Path(local: .unspecified, remote: Endpoint(IPAddress(ipv4: address), port: 1))
    }

    @Test("the ladder: the same bytes after 50, 50, 50, 100, 200, 400, 800 ms, a new one after 2 s")
    func ladder() throws {
        let world = TwoPools(seed: 1)
        world.isCut = true
        let start = world.now
        let index = try #require(world.introduce())
        for _ in 0..<30 {
            world.clientSends(TwoPools.packet(1), to: index)
            world.run(for: .milliseconds(100))
        }
        let sent = world.sentByClient.filter { $0.bytes[0] == 1 }
        let first = sent.filter { $0.bytes.prefix(132) == sent[0].bytes.prefix(132) }
        let times = first.map { start.duration(to: $0.due) / .milliseconds(1) - 10 }
        #expect(times == [0, 50, 100, 150, 250, 450, 850, 1650])
        let second = sent.first { $0.bytes.prefix(132) != sent[0].bytes.prefix(132) }
        #expect(start.duration(to: try #require(second).due) == .milliseconds(2010))
    }

    @Test("nobody waits any more: no further initiations")
    func abandons() {
        let world = TwoPools(seed: 2)
        world.isCut = true
        world.introduce()
        world.run(for: .seconds(60))
        #expect(world.initiations.count <= 3)
        let before = world.sentByClient.count
        world.run(for: .seconds(600))
        #expect(world.sentByClient.count == before)
    }

    @Test("a session that does not come makes the peer lost after 3 s, once")
    func lost() throws {
        let world = TwoPools(seed: 3)
        world.isCut = true
        let start = world.now
        let index = try #require(world.introduce())
        for _ in 0..<100 {
            world.clientSends(TwoPools.packet(1), to: index)
            world.run(for: .milliseconds(100))
        }
        let losses = world.clientEvents.filter { $0.event == .lost(index) }
        #expect(losses.map { start.duration(to: $0.at) } == [.seconds(3)])
    }

    @Test("copies over several pairs make one session, each answered by the same response")
    func copies() throws {
        let world = TwoPools(seed: 4)
        world.setClientHosts(
            [Endpoint("10.0.0.2:5000"), Endpoint("10.1.0.2:5000")].compactMap { $0 }
        )
        let index = try #require(world.introduce())
        world.run(for: .seconds(1))
        let responses = world.sentByGateway.filter { $0.bytes[0] == 2 }
        #expect(responses.count >= 2)
        #expect(Set(responses.map(\.bytes)).count == 1)
        #expect(Set(responses.map(\.destination)).count >= 2)
        #expect(world.client.status(of: index)?.isConnected == true)
        #expect(world.gateway.counters.handshakes == 1)
        #expect(world.initiations.count == 1)
    }

    @Test("an initiation of a key not told of yet waits for it, for a second")
    func parks() throws {
        let world = TwoPools(seed: 5)
        let candidate = Candidate(.host, Self.gateway)
        let index = try #require(world.tellClient(candidates: [candidate]))
        world.run(for: .milliseconds(300))
        #expect(
            world.gatewayEvents.contains { $0.event == .unknownKey(world.client.publicKey) }
        )
        #expect(world.client.status(of: index)?.isConnected == false)
        let start = world.now
        world.tellGateway(candidates: [])
        world.run(for: .milliseconds(11))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        #expect(start.duration(to: try #require(connected).at) == .milliseconds(10))
    }

    @Test("a parked initiation is not answered when it is older than a second")
    func parksNotForEver() {
        var parked = ParkedInitiations()
        let key = TwoPools.presharedKey ?? TwoPools(seed: 1).client.publicKey
        let start = Instant(nanoseconds: 1)
        func entry(_ mark: UInt8, from address: UInt32, at: Instant) -> ParkedInitiations.Entry {
            ParkedInitiations.Entry(
                key: key,
                bytes: [mark],
                path: Self.path(from: address),
                at: at
            )
        }
        parked.insert(entry(1, from: 1, at: start))
        parked.insert(entry(2, from: 1, at: start.advanced(by: .milliseconds(600))))
        parked.insert(entry(3, from: 2, at: start.advanced(by: .milliseconds(700))))
        let taken = parked.take(key, at: start.advanced(by: .seconds(1)))
        #expect(taken.map(\.bytes) == [[3], [2]])
        #expect(parked.count == 0)
    }

    @Test("a flood of unknown keys keeps the newest, and one source has 64 places")
    func parksBounded() {
        var parked = ParkedInitiations()
        let key = TwoPools(seed: 1).client.publicKey
        let other = TwoPools(seed: 2).client.publicKey
        let now = Instant(nanoseconds: 1)
        func insert(_ key: Key, _ mark: UInt8, from address: UInt32) {
            parked.insert(
                ParkedInitiations.Entry(
                    key: key,
                    bytes: [mark],
                    path: Self.path(from: address),
                    at: now
                )
            )
        }
        for mark in 0..<100 { insert(key, UInt8(mark), from: 1) }
        #expect(parked.count == 64)
        for address in 0..<5000 { insert(other, 0, from: 100 + UInt32(address)) }
        #expect(parked.count == 4096)
        insert(key, 200, from: 9)
        #expect(parked.take(key, at: now).map(\.bytes) == [[200]])
    }

    @Test("only the client begins: a gateway without a session asks for nothing")
    func onlyClientBegins() {
        let world = TwoPools(seed: 6)
        world.tellGateway(candidates: [Candidate(.host, world.clientHosts[0])])
        #expect(world.gatewaySends(TwoPools.packet(1)) == .connecting)
        world.run(for: .seconds(300))
        #expect(world.sentByGateway.allSatisfy { $0.bytes == [UInt8](repeating: 0, count: 8) })
        #expect(world.initiations.isEmpty)
    }

    @Test("under load a cookie is asked for on each path, and the client answers it at once")
    func cookies() throws {
        let world = TwoPools(seed: 7)
        let flood = TwoPools(seed: 8)
        flood.isCut = true
        // A key that the gateway does not know: every copy is work, until it is too much.
        let stranger = PeerConfiguration(
            publicKey: world.gateway.publicKey,
            candidates: [Candidate(.host, Self.gateway)]
        )
        _ = flood.upsertAtClient(stranger)
        let initiation = try #require(flood.sentByClient.first).bytes
        for port in 0..<600 {
            let source = Endpoint(IPAddress(ipv4: 0x0909_0909), port: UInt16(2000 + port))
            world.inject(initiation, from: source, to: .gateway)
        }
        #expect(world.gateway.counters.challenged > 0)
        let start = world.now
        let index = try #require(world.introduce())
        world.run(for: .milliseconds(100))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        #expect(start.duration(to: try #require(connected).at) == .milliseconds(40))
        #expect(world.initiations.count == 1)
    }

    @Test("another preshared key ends the session and begins another")
    func otherSecret() throws {
        let world = TwoPools(seed: 9)
        let index = world.connect()
        let bytes = [UInt8](repeating: 8, count: 32)
        let other = Key(copying: bytes.rawSpan)
        let changed = PeerConfiguration(
            publicKey: world.gateway.publicKey,
            presharedKey: other,
            candidates: [Candidate(.host, Self.gateway)]
        )
        #expect(world.upsertAtClient(changed) == index)
        #expect(world.client.status(of: index)?.isConnected == false)
    }

    @Test("a removed peer's slot goes to another one, and its old index reaches nobody")
    func removal() throws {
        let world = TwoPools(seed: 10)
        let index = world.connect()
        world.removeClientsPeer(index, goodbye: .shutdown)
        world.run(for: .milliseconds(20))
        #expect(world.frames == [.goodbye(.shutdown)])
        #expect(world.clientSends(TwoPools.packet(1), to: index) == .unknown)
        let next = try #require(world.introduce())
        #expect(next.slot == index.slot)
        #expect(next != index)
        #expect(world.clientSends(TwoPools.packet(1), to: index) == .unknown)
    }
}
