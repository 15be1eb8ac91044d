import Bytes
import IP
import STUN
import SansIO
import Testing
import WireGuard

@testable import Peering

/// Two pools behind NATs, and relays.
enum RelayedWorld {
    static let relayAddresses = [
        IPAddress(ipv4: 0x0808_0801), IPAddress(ipv4: 0x0808_0802), IPAddress(ipv4: 0x0808_0803),
        IPAddress(ipv4: 0x0808_0804), IPAddress(ipv4: 0x0808_0805),
    ]

    /// Both ends behind a NAT of their own, with so many relays, which they know already.
    static func make(
        seed: UInt64,
        relays: Int = 2,
        filtering: Router.Filtering = .byEndpoint,
        isSymmetric: Bool = false,
        isGatewaySymmetric: Bool? = nil
    ) -> TwoPools {
        let world = TwoPools(seed: seed)
        world.clientRouter.isOn = true
        world.gatewayRouter.isOn = true
        (world.clientRouter.filtering, world.gatewayRouter.filtering) = (filtering, filtering)
        world.clientRouter.isSymmetric = isSymmetric
        world.gatewayRouter.isSymmetric = isGatewaySymmetric ?? isSymmetric
        world.relays = relayAddresses.prefix(relays).enumerated().map { place, address in
            FakeRelay("relay \(place + 1)", address)
        }
        world.setClientHosts([Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 5_000)])
        world.setGatewayHosts([Endpoint(IPAddress(ipv4: 0xc0a8_0105), port: 51_830)])
        world.dealRelays()
        world.run(for: .milliseconds(200))
        return world
    }

    /// The same, connected.
    static func connected(
        seed: UInt64,
        relays: Int = 2,
        filtering: Router.Filtering = .byEndpoint,
        isSymmetric: Bool = false,
        isGatewaySymmetric: Bool? = nil
    ) throws -> (TwoPools, PeerIndex) {
        let world = make(
            seed: seed,
            relays: relays,
            filtering: filtering,
            isSymmetric: isSymmetric,
            isGatewaySymmetric: isGatewaySymmetric
        )
        let index = try #require(world.introduceByCandidates())
        world.clientSends(TwoPools.packet(0), to: index)
        world.run(for: .seconds(2))
        #expect(world.client.status(of: index)?.isConnected == true)
        return (world, index)
    }
}

@Suite("Our own candidates")
struct OwnCandidatesTests {
    @Test("hosts, what relays see, what they lend: told once when it changes, and again when lost")
    func gathers() throws {
        let world = RelayedWorld.make(seed: 1)
        let candidates = world.client.localCandidates
        #expect(candidates.map(\.kind) == [.host, .serverReflexive, .relayed, .relayed])
        let mapped = Endpoint(world.clientRouter.publicAddress, port: 40_000)
        #expect(candidates[1].endpoint == mapped)
        #expect(Set(candidates.map(\.endpoint)).count == candidates.count)
        #expect(world.clientRelayEvents.allSatisfy { $0.event == .candidatesChanged })
        #expect((1...5).contains(world.clientRelayEvents.count))
        let before = world.clientRelayEvents.count
        world.run(for: .seconds(3000))
        #expect(world.clientRelayEvents.count == before)
        #expect(world.client.localCandidates == candidates)
        for relay in world.relays { relay.isDead = true }
        world.run(for: .seconds(700))
        #expect(!world.client.localCandidates.contains { $0.kind == .relayed })
        #expect(world.clientRelayEvents.filter { $0.event == .allLost }.count == 1)
        #expect(world.clientRelayEvents.contains { $0.event == .unreachable("relay 1") })
    }

    @Test("a public address is a host candidate and no other besides")
    func publicHost() {
        let world = TwoPools(seed: 2)
        world.relays = [FakeRelay("r", RelayedWorld.relayAddresses[0])]
        world.setGatewayHosts(world.gatewayHosts)
        world.dealRelays()
        world.run(for: .milliseconds(200))
        #expect(world.gateway.localCandidates.map(\.kind) == [.host, .relayed])
    }

    @Test("at most twelve; private addresses make room first")
    func bounded() {
        let hosts = (0..<20).map { Endpoint(IPAddress(ipv4: 0x0a00_0001 + $0), port: 5_000) }
        let open = Endpoint(IPAddress(ipv4: 0x0909_0909), port: 5_000)
        let mapped = (0..<5).map { Endpoint(IPAddress(ipv4: 0x0101_0101), port: 100 + $0) }
        let lent = (0..<6).map { Endpoint(IPAddress(ipv4: 0x0808_0808 + $0), port: 50_000) }
        let list = OwnCandidates.list(hosts: hosts + [open], mapped: mapped, relayed: lent)
        #expect(list.count == 12)
        #expect(list.first?.endpoint == open)
        #expect(list.count { $0.kind == .serverReflexive } == 2)
        #expect(list.count { $0.kind == .relayed } == 2)
        let few = OwnCandidates.list(hosts: [open], mapped: mapped, relayed: lent)
        #expect(few.count { $0.kind == .relayed } == 6)
    }

    @Test("three relays are held at most; one that fails is replaced by the next")
    func reserve() {
        let world = RelayedWorld.make(seed: 3, relays: 5)
        func usable() -> [String] {
            world.client.relayStatuses.filter(\.isUsable).map(\.id)
        }
        #expect(usable() == ["relay 1", "relay 2", "relay 3"])
        #expect(world.relays[3].requests.isEmpty)
        world.relays[0].isDead = true
        world.run(for: .seconds(60))
        #expect(usable().contains("relay 4"))
        #expect(world.relays[4].allocations.isEmpty)
        world.relays[0].isDead = false
        world.run(for: .seconds(1000))
        #expect(usable().count == 3)
    }

    @Test("credentials that are refused are asked for anew")
    func unauthorized() {
        let world = TwoPools(seed: 4)
        world.relays = [FakeRelay("r", RelayedWorld.relayAddresses[0])]
        world.relays[0].isStrict = true
        world.dealRelays()
        world.run(for: .seconds(5))
        #expect(world.clientRelayEvents.contains { $0.event == .unauthorized("r") })
    }
}

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
}

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
