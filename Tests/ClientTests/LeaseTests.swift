import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing
import WireGuard

@testable import Client

@Suite("Leases and gateways")
struct LeaseTests {
    /// A client that uses one name through the first of two gateways.
    static func connected(leaseSeconds: UInt32 = 3600) throws -> (ClientWorld, IPAddress) {
        let world = ClientWorld()
        world.leaseSeconds = leaseSeconds
        world.served = ["git": [0, 1]]
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .seconds(2))
        #expect(world.sites[0].packets.count == 1)
        return (world, address)
    }

    /// Sends until a packet arrives at a gateway; how long it took.
    static func timeUntilServed(
        _ world: ClientWorld,
        _ address: IPAddress,
        by place: Int
    ) -> Duration? {
        let start = world.now
        let before = world.sites[place].packets.count
        for _ in 0..<500 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(20))
            if world.sites[place].packets.count > before { return start.duration(to: world.now) }
        }
        return nil
    }

    @Test("a gateway that crashes while traffic flows: another one serves within 3 s")
    func crash() throws {
        let (world, address) = try Self.connected()
        for _ in 0..<20 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(50))
        }
        world.sites[0].isCut = true
        let time = try #require(Self.timeUntilServed(world, address, by: 1))
        #expect(time < .seconds(3))
        // The same addresses, and the other gateway was told them.
        #expect(world.resolve("git.example.com").contains(address))
        let names = world.sites[1].frames.compactMap {
            if case .names(let names) = $0.frame { names.proxies } else { nil }
        }
        #expect(names.first?.contains(address) == true)
        let standby = try #require(world.requests.last)
        #expect(standby.withoutGateway == ["gateway-0"])
    }

    @Test("a gateway that another one took over from is forgotten, and left alone")
    func forgotten() throws {
        let (world, address) = try Self.connected()
        world.sites[0].isCut = true
        #expect(Self.timeUntilServed(world, address, by: 1) != nil)
        world.run(for: .milliseconds(100))
        #expect(world.client.gateways.map(\.id) == ["gateway-1"])
        #expect(world.client.authorizations["git"]?.lease?.gateway == "gateway-1")
    }

    @Test("what else is asked for sticks to the gateway in use, and so does a lease that ended")
    func sticky() throws {
        let world = ClientWorld()
        world.leaseSeconds = 60
        world.served = ["a": [1], "b": [0, 1]]
        world.start([
            ClientWorld.prefix("a", "10.1.0.0/16"), ClientWorld.prefix("b", "10.2.0.0/16"),
        ])
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a01_0001)))
        world.run(for: .milliseconds(200))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .milliseconds(200))
        #expect(world.requests.last?.connected == ["gateway-1"])
        #expect(world.sites[1].packets.count == 2)
        world.run(for: .seconds(61))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .milliseconds(200))
        #expect(world.requests.last?.connected == ["gateway-1"])
        #expect(world.sites[1].packets.count == 3)
    }

    @Test("a gateway that comes back before it is given up keeps its flows")
    func comesBack() throws {
        let (world, address) = try Self.connected()
        world.sites[0].isCut = true
        for _ in 0..<60 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(20))
        }
        world.sites[0].isCut = false
        #expect(Self.timeUntilServed(world, address, by: 0) != nil)
        world.run(for: .seconds(1))
        #expect(world.client.authorizations["git"]?.lease?.gateway == "gateway-0")
        #expect(world.client.authorizations["git"]?.standby == nil)
        #expect(world.client.gateways.map(\.id) == ["gateway-0"])
    }

    @Test("nobody else serves, and the gateway returns after a minute: flows go on by themselves")
    func returns() throws {
        let (world, address) = try Self.connected()
        world.served = ["git": [0]]
        world.sites[0].isCut = true
        for _ in 0..<60 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .seconds(1))
        }
        world.sites[0].isCut = false
        world.run(for: .seconds(30))
        #expect(try #require(Self.timeUntilServed(world, address, by: 0)) < .seconds(3))
    }

    @Test("without a portal a lost gateway is not given up: it serves again when it returns")
    func returnsWithoutPortal() throws {
        let (world, address) = try Self.connected()
        world.handle(.portalConnected(false))
        world.sites[0].isCut = true
        for _ in 0..<30 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .seconds(1))
        }
        world.sites[0].isCut = false
        #expect(try #require(Self.timeUntilServed(world, address, by: 0)) < .seconds(3))
    }

    @Test("a goodbye: the next packet goes to another gateway at once")
    func goodbye() throws {
        let (world, address) = try Self.connected()
        world.gatewaySends(0, .goodbye(.shutdown))
        world.sites[0].isCut = true
        world.run(for: .milliseconds(20))
        world.sites[0].isCut = true
        let time = try #require(Self.timeUntilServed(world, address, by: 1))
        #expect(time <= .milliseconds(120))
        #expect(world.requests.last?.withoutGateway == ["gateway-0"])
    }

    @Test("a lease that ends is asked for anew by the next packet; an extended one lives on")
    func expiry() throws {
        let (world, address) = try Self.connected(leaseSeconds: 60)
        world.run(for: .seconds(50))
        let lease = try #require(world.client.authorizations["git"]?.lease)
        world.tell(
            .leaseExtended(ToClient.LeaseExtended(lease: lease.id, lifetimeSeconds: 60))
        )
        world.run(for: .seconds(50))
        world.send(ClientWorld.udp(to: address))
        #expect(world.requests.count == 1)
        world.run(for: .seconds(11))
        #expect(world.client.authorizations["git"]?.lease == nil)
        world.send(ClientWorld.udp(to: address))
        #expect(world.requests.count == 2)
    }

    @Test("a lease that is taken away: the next packet asks, and is refused as the portal says")
    func ended() throws {
        let (world, address) = try Self.connected()
        world.served = [:]
        let lease = try #require(world.client.authorizations["git"]?.lease)
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(
                    lease: lease.id,
                    resource: "git",
                    code: "revoked",
                    sentence: "The policy was removed."
                )
            )
        )
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address, flags: .ack))
        world.run(for: .milliseconds(50))
        #expect(world.told(since: before) == [.reset])
        // The gateway that nothing is leased from any more is told goodbye.
        #expect(world.sites[0].frames.last?.frame == .goodbye(.finished))
    }

    @Test("ending an older lease does not end its successor")
    func olderEnded() throws {
        let (world, address) = try Self.connected()
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(lease: "old", resource: "git", code: "expired", sentence: "")
            )
        )
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.requests.count == 1)
    }

    @Test("a gateway that started anew has another key: names are told again, flows go on")
    func restarted() throws {
        let (world, address) = try Self.connected()
        let site = world.sites[0]
        site.pool = PeerPool(
            role: .gateway,
            wallClock: .init(unixNanoseconds: 1_800_000_000_000_000_000, at: world.now),
            random: RandomSource(seed: 77)
        )
        let told = world.gateway(0)
        let request = try #require(world.requests.first)
        _ = world.decide(request)
        world.tell(
            .gatewayCandidates(
                ToClient.GatewayCandidates(
                    gateway: told.id,
                    publicKey: told.publicKey,
                    presharedKey: told.presharedKey,
                    candidates: told.candidates
                )
            )
        )
        let frames = site.frames.count
        let time = try #require(Self.timeUntilServed(world, address, by: 0))
        #expect(time < .milliseconds(200))
        #expect(site.frames.count > frames)
    }

    @Test("the portal losing a gateway that we still reach changes nothing")
    func offline() throws {
        let (world, address) = try Self.connected()
        world.tell(.gatewayOffline(ToClient.GatewayOffline(gateway: "gateway-0")))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.requests.count == 1)
    }

    @Test("two gateways of one site at a time, for different resources")
    func twoGateways() throws {
        let world = ClientWorld()
        world.served = ["a": [0], "b": [1]]
        world.start([
            ClientWorld.prefix("a", "10.1.0.0/16"), ClientWorld.prefix("b", "10.2.0.0/16"),
        ])
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a01_0001)))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .milliseconds(200))
        #expect(world.sites[0].packets.count == 1)
        #expect(world.sites[1].packets.count == 1)
        // Each may only send from what it serves.
        let ip = IPHeader(
            from: IPAddress(ipv4: 0x0a02_0001),
            to: ClientWorld.own,
            transportProtocol: .udp
        )
        let before = world.delivered.count
        let packet = ip.packet(UDPHeader(sourcePort: 2000, destinationPort: 1000), payload: [1])
        world.gatewaySends(0, packet)
        world.gatewaySends(1, packet)
        world.run(for: .milliseconds(20))
        #expect(world.delivered.count - before == 1)
    }

    @Test("shutdown says goodbye to every gateway, then is finished")
    func shutdown() throws {
        let (world, _) = try Self.connected()
        world.handle(.shutdown)
        #expect(world.outputs.last?.output == .finished)
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].frames.last?.frame == .goodbye(.shutdown))
    }
}
