import Bytes
import IP
import STUN
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Paths through relays")
struct RelayedPathTests {
    @Test("behind strict NATs, both symmetric: connected, packets both ways, by channel soon")
    func symmetric() throws {
        let (world, index) = try RelayedWorld.connected(seed: 1, isSymmetric: true)
        let known = world.client.status(of: index)
        let status = try #require(known)
        #expect(status.kind == .relayed)
        world.flow(from: .client, to: index, for: .seconds(1), mark: 5)
        #expect(world.heard(5, at: .gateway, since: Instant(nanoseconds: 0)) != nil)
        #expect(world.gatewaySends(TwoPools.packet(6)) == .sent)
        world.run(for: .milliseconds(100))
        #expect(world.heard(6, at: .client, since: Instant(nanoseconds: 0)) != nil)
        #expect(world.initiations.count == 1)
        if status.relay != nil {
            let indications = world.relays.map(\.indicationCount).reduce(0, +)
            world.flow(from: .client, to: index, for: .seconds(1))
            #expect(world.relays.map(\.channelCount).reduce(0, +) >= 50)
            #expect(world.relays.map(\.indicationCount).reduce(0, +) - indications < 20)
        }
    }

    @Test("cone NATs: direct within a second, though relays are there")
    func direct() throws {
        for seed in 1...10 {
            let (world, index) = try RelayedWorld.connected(seed: UInt64(seed))
            let known = world.client.status(of: index)
            let status = try #require(known)
            #expect(status.kind == .serverReflexive, "seed \(seed)")
            #expect(status.relay == nil)
            #expect(status.remote?.address == world.gatewayRouter.publicAddress)
        }
    }

    @Test("a gateway whose NAT deals a port to each peer: direct, as its probes come to the client")
    func symmetricGateway() throws {
        for seed in 1...10 {
            let (world, index) = try RelayedWorld.connected(
                seed: UInt64(seed),
                filtering: .byAddress,
                isGatewaySymmetric: true
            )
            let known = world.client.status(of: index)
            let status = try #require(known)
            #expect(status.kind == .peerReflexive, "seed \(seed)")
            #expect(status.remote?.address == world.gatewayRouter.publicAddress)
        }
    }

    @Test("both NATs deal a port to each peer and let everybody in: direct, and no storm of probes")
    func openSymmetric() throws {
        for seed in 1...10 {
            let (world, index) = try RelayedWorld.connected(
                seed: UInt64(seed),
                filtering: .open,
                isSymmetric: true
            )
            #expect(world.client.status(of: index)?.relay == nil)
            world.flow(from: .gateway, to: index, for: .seconds(20))
            let before = (world.sentByClient.count, world.sentByGateway.count)
            world.flow(from: .gateway, to: index, every: .milliseconds(100), for: .seconds(20))
            // 200 packets of the gateway; two asks a second of the client.
            #expect(world.sentByClient.count - before.0 < 150, "seed \(seed)")
            #expect(world.sentByGateway.count - before.1 < 350, "seed \(seed)")
            world.run(for: .seconds(60))
            let later = world.sentByClient.count
            world.run(for: .seconds(60))
            #expect(world.sentByClient.count - later < 60, "seed \(seed)")
        }
    }

