import Control
import DNS
import Gateway
import IP
import SansIO
import Testing

/// What the portal is told of resources that are not reached.
@Suite struct ReachTests {
    private static func one(_ text: String = "app.example.com") -> ResourceForGateway {
        ResourceForGateway(id: "app", name: "app", address: .name(text))
    }

    /// A client with a resource that is one name, at one address.
    private static func world(
        _ zone: Zone = Zone(addresses: [Address.real1]),
        _ resource: ResourceForGateway = ReachTests.one()
    ) -> (GatewayWorld, TestClient) {
        let world = GatewayWorld()
        world.zones["app.example.com"] = zone
        let client = world.client(1)
        let grant = world.grant(
            client,
            resource,
            name: "app.example.com",
            proxies: [Address.proxy1, Address.proxy2]
        )
        world.order(grant)
        world.connect(client)
        return (world, client)
    }

    private static func told(_ world: GatewayWorld) -> [Bool] {
        world.outputs.compactMap {
            if case .toPortal(.reach(let reach)) = $0 { reach.isReached } else { nil }
        }
    }

    private static func syn(_ world: GatewayWorld, _ client: TestClient, _ port: UInt16 = 40_000) {
        world.send(Packet.tcp(from: client.address, port, to: Address.proxy1), by: client)
    }

    @Test func `a SYN that is repeated is told once in five seconds, and an answer takes it back`()
    {
        let (world, client) = Self.world()
        Self.syn(world, client)
        world.run(for: .milliseconds(500))
        #expect(Self.told(world).isEmpty)
        for _ in 0..<4 {
            world.run(for: .seconds(1))
            Self.syn(world, client)
        }
        #expect(Self.told(world) == [false])
        world.run(for: .seconds(5))
        Self.syn(world, client)
        #expect(Self.told(world) == [false, false])
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 40_000, [.syn, .ack])
        )
        #expect(Self.told(world) == [false, false, true])
    }

    @Test func `a SYN is repeated too late also when the first one waited for its name`() {
        let (world, client) = Self.world()
        Self.syn(world, client)
        world.run(for: .milliseconds(600))
        Self.syn(world, client)
        #expect(Self.told(world).isEmpty)
        world.run(for: .milliseconds(150))
        Self.syn(world, client)
        #expect(Self.told(world) == [false])
    }

    @Test func `an error of the network is told, and kept from the client, who may move`() {
        let (world, client) = Self.world()
        Self.syn(world, client)
        let sent = world.forwarded.last ?? []
        world.resourceSends(Packet.error(.hostUnreachable, about: sent, from: Address.real1))
        #expect(Self.told(world) == [false])
        #expect(client.received.isEmpty)
        // Where that leads nowhere, the next one tells the application.
        world.resourceSends(Packet.error(.hostUnreachable, about: sent, from: Address.real1))
        #expect(Self.told(world) == [false])
        #expect(client.last?.isICMPError == true)
    }

    @Test func `a closed port is an answer, and so is a reset`() {
        let (world, client) = Self.world()
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        let sent = world.forwarded.last ?? []
        world.resourceSends(Packet.error(.portUnreachable, about: sent, from: Address.real1))
        Self.syn(world, client)
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 40_000, [.rst, .ack])
        )
        #expect(Self.told(world).isEmpty)
    }

    @Test func `nameservers that are silent for a second are told, and an answer takes it back`() {
        let (world, client) = Self.world(Zone(addresses: [Address.real1], isSilent: true))
        Self.syn(world, client)
        world.run(for: .milliseconds(900))
        #expect(Self.told(world).isEmpty)
        world.run(for: .milliseconds(200))
        #expect(Self.told(world) == [false])
        world.zones["app.example.com"]?.isSilent = false
        world.name("app.example.com", [Address.proxy1, Address.proxy2], by: client)
        world.run(for: .seconds(5))
        #expect(Self.told(world).last == true)
    }

    @Test func `a name that is missing is told where the resource is that name, and only there`() {
        let (world, client) = Self.world(Zone(code: .nameError))
        world.name("app.example.com", [Address.proxy1], by: client)
        #expect(Self.told(world) == [false])
        let (other, stranger) = Self.world(Zone(code: .nameError), Self.one("*.example.com"))
        other.name("app.example.com", [Address.proxy1], by: stranger)
        #expect(Self.told(other).isEmpty)
    }

    @Test func `one dead address of two is no evidence, both are`() {
        let (world, client) = Self.world(Zone(addresses: [Address.real1, Address.real2]))
        Self.syn(world, client)
        world.run(for: .seconds(1))
        Self.syn(world, client)
        #expect(Self.told(world).isEmpty)
        #expect(world.lastForwarded?.destination == Address.real2)
        world.run(for: .seconds(2))
        Self.syn(world, client)
        #expect(Self.told(world) == [false])
    }

    @Test func `an answer while a SYN waits outweighs it, one from before does not`() {
        let (world, client) = Self.world()
        func answer(_ port: UInt16) {
            world.resourceSends(
                Packet.tcp(from: Address.real1, 443, to: client.address, port, [.syn, .ack])
            )
        }
        Self.syn(world, client, 1)
        Self.syn(world, client, 2)
        world.run(for: .milliseconds(100))
        answer(1)
        world.run(for: .seconds(1))
        Self.syn(world, client, 2)
        #expect(Self.told(world).isEmpty)
        Self.syn(world, client, 3)
        world.run(for: .seconds(1))
        Self.syn(world, client, 3)
        #expect(Self.told(world) == [false])
    }

    @Test func `a port that never answered says nothing of a host that does`() {
        let (world, client) = Self.world()
        Self.syn(world, client, 1)
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 1, [.syn, .ack])
        )
        for _ in 0..<3 {
            world.send(Packet.tcp(from: client.address, 2, to: Address.proxy1, 853), by: client)
            world.run(for: .seconds(1))
        }
        #expect(Self.told(world).isEmpty)
    }

    @Test func `nothing is told while the portal is away, nor of the internet`() {
        let (world, client) = Self.world()
        world.say(.portalConnected(false))
        Self.syn(world, client)
        world.run(for: .seconds(1))
        Self.syn(world, client)
        #expect(Self.told(world).isEmpty)
        let everywhere = ResourceForGateway(id: "all", name: "all", address: .internet)
        world.say(.portalConnected(true))
        world.order(world.grant(client, everywhere, lease: "all"))
        let far = Address.of("198.51.100.7")
        world.send(Packet.tcp(from: client.address, to: far), by: client)
        world.run(for: .seconds(1))
        world.send(Packet.tcp(from: client.address, to: far), by: client)
        #expect(Self.told(world).isEmpty)
    }
}
