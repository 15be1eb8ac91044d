import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

/// What it costs to stay connected while nothing happens.
@Suite("Idle")
struct IdleTests {
    /// What ten idle minutes cost a connected pair, after things have settled.
    struct Cost {
        var clientWakes: Int
        var gatewayWakes: Int
        var clientDatagrams: Int
        var gatewayDatagrams: Int

        init(_ world: TwoPools) {
            world.run(for: .seconds(120))
            let wakes = (world.clientWakes, world.gatewayWakes)
            let sent = (world.sentByClient.count, world.sentByGateway.count)
            world.run(for: .seconds(600))
            clientWakes = world.clientWakes - wakes.0
            gatewayWakes = world.gatewayWakes - wakes.1
            clientDatagrams = world.sentByClient.count - sent.0
            gatewayDatagrams = world.sentByGateway.count - sent.1
        }
    }

    @Test("without relays: one wake, one datagram and its answer for each keepalive")
    func plain() {
        for seed in 1...5 {
            let world = TwoPools(seed: UInt64(seed))
            _ = world.connect()
            let cost = Cost(world)
            #expect((25...32).contains(cost.clientWakes), "\(cost)")
            // Its answers are its keepalives.
            #expect(cost.gatewayWakes <= 2, "\(cost)")
            #expect((24...40).contains(cost.clientDatagrams), "\(cost)")
            #expect((24...40).contains(cost.gatewayDatagrams), "\(cost)")
        }
    }

    @Test("with three relays and a direct path: what is due at about the same time goes together")
    func direct() throws {
        for seed in 1...5 {
            let (world, index) = try RelayedWorld.connected(seed: UInt64(seed), relays: 3)
            let delays = [4, 17, 39].map { Duration.milliseconds($0) }
            for (relay, delay) in zip(world.relays, delays) { world.relayDelays[relay.id] = delay }
            #expect(world.client.status(of: index)?.kind == .serverReflexive)
            let cost = Cost(world)
            #expect((48...64).contains(cost.clientWakes), "\(cost)")
            #expect((24...36).contains(cost.gatewayWakes), "\(cost)")
            // Three Bindings and the three warm paths besides the chosen one.
            #expect((100...240).contains(cost.clientDatagrams), "\(cost)")
        }
    }

    @Test("on a relayed path: the direct ways are tried together, at each keepalive")
    func relayed() throws {
        for seed in 1...5 {
            let (world, index) = try RelayedWorld.connected(
                seed: UInt64(seed),
                relays: 3,
                isSymmetric: true
            )
            #expect(world.client.status(of: index)?.kind == .relayed)
            let cost = Cost(world)
            #expect((48...64).contains(cost.clientWakes), "\(cost)")
            #expect((24...36).contains(cost.gatewayWakes), "\(cost)")
        }
    }

    @Test("a relay's endpoint of a family that we have no address of is not sent to")
    func families() throws {
        let world = TwoPools(seed: 1)
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        world.relays = [relay]
        world.clientHosts = [Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)]
        world.setClientHosts(world.clientHosts)
        let other = try #require(Endpoint("[2001:db8::10]:3478"))
        world.deal([("r", [relay.endpoint, other])], to: .client)
        world.run(for: .seconds(100))
        #expect(!world.isSentTo(other))
        // Now there is one.
        world.setClientHosts(world.clientHosts + [try #require(Endpoint("[fd99::2]:5000"))])
        world.run(for: .seconds(1))
        #expect(world.isSentTo(other))
    }

    @Test("a gateway that is gone: packets are tried for, then nothing but keepalives is sent")
    func goneGateway() throws {
        for seed in 1...5 {
            let world = TwoPools(seed: UInt64(seed))
            let index = world.connect()
            world.isCut = true
            world.flow(from: .client, to: index, every: .milliseconds(500), for: .seconds(4))
            #expect(world.hasEvent(.lost(index), since: Instant(nanoseconds: 0)))
            world.run(for: .seconds(50))
            let before = (world.sentByClient.count, world.initiations.count)
            world.run(for: .seconds(300))
            #expect(world.sentByClient.count - before.0 <= 20)
            #expect(world.initiations.count == before.1)
            // The next packet tries again at once.
            world.isCut = false
            let start = world.now
            world.flow(from: .client, to: index, for: .seconds(1), mark: 8)
            world.clientSends(TwoPools.packet(8), to: index)
            world.run(for: .milliseconds(100))
            #expect(world.heard(8, at: .gateway, since: start) != nil)
        }
    }

    @Test("a gateway that falls silent while nothing is sent: no handshake is tried for it")
    func goneWhileIdle() {
        let world = TwoPools(seed: 6)
        _ = world.connect()
        world.run(for: .seconds(60))
        world.isCut = true
        let before = (world.sentByClient.count, world.initiations.count)
        world.run(for: .seconds(600))
        #expect(world.initiations.count == before.1)
        #expect(world.sentByClient.count - before.0 < 1000)
    }
}
