import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Networks change")
struct RoamingTests {
    @Test(
        "the gateway's address changes, traffic flowing: within 1 s, without a handshake",
        arguments: [TwoPools.End.client, .gateway]
    )
    func gatewayRoams(sender: TwoPools.End) throws {
        for seed in 1...5 {
            let world = TwoPools(seed: UInt64(seed))
            world.setGatewayHosts(world.gatewayHosts)
            let index = world.connect()
            world.flow(from: sender, to: index, for: .seconds(1))
            world.setGatewayHosts([Endpoint(IPAddress(ipv4: 0xcb00_7163), port: 51_830)])
            let start = world.now
            let other: TwoPools.End = sender == .client ? .gateway : .client
            world.flow(from: sender, to: index, for: .seconds(1), mark: 9)
            let at = try #require(world.heard(9, at: other, since: start), "seed \(seed)")
            #expect(start.duration(to: at) < .seconds(1), "seed \(seed)")
            #expect(world.initiations.count == 1)
        }
    }

    @Test("the same while idle: the next packet arrives at once")
    func idleGatewayRoams() throws {
        let world = TwoPools(seed: 2)
        world.setGatewayHosts(world.gatewayHosts)
        let index = world.connect()
        world.run(for: .seconds(100))
        world.setGatewayHosts([Endpoint(IPAddress(ipv4: 0xcb00_7163), port: 51_830)])
        world.run(for: .milliseconds(500))
        let start = world.now
        world.clientSends(TwoPools.packet(9), to: index)
        world.run(for: .milliseconds(100))
        #expect(world.heard(9, at: .gateway, since: start) != nil)
        #expect(world.initiations.count == 1)
    }

    @Test("an address that vanishes takes its pairs with it; the rest is probed at once")
    func vanished() throws {
        let world = TwoPools(seed: 3)
        let wire = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)
        let radio = Endpoint(IPAddress(ipv4: 0x0a01_0002), port: 5_000)
        world.setClientHosts([wire, radio])
        let index = world.connect()
        let sources = { world.clientPaths(to: index).map(\.local.address) }
        #expect(sources().contains(wire.address))
        let before = world.sentByClient.count
        world.setClientHosts([radio])
        #expect(!sources().contains(wire.address))
        let start = world.now
        world.run(for: .milliseconds(1))
        #expect(world.sentByClient.count > before)
        #expect(world.sentByClient[before...].allSatisfy { $0.source == radio })
        world.flow(from: .client, to: index, for: .seconds(1), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .milliseconds(200))
        #expect(world.initiations.count == 1)
    }

    @Test("IPv6 goes away and comes back: the other family carries on")
    func families() throws {
        let world = TwoPools(seed: 4)
        let four = Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)
        let six = try #require(Endpoint("[2001:db8:1::2]:5000"))
        let far = try #require(Endpoint("[2001:db8:2::5]:51830"))
        world.gatewayHosts.append(far)
        world.delays = [far: .milliseconds(1)]
        world.setClientHosts([four, six])
        let both = world.gatewayHosts.map { Candidate(.host, $0) }
        let index = try #require(world.introduce(gatewayCandidates: both))
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(2))
        #expect(world.client.status(of: index)?.remote == far)
        world.setClientHosts([four])
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(1), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        #expect(
            world.clientPaths(to: index).allSatisfy { $0.remote.address.isIPv4 || $0.remote == far }
        )
        world.setClientHosts([four, six])
        world.flow(from: .client, to: index, for: .seconds(2))
        #expect(world.client.status(of: index)?.remote == far)
        #expect(world.initiations.count == 1)
    }

    @Test("a gateway the client only listens to is looked for by probes that it answers elsewhere")
    func listener() throws {
        let (world, index) = try RelayedWorld.connected(seed: 5, relays: 3, isSymmetric: true)
        world.flow(from: .gateway, to: index, for: .seconds(1))
        let used = try #require(world.usedRelay(of: index))
        used.isDead = true
        let start = world.now
        world.flow(from: .gateway, to: index, for: .seconds(2), mark: 9)
        let at = try #require(world.heard(9, at: .client, since: start))
        #expect(start.duration(to: at) < .seconds(1))
    }
}
