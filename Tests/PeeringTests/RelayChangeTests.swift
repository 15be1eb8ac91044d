import Bytes
import IP
import STUN
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Relays come and go")
struct RelayChangeTests {
    static let ends: [TwoPools.End] = [.client, .gateway]

    @Test(
        "the relay under the chosen path dies, traffic flowing: within 1 s by another",
        arguments: ends
    )
    func dies(sender: TwoPools.End) throws {
        for seed in 1...10 {
            let (world, index) = try RelayedWorld.connected(
                seed: UInt64(seed),
                relays: 3,
                isSymmetric: true
            )
            world.flow(from: sender, to: index, for: .seconds(1))
            let used = try #require(world.usedRelay(of: index), "seed \(seed)")
            used.isDead = true
            let start = world.now
            let other: TwoPools.End = sender == .client ? .gateway : .client
            world.flow(from: sender, to: index, for: .seconds(2), mark: 9)
            let at = try #require(world.heard(9, at: other, since: start), "seed \(seed)")
            #expect(start.duration(to: at) < .seconds(1), "seed \(seed)")
            #expect(world.initiations.count == 1, "seed \(seed)")
            #expect(!world.hasEvent(.lost(index), since: start), "seed \(seed)")
        }
    }

    @Test("a relay that the portal takes away is left without loss; flows by others see nothing")
    func removed() throws {
        let (world, index) = try RelayedWorld.connected(seed: 2, relays: 3, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        let used = try #require(world.usedRelay(of: index))
        let rest = world.relays.filter { $0.id != used.id }
        let before = (world.gatewayHeard.count, rest.map(\.requests.count).reduce(0, +))
        world.dealRelays(rest)
        // The gateway's candidates reach the client by the portal.
        world.introduceByCandidates()
        let start = world.now
        for _ in 0..<100 {
            world.clientSends(TwoPools.packet(9), to: index)
            world.run(for: .milliseconds(20))
        }
        world.run(for: .milliseconds(200))
        #expect(world.gatewayHeard.count - before.0 >= 100)
        #expect(world.usedRelay(of: index)?.id != used.id)
        #expect(!world.hasEvent(.distress(index), since: start))
        world.run(for: .seconds(31))
        #expect(used.allocations.isEmpty)
        #expect(world.initiations.count == 1)
        // The others were asked for permissions and channels at most: what they lend stayed.
        #expect(rest.allSatisfy { $0.allocations.count == 2 })
    }

    @Test("the same relays dealt again, with new credentials: no flow notices")
    func updated() throws {
        let (world, index) = try RelayedWorld.connected(seed: 3, isSymmetric: true)
        let path = world.client.status(of: index)?.remote
        let candidates = world.client.localCandidates
        world.dealRelays(world.relays.reversed(), to: .client)
        world.dealRelays(world.relays, to: .client)
        let before = world.gatewayHeard.count
        world.flow(from: .client, to: index, for: .seconds(1))
        #expect(world.gatewayHeard.count - before >= 49)
        #expect(world.client.status(of: index)?.remote == path)
        #expect(world.client.localCandidates == candidates)
    }

    @Test(
        "a relay that starts anew under a path: within a second by another, and back in use later"
    )
    func restarted() throws {
        let (world, index) = try RelayedWorld.connected(seed: 4, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        let used = try #require(world.usedRelay(of: index))
        used.restart()
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(2), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        world.run(for: .seconds(700))
        #expect(used.allocations.count == 2)
    }

    @Test("datagrams blocked: a stream is asked for, and carries everything")
    func stream() throws {
        let world = TwoPools(seed: 5)
        world.clientRouter.isOn = true
        world.setClientHosts([Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)])
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        world.relays = [relay]
        world.isOnlyByRelay = true
        world.dealRelays(world.relays, to: .gateway)
        world.run(for: .milliseconds(200))
        relay.isDatagramBlocked = true
        world.dealRelays(world.relays, to: .client)
        world.run(for: .seconds(2))
        #expect(world.clientRelayEvents.contains { $0.event == .unreachable("r") })
        let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 7_000)
        relay.bridges = [bridge]
        world.setRelayStream("r", bridge: bridge, at: .client)
        world.run(for: .milliseconds(300))
        let statuses = world.client.relayStatuses
        let status = try #require(statuses.first)
        #expect(status.isUsable)
        #expect(status.isStream)
        // What the relay sees of a stream is nobody's candidate.
        #expect(world.client.localCandidates.map(\.kind) == [.host, .relayed])
        let index = try #require(world.introduceByCandidates())
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .seconds(1))
        #expect(world.client.status(of: index)?.relay == "r")
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(200))
        #expect(world.heard(2, at: .gateway, since: Instant(nanoseconds: 0)) != nil)
    }

    @Test("a stream that comes when datagrams serve again is not used")
    func lateStream() throws {
        let world = RelayedWorld.make(seed: 8)
        let relay = world.relays[0]
        let lent = try #require(relay.allocation(of: "client")).lent
        let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 7_000)
        relay.bridges = [bridge]
        world.setRelayStream(relay.id, bridge: bridge, at: .client)
        world.run(for: .seconds(2))
        #expect(world.clientRelayEvents.contains { $0.event == .reachable(relay.id) })
        #expect(relay.allocation(of: "client")?.lent == lent)
        let statuses = world.client.relayStatuses
        #expect(statuses.allSatisfy { $0.isUsable && !$0.isStream })
    }

    @Test("a stream that comes while datagrams are being tried again is not used")
    func streamWhileAllocating() throws {
        let world = RelayedWorld.make(seed: 8, relays: 0)
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        world.relays = [relay]
        world.dealRelays(world.relays, to: .client)
        // The Binding is answered, the allocation is not made yet.
        world.run(for: .milliseconds(30))
        let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 7_000)
        relay.bridges = [bridge]
        world.setRelayStream(relay.id, bridge: bridge, at: .client)
        world.run(for: .seconds(2))
        #expect(world.clientRelayEvents.contains { $0.event == .reachable(relay.id) })
        let statuses = world.client.relayStatuses
        #expect(statuses.allSatisfy { $0.isUsable && !$0.isStream })
    }

    /// A world whose only relay is reached by streams from some ends.
    static func onStream(seed: UInt64, _ ends: [TwoPools.End]) throws -> (TwoPools, PeerIndex) {
        let world = RelayedWorld.make(seed: seed, relays: 0, isSymmetric: true)
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        let routers = [world.clientRouter.publicAddress, world.gatewayRouter.publicAddress]
        relay.blockedSources = Set(ends.map { routers[$0.rawValue] })
        world.relays = [relay]
        world.isOnlyByRelay = true
        world.dealRelays()
        world.run(for: .seconds(1))
        for end in ends {
            let port = UInt16(7_000 + end.rawValue)
            let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: port)
            relay.bridges.append(bridge)
            world.setRelayStream(relay.id, bridge: bridge, at: end)
        }
        world.run(for: .seconds(1))
        let index = try #require(world.introduceByCandidates())
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(2))
        #expect(world.client.status(of: index)?.isConnected == true)
        let streams = (world.client.relayStatuses + world.gateway.relayStatuses).filter(\.isStream)
        #expect(streams.count == ends.count)
        return (world, index)
    }

    @Test(
        "datagrams serve again: the stream is left without loss",
        arguments: [[TwoPools.End.client], [.gateway], [.client, .gateway]]
    )
    func backToDatagrams(ends: [TwoPools.End]) throws {
        for seed in 1...3 {
            let (world, index) = try Self.onStream(seed: UInt64(seed), ends)
            world.relays[0].blockedSources = []
            let start = world.now
            let before = (world.gatewayHeard.count, world.clientHeard.count)
            for _ in 0..<3_500 {
                let told = (world.client.localCandidates, world.gateway.localCandidates)
                world.clientSends(TwoPools.packet(9), to: index)
                world.gatewaySends(TwoPools.packet(9))
                world.run(for: .milliseconds(20))
                if (world.client.localCandidates, world.gateway.localCandidates) != told {
                    world.introduceByCandidates()
                }
            }
            world.run(for: .milliseconds(200))
            #expect(world.gatewayHeard.count - before.0 == 3_500, "seed \(seed)")
            #expect(world.clientHeard.count - before.1 == 3_500, "seed \(seed)")
            #expect(!world.hasEvent(.distress(index), since: start), "seed \(seed)")
            let statuses = world.client.relayStatuses + world.gateway.relayStatuses
            #expect(statuses.allSatisfy { $0.isUsable && !$0.isStream }, "seed \(seed)")
            #expect(world.relays[0].allocations.count == 2, "seed \(seed)")
            let told = (world.clientRelayEvents + world.gatewayRelayEvents)
                .filter { $0.at >= start && $0.event == .reachable("r") }
            #expect(told.count == ends.count, "seed \(seed)")
        }
    }

    @Test("datagrams answer, but lend nothing: the stream goes on")
    func staysOnStream() throws {
        let (world, index) = try Self.onStream(seed: 3, [.client])
        let relay = world.relays[0]
        (relay.blockedSources, relay.isQuotaReached) = ([], true)
        let before = world.gatewayHeard.count
        world.flow(from: .client, to: index, for: .seconds(90))
        world.run(for: .milliseconds(200))
        #expect(world.gatewayHeard.count - before == 4_500)
        #expect(world.client.relayStatuses.map(\.isStream) == [true])
        #expect(world.client.localCandidates.contains { $0.kind == .relayed })
        relay.isQuotaReached = false
        world.run(for: .seconds(60))
        #expect(world.client.relayStatuses.map(\.isStream) == [false])
    }

    @Test("a stream breaks while datagrams are being tried: they take over")
    func breaksDuringTrial() throws {
        let (world, _) = try Self.onStream(seed: 4, [.client])
        let relay = world.relays[0]
        relay.blockedSources = []
        let requests = relay.requests.count
        while relay.requests.dropFirst(requests).allSatisfy({ $0 != .allocate }) {
            world.run(for: .milliseconds(5))
        }
        world.setRelayStream(relay.id, bridge: nil, at: .client)
        world.run(for: .seconds(2))
        #expect(world.client.relayStatuses.map(\.isStream) == [false])
        #expect(world.client.relayStatuses.map(\.isUsable) == [true])
        #expect(world.client.localCandidates.contains { $0.kind == .relayed })
    }

    @Test("datagrams that serve again only for a moment: the stream carries everything again")
    func backOnStream() throws {
        let (world, index) = try Self.onStream(seed: 5, [.client])
        let relay = world.relays[0]
        let blocked = relay.blockedSources
        relay.blockedSources = []
        let requests = relay.requests.count
        while relay.requests.dropFirst(requests).count(where: { $0 == .allocate }) < 2 {
            world.run(for: .milliseconds(5))
        }
        world.run(for: .milliseconds(100))
        relay.blockedSources = blocked
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(60), mark: 9)
        #expect(world.heard(9, at: .gateway, since: start.advanced(by: .seconds(59))) != nil)
        #expect(world.client.relayStatuses.map(\.isStream) == [true])
        #expect(world.client.relayStatuses.map(\.isUsable) == [true])
    }

    @Test("a channel is let go with its path, permissions with their peer")
    func letGo() throws {
        let (world, index) = try RelayedWorld.connected(seed: 6, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        world.removeClientsPeer(index, goodbye: .shutdown)
        world.run(for: .seconds(1))
        let before = world.relays.map { $0.requests.count { $0 == .createPermission } }
        let channels = world.relays.map { $0.requests.count { $0 == .channelBind } }
        for relay in world.relays { relay.requests = [] }
        world.dealRelays([], to: .gateway)
        world.run(for: .seconds(1200))
        #expect(before.reduce(0, +) + channels.reduce(0, +) > 0)
        for relay in world.relays {
            #expect(!relay.requests.contains(.createPermission))
            #expect(!relay.requests.contains(.channelBind))
        }
    }

    @Test("a NAT renumbers the client, whose path goes through its own relay: within 1 s")
    func clientRenumbered() throws {
        for seed in 1...10 {
            let world = RelayedWorld.make(seed: UInt64(seed), isSymmetric: true)
            // The gateway's relay lends nothing that the client can reach.
            let far = FakeRelay("far", RelayedWorld.relayAddresses[4], lends: [])
            far.lentAddresses = [try #require(IPAddress("2001:db8::5"))]
            world.relays.append(far)
            world.dealRelays([far], to: .gateway)
            world.run(for: .seconds(40))
            let index = try #require(world.introduceByCandidates())
            world.clientSends(TwoPools.packet(0), to: index)
            world.run(for: .seconds(2))
            world.flow(from: .client, to: index, for: .seconds(1))
            #expect(world.client.status(of: index)?.relay != nil, "seed \(seed)")
            world.clientRouter.renumber()
            let start = world.now
            // The portal tells the gateway at once of the client's new candidates.
            for _ in 0..<100 {
                let told = world.client.localCandidates
                world.flow(from: .client, to: index, for: .milliseconds(20), mark: 9)
                if world.client.localCandidates != told { world.introduceByCandidates() }
            }
            let at = try #require(world.heard(9, at: .gateway, since: start), "seed \(seed)")
            #expect(start.duration(to: at) < .seconds(1), "seed \(seed)")
            #expect(world.initiations.count == 1, "seed \(seed)")
        }
    }

    @Test(
        "a NAT renumbers the gateway, whose path goes through its own relay: within 1 s",
        arguments: ends
    )
    func gatewayRenumbered(sender: TwoPools.End) throws {
        for seed in 1...10 {
            let world = RelayedWorld.make(seed: UInt64(seed), isSymmetric: true)
            world.dealRelays([], to: .client)
            world.run(for: .seconds(1))
            let mapped = Candidate(
                .serverReflexive,
                Endpoint(world.clientRouter.publicAddress, port: 40_000)
            )
            func introduce() -> PeerIndex? {
                world.introduce(
                    clientCandidates: [mapped],
                    gatewayCandidates: world.gateway.localCandidates
                )
            }
            let index = try #require(introduce())
            world.clientSends(TwoPools.packet(0), to: index)
            world.run(for: .seconds(2))
            let peer = try #require(world.gatewayPeer)
            #expect(world.gateway.status(of: peer)?.relay != nil)
            world.flow(from: sender, to: index, for: .seconds(1))
            world.gatewayRouter.renumber()
            let start = world.now
            let other: TwoPools.End = sender == .client ? .gateway : .client
            // The portal tells the client at once of the gateway's new candidates.
            for _ in 0..<100 {
                let told = world.gateway.localCandidates
                world.flow(from: sender, to: index, for: .milliseconds(20), mark: 9)
                if world.gateway.localCandidates != told { _ = introduce() }
            }
            let at = try #require(world.heard(9, at: other, since: start), "seed \(seed)")
            #expect(start.duration(to: at) < .seconds(1), "seed \(seed)")
            #expect(world.initiations.count == 1, "seed \(seed)")
        }
    }

    @Test("the client's network changes while its path goes through a relay: within 1 s")
    func roams() throws {
        let (world, index) = try RelayedWorld.connected(seed: 7, isSymmetric: true)
        world.flow(from: .client, to: index, for: .seconds(1))
        world.clientRouter.renumber()
        world.setClientHosts([Endpoint(IPAddress(ipv4: 0x0a63_0002), port: 5_000)])
        let start = world.now
        world.flow(from: .client, to: index, for: .seconds(2), mark: 9)
        let at = try #require(world.heard(9, at: .gateway, since: start))
        #expect(start.duration(to: at) < .seconds(1))
        #expect(world.initiations.count == 1)
    }
}
