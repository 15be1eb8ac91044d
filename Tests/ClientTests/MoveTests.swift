import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

/// New flows of a resource go by another gateway, running connections stay.
@Suite struct MoveTests {
    private static func move(_ place: Int = 0) -> ToClient {
        .move(
            ToClient.Move(
                resource: "git",
                gateway: GatewayID("gateway-\(place)"),
                code: .draining,
                sentence: "It is being taken out of service."
            )
        )
    }

    private static func ack(_ address: IPAddress, from port: UInt16 = 40_000) -> [UInt8] {
        ClientWorld.tcp(to: address, from: port, flags: .ack)
    }

    private static func released(_ world: ClientWorld) -> [LeaseID] {
        world.outputs.flatMap { output -> [LeaseID] in
            if case .toPortal(.release(let release)) = output.output { release.leases } else { [] }
        }
    }

    /// A client with a connection through the first of two gateways that runs.
    private static func running() throws -> (ClientWorld, IPAddress, LeaseID) {
        let (world, address) = try LeaseTests.connected()
        world.send(ack(address))
        world.run(for: .milliseconds(50))
        let lease = try #require(world.client.authorizations["git"]?.lease?.id)
        return (world, address, lease)
    }

    private static func counts(_ world: ClientWorld) -> [Int] { world.sites.map(\.packets.count) }

    @Test func `a running connection stays, a new one takes the other gateway`() throws {
        let (world, address, lease) = try Self.running()
        #expect(Self.counts(world) == [2, 0])
        world.tell(Self.move())
        world.run(for: .milliseconds(500))
        #expect(world.requests.last?.withoutGateway == ["gateway-0"])
        #expect(world.requests.last?.standBy == nil)
        for _ in 0..<3 { world.send(Self.ack(address)) }
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.send(Self.ack(address, from: 41_000))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(100))
        #expect(Self.counts(world) == [5, 3])
        #expect(Self.released(world).isEmpty)
        // What comes back from either is the host's.
        let before = world.delivered.count
        for place in world.sites.indices {
            let ip = IPHeader(from: address, to: ClientWorld.own, transportProtocol: .udp)
            let header = UDPHeader(sourcePort: 2000, destinationPort: 1000)
            world.gatewaySends(place, ip.packet(header, payload: [9]))
        }
        world.run(for: .milliseconds(50))
        #expect(world.delivered.count == before + 2)

        world.send(ClientWorld.tcp(to: address, flags: [.fin, .ack]))
        world.run(for: .seconds(8))
        #expect(Self.released(world) == [lease])
        #expect(world.client.gateways.map(\.id) == ["gateway-1"])
        world.send(Self.ack(address, from: 41_000))
        world.run(for: .milliseconds(50))
        #expect(Self.counts(world)[1] == 4)
    }

    @Test func `a client without connections moves at once`() throws {
        let (world, address) = try LeaseTests.connected()
        let lease = try #require(world.client.authorizations["git"]?.lease?.id)
        world.tell(Self.move())
        world.run(for: .milliseconds(500))
        #expect(world.client.authorizations["git"]?.lease?.gateway == "gateway-1")
        // What was begun a moment ago might have been answered.
        world.run(for: .seconds(3))
        #expect(Self.released(world) == [lease])
        #expect(world.client.gateways.map(\.id) == ["gateway-1"])
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(50))
        #expect(Self.counts(world)[1] > 0)
    }

    @Test func `a connection that was begun in vain is begun again by the other gateway`() throws {
        let (world, address, _) = try Self.running()
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.run(for: .seconds(1))
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.tell(Self.move())
        world.run(for: .milliseconds(300))
        let ports = world.sites[1].packets.compactMap { packet in
            (try? PacketHeader(packet.bytes.rawSpan))?.sourcePort
        }
        // Once, and not those that got past it.
        #expect(ports == [41_000])
    }

    @Test func `a connection that is answered late, by the gateway of before, is that one's`()
        throws
    {
        let (world, address, _) = try Self.running()
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.run(for: .seconds(1))
        world.tell(Self.move())
        world.run(for: .milliseconds(300))
        var tcp = TCPHeader(sourcePort: 443, destinationPort: 41_000, window: 1000)
        tcp.flags = [.syn, .ack]
        let ip = IPHeader(from: address, to: ClientWorld.own, transportProtocol: .tcp)
        for place in [0, 1] {
            world.gatewaySends(place, ip.packet(tcp, payload: []))
            world.run(for: .milliseconds(50))
        }
        let before = Self.counts(world)
        world.send(Self.ack(address, from: 41_000))
        world.run(for: .milliseconds(50))
        #expect(Self.counts(world) == [before[0] + 1, before[1]])
    }

    @Test func `a name that its gateway cannot resolve is tried at the other, and nobody is told`()
        throws
    {
        let world = ClientWorld()
        world.served = ["git": [0, 1]]
        world.sites[0].status = .unresolved
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(300))
        #expect(world.sites[1].packets.count == 1)
        #expect(world.told(since: before).isEmpty)
        #expect(world.requests.count == 2)
    }

    @Test func `with nobody else to ask, the name is not served, and little is asked`() throws {
        let world = ClientWorld()
        world.served = ["git": [0]]
        world.sites[0].status = .unresolved
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        // The first one may pass, since the portal told the gateway of the name.
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(300))
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.run(for: .seconds(3))
        #expect(world.told(since: before) == [.hostUnreachable])
        #expect(world.client.authorizations["git"]?.lease?.gateway == "gateway-0")
        #expect(world.requests.count == 2)
    }

    @Test func `moved there and back, each connection stays where it began`() throws {
        let (world, address, _) = try Self.running()
        world.keepsLeases = true
        world.tell(Self.move())
        world.run(for: .milliseconds(500))
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.send(Self.ack(address, from: 41_000))
        world.run(for: .seconds(31))
        world.tell(Self.move(1))
        world.run(for: .milliseconds(500))
        let before = Self.counts(world)
        world.send(Self.ack(address))
        world.send(Self.ack(address, from: 41_000))
        world.send(ClientWorld.tcp(to: address, from: 42_000))
        world.run(for: .milliseconds(50))
        #expect(Self.counts(world) == [before[0] + 2, before[1] + 1])
        let lease = try #require(world.client.authorizations["git"]?.lease?.id)
        #expect(!Self.released(world).contains(lease))
    }

    @Test func `a lease that ends with its gateway makes its connections speak`() throws {
        let (world, _, lease) = try Self.running()
        world.tell(Self.move())
        world.run(for: .milliseconds(500))
        let before = world.delivered.count
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(
                    lease: lease,
                    resource: "git",
                    code: "draining",
                    sentence: "Its gateway was taken out of service."
                )
            )
        )
        #expect(world.delivered.count == before + 1)
        #expect(world.client.gateways.map(\.id) == ["gateway-1"])
    }
}
