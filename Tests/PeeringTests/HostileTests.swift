import Bytes
import IP
import STUN
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Strangers")
struct HostileTests {
    /// Cryptography is slow in debug builds.
    #if DEBUG
        static let sources = 10_000
    #else
        static let sources = 100_000
    #endif

    @Test("initiations from 100,000 sources: bounded, answered at most by cookies, and got through")
    func flood() throws {
        let world = TwoPools(seed: 1)
        let stranger = TwoPools(seed: 2)
        stranger.isCut = true
        _ = stranger.upsertAtClient(
            PeerConfiguration(
                publicKey: world.gateway.publicKey,
                candidates: [Candidate(.host, HandshakeTests.gateway)]
            )
        )
        let initiation = try #require(stranger.sentByClient.first).bytes
        // Cookies are all that it sends: less than came.
        #expect(world.flood(initiation, sources: Self.sources) == [64])
        let counters = world.gateway.counters
        #expect(counters.parked <= 500)
        #expect(Int(counters.challenged) >= Self.sources - 500)
        #expect(world.gateway.parked.count <= 500)
        let start = world.now
        let index = try #require(world.introduce())
        world.run(for: .milliseconds(100))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        #expect(start.duration(to: try #require(connected).at) == .milliseconds(40))
    }

    @Test("an initiation replayed later, or sent back, gets no answer and changes nothing")
    func replayed() throws {
        let world = TwoPools(seed: 3)
        let index = world.connect()
        let initiation = try #require(world.sentByClient.first { $0.bytes[0] == 1 }).bytes
        let response = try #require(world.sentByGateway.first { $0.bytes[0] == 2 }).bytes
        world.run(for: .seconds(15))
        let before = (world.sentByClient.count, world.sentByGateway.count)
        let elsewhere = EndpointTests.elsewhere
        world.inject(initiation, from: elsewhere, to: .gateway)
        world.inject(initiation, from: world.gatewayHosts[0], to: .client)
        world.inject(response, from: world.clientHosts[0], to: .gateway)
        world.inject(response, from: elsewhere, to: .client)
        #expect(world.sentByClient.count == before.0)
        #expect(world.sentByGateway.count == before.1)
        #expect(world.gateway.counters.handshakesRefused == 2)
        #expect(world.client.counters.handshakesRefused == 2)
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == world.clientHosts[0])
        #expect(world.client.status(of: index)?.isConnected == true)
    }

    @Test("data of a session, replayed or sent back: nothing")
    func replayedData() throws {
        let world = TwoPools(seed: 4)
        let index = world.connect()
        world.clientSends(TwoPools.packet(5), to: index)
        let data = try #require(world.sentByClient.last).bytes
        world.run(for: .milliseconds(20))
        let before = (world.gatewayHeard.count, world.sentByGateway.count)
        world.inject(data, from: EndpointTests.elsewhere, to: .gateway)
        world.inject(data, from: world.gatewayHosts[0], to: .client)
        #expect(world.gatewayHeard.count == before.0)
        #expect(world.sentByGateway.count == before.1)
        #expect(world.gateway.counters.packetsRefused == 1)
        #expect(world.client.counters.packetsRefused == 1)
    }

    @Test("STUN that answers nothing, from the relays and from strangers: counted, no more")
    func spoofedAnswers() throws {
        let (world, index) = try RelayedWorld.connected(seed: 6, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        let known = world.client.status(of: index)
        let candidates = world.client.localCandidates
        let (heard, sent) = (world.gatewayHeard.count, world.sentByClient.count)
        var random = RandomSource(seed: 7)
        let victim = Endpoint(IPAddress(ipv4: 0xcb00_7142), port: 6_666)
        let methods: [STUNMethod] = [
            .binding, .allocate, .refresh, .createPermission, .channelBind,
        ]
        for method in methods {
            for kind in [STUNClass.success, .failure, .request, .indication] {
                var forged = STUNWriter(kind, method, TransactionID(from: &random))
                forged.append(.xorMappedAddress, victim)
                forged.append(.xorRelayedAddress, victim)
                forged.append(.lifetime, UInt32(0))
                if kind == .failure { forged.append(STUNErrorCode.allocationMismatch) }
                for relay in world.relays {
                    world.inject(forged.bytes, from: relay.endpoint, to: .client)
                }
                world.inject(forged.bytes, from: victim, to: .client)
            }
        }
        #expect(world.sentByClient.count == sent)
        #expect(world.client.relayCounters.unexpected == 2 * 4 * methods.count)
        #expect(Int(world.client.counters.foreign) >= 4 * methods.count)
        world.flow(from: .client, to: index, for: .seconds(1))
        #expect(world.client.localCandidates == candidates)
        #expect(world.client.status(of: index)?.remote == known?.remote)
        #expect(world.client.relayStatuses.allSatisfy { $0.isUsable })
        #expect(world.gatewayHeard.count - heard >= 49)
    }

    @Test("a goodbye that was forged is none; a genuine one says so once, however often it comes")
    func goodbye() throws {
        let world = TwoPools(seed: 8)
        let index = world.connect()
        let peer = try #require(world.gatewayPeer)
        world.clientSends(TwoPools.packet(1), to: index)
        var forged = try #require(world.sentByClient.last).bytes
        world.run(for: .milliseconds(50))
        // The session's index and a counter to come, but nobody's key.
        forged[8] = 0xff
        let refused = world.gateway.counters.packetsRefused
        for source in [world.clientHosts[0], EndpointTests.elsewhere] {
            world.inject(forged, from: source, to: .gateway)
        }
        #expect(world.gateway.counters.packetsRefused - refused == 2)
        #expect(world.frames.isEmpty)
        #expect(world.gateway.status(of: peer)?.isConnected == true)
        world.isCut = true
        world.clientSends(.goodbye(.shutdown), to: index)
        let genuine = try #require(world.sentByClient.last).bytes
        for _ in 0..<3 { world.inject(genuine, from: EndpointTests.elsewhere, to: .gateway) }
        #expect(world.frames == [.goodbye(.shutdown)])
        // Sent back to where it came from, it is nobody's.
        world.inject(genuine, from: world.gatewayHosts[0], to: .client)
        #expect(world.frames.count == 1)
        #expect(world.client.status(of: index)?.isConnected == true)
    }

    @Test("garbage from anybody, on every way in: counted, not answered, and nothing stops")
    func garbage() throws {
        let (world, index) = try RelayedWorld.connected(seed: 9, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        let heard = world.gatewayHeard.count
        let sent = (world.sentByClient.count, world.sentByGateway.count)
        var random = RandomSource(seed: 10)
        let relays = world.relays.map(\.endpoint)
        let sources = relays + [EndpointTests.elsewhere, world.gatewayHosts[0]]
        for round in 0..<4_000 {
            let count = Int.random(in: 0..<(round % 8 == 0 ? 1_500 : 200), using: &random)
            var bytes = random.bytes(count)
            // Something of every protocol that is spoken here.
            let starts: [[UInt8]] = [
                [], [1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0],
            ]
            let more: [[UInt8]] = [[0x40, 0], [0x7f, 0xff], [1, 1], [0, 0x17]]
            let start = (starts + more)[round % 9]
            if bytes.count >= 4 { bytes.replaceSubrange(0..<start.count, with: start) }
            let source = sources[Int.random(in: 0..<sources.count, using: &random)]
            world.inject(bytes, from: source, to: round % 2 == 0 ? .client : .gateway)
        }
        #expect(world.sentByClient.count == sent.0)
        #expect(world.sentByGateway.count == sent.1)
        #expect(world.client.counters.foreign > 100)
        #expect(world.gateway.counters.foreign > 100)
        #expect(world.gateway.parked.count == 0)
        world.flow(from: .client, to: index, for: .seconds(1))
        #expect(world.gatewayHeard.count - heard >= 49)
        #expect(world.client.relayStatuses.allSatisfy { $0.isUsable })
    }

    @Test("a relay that lies about who speaks moves nothing: only what is authentic counts")
    func lyingRelay() throws {
        let (world, index) = try RelayedWorld.connected(seed: 5, isSymmetric: true)
        let known = world.client.status(of: index)
        let paths = world.clientPaths(to: index)
        let relay = world.relays[0]
        let lent = try #require(relay.allocation(of: "client")).lent[0]
        for size in [8, 32, 64, 92, 148, 500] {
            var bytes = [UInt8](repeating: 0, count: size)
            for kind in UInt8(1)...4 {
                bytes[0] = kind
                let spoofed = Endpoint(world.gatewayRouter.publicAddress, port: 6_666)
                world.pass(relay.receive(bytes, from: spoofed, to: lent))
            }
        }
        world.run(for: .milliseconds(100))
        #expect(world.client.status(of: index)?.remote == known?.remote)
        #expect(world.clientPaths(to: index) == paths)
    }
}

@Suite("Many peers")
struct ManyPeersTests {
    @Test("a thousand peers: their addresses are permitted by few requests, an idle one costs none")
    func permissions() {
        var random = RandomSource(seed: 1)
        let world = TwoPools(seed: 2)
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        world.relays = [relay]
        world.dealRelays(world.relays, to: .gateway)
        world.run(for: .milliseconds(200))
        for number in 0..<1_000 {
            let identity = Identity(from: &random)
            let address = IPAddress(ipv4: 0x0102_0000 + UInt32(number))
            world.upsertAtGateway(
                PeerConfiguration(
                    publicKey: identity.publicKey,
                    candidates: [
                        Candidate(.serverReflexive, Endpoint(address, port: 4_000)),
                        Candidate(.host, Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 4_000)),
                    ]
                )
            )
        }
        world.run(for: .seconds(2))
        let allocation = relay.allocation(of: "gateway")
        // Nobody outside could reach a private address.
        #expect(allocation?.permissions.count == 1_000)
        relay.requests = []
        let steps = world.steps
        world.run(for: .seconds(1_000))
        // Refreshed each four minutes, many at once.
        #expect(relay.requests.count { $0 == .createPermission } <= 5 * 40)
        #expect(relay.requests.count { $0 == .binding } <= 45)
        #expect(world.steps - steps < 2_000)
    }
}
