import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Two pools: recovery")
struct RecoveryTests {
    @Test("a NAT renumbers the client, traffic both ways: it flows on, without a handshake")
    func clientRenumbered() {
        let world = TwoPools(seed: 1)
        world.clientRouter.isOn = true
        let index = world.connect()
        world.flow(from: .client, to: index, for: .seconds(1))
        world.clientRouter.renumber()
        let start = world.now
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(15))
        world.gatewaySends(TwoPools.packet(3))
        world.run(for: .seconds(1))
        #expect(world.heard(2, at: .gateway, since: start) != nil)
        #expect(world.heard(3, at: .client, since: start) != nil)
        #expect(world.initiations.count == 1)
        #expect(!world.hasEvent(.distress(index), since: start))
    }

    @Test("a NAT renumbers the client in a download that it only listens to: within 1 s")
    func listenerRenumbered() throws {
        let world = TwoPools(seed: 2)
        world.clientRouter.isOn = true
        let index = world.connect()
        world.flow(from: .gateway, to: index, for: .seconds(3))
        world.clientRouter.renumber()
        let start = world.now
        world.flow(from: .gateway, to: index, for: .seconds(2), mark: 9)
        let at = try #require(world.heard(9, at: .client, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        #expect(world.initiations.count == 1)
    }

    @Test(
        "a NAT renumbers the gateway, traffic flowing: within 1 s, without a handshake",
        arguments: [TwoPools.End.client, .gateway]
    )
    func gatewayRenumbered(sender: TwoPools.End) throws {
        for seed in 1...20 {
            let world = TwoPools(seed: UInt64(seed))
            world.gatewayRouter.isOn = true
            world.gatewayHosts = [Endpoint(IPAddress(ipv4: 0xc0a8_0105), port: 51_830)]
            let outside = Endpoint(world.gatewayRouter.publicAddress, port: 40_000)
            // The mapping that relays told the gateway of.
            _ = world.gatewayRouter.translateOut(world.gatewayHosts[0], to: world.clientHosts[0])
            let index = try #require(
                world.introduce(gatewayCandidates: [Candidate(.serverReflexive, outside)])
            )
            world.clientSends(TwoPools.packet(0), to: index)
            world.run(for: .seconds(2))
            world.flow(from: sender, to: index, for: .seconds(1))
            world.gatewayRouter.renumber()
            let start = world.now
            let other: TwoPools.End = sender == .client ? .gateway : .client
            world.flow(from: sender, to: index, for: .seconds(2), mark: 9)
            let at = try #require(world.heard(9, at: other, since: start), "seed \(seed)")
            #expect(start.duration(to: at) < .seconds(1), "seed \(seed)")
            #expect(world.initiations.count == 1, "seed \(seed)")
        }
    }

    @Test(
        "the gateway's NAT forgot it while idle: a punch through the portal heals the next packet"
    )
    func idleGatewayRenumbered() throws {
        let world = TwoPools(seed: 3)
        world.gatewayRouter.isOn = true
        world.gatewayHosts = [Endpoint(IPAddress(ipv4: 0xc0a8_0105), port: 51_830)]
        let outside = Endpoint(world.gatewayRouter.publicAddress, port: 40_000)
        _ = world.gatewayRouter.translateOut(world.gatewayHosts[0], to: world.clientHosts[0])
        let index = try #require(
            world.introduce(gatewayCandidates: [Candidate(.serverReflexive, outside)])
        )
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(60))
        world.gatewayRouter.renumber()
        let start = world.now
        world.flow(from: .client, to: index, for: .milliseconds(300), mark: 9)
        #expect(world.hasEvent(.distress(index), since: start))
        world.punch()
        world.flow(from: .client, to: index, for: .seconds(1), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        #expect(world.initiations.count == 1)
    }

    @Test("the same without a portal: healed by the keepalive within 25 s")
    func idleGatewayRenumberedAlone() throws {
        let world = TwoPools(seed: 4)
        world.gatewayRouter.isOn = true
        world.gatewayHosts = [Endpoint(IPAddress(ipv4: 0xc0a8_0105), port: 51_830)]
        let outside = Endpoint(world.gatewayRouter.publicAddress, port: 40_000)
        _ = world.gatewayRouter.translateOut(world.gatewayHosts[0], to: world.clientHosts[0])
        let index = try #require(
            world.introduce(gatewayCandidates: [Candidate(.serverReflexive, outside)])
        )
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(100))
        world.gatewayRouter.renumber()
        world.run(for: .seconds(26))
        let start = world.now
        world.clientSends(TwoPools.packet(9), to: index)
        world.run(for: .milliseconds(100))
        #expect(world.heard(9, at: .gateway, since: start) != nil)
    }

    @Test(
        "a gateway that crashes: distress within 300 ms of the next packet, lost after 2 s silence"
    )
    func crash() throws {
        let world = TwoPools(seed: 5)
        let index = world.connect()
        world.flow(from: .client, to: index, for: .seconds(1))
        world.isCut = true
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(4))
        func first(_ event: PeerEvent) throws -> Duration {
            let found = world.clientEvents.first { $0.at >= start && $0.event == event }
            return start.duration(to: try #require(found).at)
        }
        #expect(try first(.distress(index)) <= .milliseconds(300))
        #expect(try first(.lost(index)) <= .milliseconds(2100))
        #expect(try first(.lost(index)) >= .milliseconds(1800))
    }

    @Test("a short outage is healed when it ends, and told")
    func outage() {
        let world = TwoPools(seed: 6)
        let index = world.connect()
        world.isCut = true
        world.flow(from: .client, to: index, for: .seconds(1))
        world.isCut = false
        let start = world.now
        world.flow(from: .client, to: index, for: .milliseconds(400), mark: 7)
        #expect(world.hasEvent(.recovered(index), since: start))
        #expect(world.heard(7, at: .gateway, since: start) != nil)
        #expect(world.client.status(of: index)?.isInDistress == false)
    }

    @Test("a server that does not answer, or traffic that needs no answer, is no distress")
    func silentServer() {
        for seed in 1...10 {
            let world = TwoPools(seed: UInt64(seed))
            world.delay = .milliseconds(seed * 15)
            let index = world.connect()
            let start = world.now
            world.flow(from: .client, to: index, every: .milliseconds(7), for: .seconds(20))
            #expect(!world.hasEvent(.distress(index), since: start), "delay \(seed * 15) ms")
            #expect(world.initiations.count == 1)
        }
    }

    @Test("idle for ten minutes: still connected, and nearly silent")
    func idle() {
        let world = TwoPools(seed: 7)
        let index = world.connect()
        world.run(for: .seconds(60))
        let (before, steps) = (world.sentByClient.count, world.steps)
        world.run(for: .seconds(600))
        #expect(world.sentByClient.count - before < 100)
        #expect(world.steps - steps < 600)
        let start = world.now
        world.clientSends(TwoPools.packet(5), to: index)
        world.run(for: .milliseconds(50))
        #expect(world.heard(5, at: .gateway, since: start) != nil)
        #expect(world.gatewaySends(TwoPools.packet(6)) == .sent)
        world.run(for: .milliseconds(50))
        #expect(world.heard(6, at: .client, since: start) != nil)
    }

    @Test("rekeys lose no packet")
    func rekey() {
        let world = TwoPools(seed: 8)
        let index = world.connect()
        let before = world.gatewayHeard.count
        for _ in 0..<400 {
            world.clientSends(TwoPools.packet(1), to: index)
            world.run(for: .seconds(1))
        }
        #expect(world.gatewayHeard.count - before == 400)
        #expect((3...5).contains(world.initiations.count))
    }

    @Test("the client changes its network: within 1 s, without a handshake")
    func roaming() throws {
        let world = TwoPools(seed: 9)
        world.setClientHosts(world.clientHosts)
        let index = world.connect()
        world.flow(from: .client, to: index, for: .seconds(1))
        let address = Endpoint(IPAddress(ipv4: 0xc0a8_4d09), port: 5000)
        world.setClientHosts([address])
        let start = world.now
        world.flow(from: .gateway, to: index, for: .seconds(1), mark: 9)
        let at = try #require(world.heard(9, at: .client, since: start))
        #expect(start.duration(to: at) < .milliseconds(200))
        #expect(world.initiations.count == 1)
    }

    @Test("a path that dies is left for one that works, and taken again when it is better")
    func failsOver() throws {
        let world = TwoPools(seed: 10)
        let near = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830)
        let far = Endpoint(IPAddress(ipv4: 0xcb00_7106), port: 51_830)
        world.gatewayHosts = [near, far]
        world.delays = [near: .milliseconds(5), far: .milliseconds(40)]
        let both = [Candidate(.host, far), Candidate(.host, near)]
        let index = try #require(world.introduce(gatewayCandidates: both))
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(3))
        #expect(world.client.status(of: index)?.remote == near)
        world.blocked = [near]
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(1), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        #expect(world.client.status(of: index)?.remote == far)
        #expect(!world.hasEvent(.lost(index), since: start))
        world.blocked = []
        world.flow(from: .client, to: index, for: .seconds(40), mark: 9)
        #expect(world.client.status(of: index)?.remote == near)
        #expect(world.initiations.count == 1)
    }

    @Test("paths of nearly the same length do not make it switch")
    func hysteresis() throws {
        let world = TwoPools(seed: 11)
        let first = Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830)
        let second = Endpoint(IPAddress(ipv4: 0xcb00_7106), port: 51_830)
        world.gatewayHosts = [first, second]
        world.delays = [first: .milliseconds(20), second: .milliseconds(18)]
        let both = [Candidate(.host, first), Candidate(.host, second)]
        let index = try #require(world.introduce(gatewayCandidates: both))
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(1))
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(60))
        let switches = world.clientEvents.filter {
            if case .pathChanged = $0.event { $0.at >= start } else { false }
        }
        #expect(switches.isEmpty)
    }

    @Test("with a fifth of all datagrams lost, everybody connects and stays connected")
    func lossy() throws {
        for seed in 1...30 {
            let world = TwoPools(seed: UInt64(seed))
            world.lossPercent = 20
            let index = try #require(world.introduce())
            world.clientSends(TwoPools.packet(0), to: index)
            world.run(for: .seconds(2))
            #expect(world.client.status(of: index)?.isConnected == true, "seed \(seed)")
            let before = world.gatewayHeard.count
            world.flow(from: .client, to: index, for: .seconds(10))
            #expect(world.gatewayHeard.count - before > 350, "seed \(seed)")
            #expect(!world.hasEvent(.lost(index), since: Instant(nanoseconds: 0)), "seed \(seed)")
        }
    }
}