    @Test("a client without relays reaches the gateway's lent address: a permission is enough")
    func farRelay() throws {
        let world = RelayedWorld.make(seed: 2, isSymmetric: true)
        world.dealRelays([], to: .client)
        world.run(for: .seconds(1))
        let mapped = Candidate(
            .serverReflexive,
            Endpoint(world.clientRouter.publicAddress, port: 40_000)
        )
        let start = world.now
        let index = try #require(
            world.introduce(
                clientCandidates: [mapped],
                gatewayCandidates: world.gateway.localCandidates
            )
        )
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .milliseconds(200))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        #expect(start.duration(to: try #require(connected).at) <= .milliseconds(90))
        #expect(world.client.status(of: index)?.kind == .relayed)
        #expect(world.client.status(of: index)?.relay == nil)
        // The gateway answers by that relay.
        let peer = try #require(world.gatewayPeer)
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(100))
        #expect(world.gateway.status(of: peer)?.relay != nil)
        #expect(world.gatewaySends(TwoPools.packet(3)) == .sent)
        world.run(for: .milliseconds(100))
        #expect(world.heard(3, at: .client, since: start) != nil)
    }

    @Test("our own relay is the only way and comes late: the handshake goes on by it at once")
    func lateRelay() throws {
        let world = TwoPools(seed: 3)
        world.clientRouter.isOn = true
        world.setClientHosts([Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)])
        let relay = FakeRelay("r", RelayedWorld.relayAddresses[0])
        world.relays = [relay]
        // The client's network lets nothing out but to the relay.
        world.blocked = [world.gatewayHosts[0]]
        let index = try #require(
            world.introduce(clientCandidates: [
                Candidate(.relayed, Endpoint(RelayedWorld.relayAddresses[0], port: 50_000))
            ])
        )
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .milliseconds(1700))
        #expect(world.client.status(of: index)?.isConnected == false)
        world.blocked = []
        world.isOnlyByRelay = true
        let start = world.now
        world.dealRelays(world.relays, to: .client)
        world.run(for: .milliseconds(400))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        // Three round trips to the relay, a Binding, a challenged Allocate and one that is granted;
        // then permission and initiation in one flight, and the response: two round trips' time.
        let taken = start.duration(to: try #require(connected).at)
        #expect(taken <= .milliseconds(100))
        #expect(world.client.status(of: index)?.relay == "r")
    }

    @Test("a large packet is cut into datagrams of one size behind channel headers: one run")
    func run() throws {
        let (world, index) = try RelayedWorld.connected(seed: 4, isSymmetric: true)
        world.forceOwnRelay(of: index)
        world.flow(from: .client, to: index, for: .seconds(1))
        #expect(world.client.status(of: index)?.relay != nil)
        let before = (world.gatewayHeard.count, world.sentByClient.count)
        let ip = IPHeader(
            from: IPAddress(ipv4: 0x6440_0002),
            to: IPAddress(ipv4: 0x0a00_0001),
            transportProtocol: .tcp
        )
        let payload = (0..<24_800).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let packet = ip.packet(
            TCPHeader(sourcePort: 1, destinationPort: 2, window: 100),
            payload: payload
        )
        let offload = Offload(
            segmentation: .tcpIPv4,
            needsChecksum: true,
            checksumStart: 20,
            checksumOffset: 16,
            headerByteCount: 40,
            segmentByteCount: 1240
        )
        #expect(world.clientSends(packet, offload, to: index) == .sent)
        #expect(world.lastRunCounts == [20])
        #expect(world.sentByClient.count - before.1 == 20)
        #expect(world.sentByClient.suffix(20).allSatisfy { $0.bytes.count == 1316 })
        world.run(for: .milliseconds(100))
        let heard = world.gatewayHeard[before.0...].map(\.bytes)
        #expect(heard.flatMap { $0.dropFirst(40) } == payload)
    }

    @Test("an endpoint that nobody announced, behind a relay, is learnt by its authentic packets")
    func learnt() throws {
        // The client's NAT gives another port to the relay than the one that was announced.
        let world = RelayedWorld.make(seed: 5, isSymmetric: true)
        world.dealRelays([], to: .client)
        let announced = Endpoint(world.clientRouter.publicAddress, port: 9_999)
        let index = try #require(
            world.introduce(
                clientCandidates: [Candidate(.serverReflexive, announced)],
                gatewayCandidates: world.gateway.localCandidates
            )
        )
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .seconds(1))
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(100))
        let peer = try #require(world.gatewayPeer)
        let known = world.gateway.status(of: peer)
        let status = try #require(known)
        #expect(status.isConnected)
        #expect(status.relay != nil)
        #expect(status.remote != announced)
        #expect(status.remote?.address == announced.address)
    }

    @Test("a gateway that hears nothing tries each relay for where the client was seen last")
    func seenByAnotherRelay() throws {
        let now = Instant(nanoseconds: 0)
        var paths = PathTable(firstNumber: 1, triesSources: false)
        let ends = [UInt32(1), 2].map { number in
            RelayEnd(
                number: number,
                hasIPv4: true,
                hasIPv6: false,
                isPrivate: false,
                isLeaving: false
            )
        }
        _ = paths.setRelays(ends, probing: nil, at: now)
        let lent = (0..<6).map { Endpoint(RelayedWorld.relayAddresses[0], port: 50_000 + $0) }
        paths.setRemotes(lent.map { Candidate(.relayed, $0) })
        let seen = Endpoint(RelayedWorld.relayAddresses[1], port: 51_475)
        let isNew = paths.learn(seen, relay: 1)
        #expect(isNew)
        for number in [UInt32(1), 2] {
            let path = paths.path(remote: seen, relay: number)
            #expect(paths.relayedPaths.contains(path))
        }
        #expect(paths.relayedPaths.count == 2 * PathTable.Limits.huntedOfRelay)
    }
}
