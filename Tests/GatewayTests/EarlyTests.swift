import Bytes
import Control
import Gateway
import IP
import Peering
import SansIO
import Testing

/// A client that hears from the portal before its gateway does.
@Suite struct GrantsThatAreOvertaken {
    private func world() -> (GatewayWorld, TestClient) {
        let world = GatewayWorld()
        world.zones["other.example.org"] = Zone(addresses: [Address.real2])
        return (world, world.connectedClient())
    }

    private func grant(_ world: GatewayWorld, _ client: TestClient) -> Grant {
        world.grant(
            client,
            ResourceForGateway(id: "late", name: "Late", address: .name("*.example.org")),
            lease: "late"
        )
    }

    private static let proxy = Address.of("100.96.0.77")

    @Test func `a names frame waits for its grant and is answered then`() {
        let (world, client) = world()
        world.name("other.example.org", [Self.proxy], resource: "late", by: client)
        world.run(for: .milliseconds(300))
        #expect(world.lastAnswer(client)?.status != .notAuthorized)
        world.order(grant(world, client))
        #expect(world.lastAnswer(client)?.status == .active)
        #expect(world.lastAnswer(client)?.epoch == client.epoch)
    }

    @Test func `without its grant a names frame is refused after one second`() {
        let (world, client) = world()
        world.name("other.example.org", [Self.proxy], resource: "late", by: client)
        world.run(for: .milliseconds(990))
        #expect(world.lastAnswer(client)?.status != .notAuthorized)
        world.run(for: .milliseconds(20))
        #expect(world.lastAnswer(client)?.status == .notAuthorized)
    }

    @Test func `packets wait for the grant and the name, and go in order`() {
        let (world, client) = world()
        for port in 1...3 {
            world.send(
                Packet.udp(from: client.address, to: Self.proxy, UInt16(5_000 + port)),
                by: client
            )
        }
        world.run(for: .milliseconds(100))
        #expect(world.forwarded.isEmpty)
        world.order(grant(world, client))
        #expect(world.forwarded.isEmpty)
        world.name("other.example.org", [Self.proxy], resource: "late", by: client)
        let headers = world.forwarded.compactMap { Packet.header($0) }
        #expect(headers.map(\.destinationPort) == [5_001, 5_002, 5_003])
        #expect(headers.allSatisfy { $0.destination == Address.real2 })
        #expect(client.received.isEmpty)
        world.run(for: .seconds(2))
        #expect(client.received.isEmpty)
    }

    @Test func `a packet to a network waits for its grant`() {
        let (world, client) = world()
        world.send(Packet.tcp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        world.send(Packet.tcp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "network"))
        #expect(world.forwarded.count == 1)
        #expect(client.received.isEmpty)
    }

    @Test func `a grant for something else lets nothing through`() {
        let (world, client) = world()
        world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        world.run(for: .milliseconds(500))
        world.order(world.grant(client, Resources.network("10.8.0.0/16"), lease: "network"))
        #expect(world.forwarded.isEmpty)
        #expect(client.received.isEmpty)
        world.run(for: .milliseconds(510))
        #expect(client.last?.icmpCode == 13)
        #expect(client.received.count == 1)
    }

    @Test func `of too many early packets those that find no room are refused at once`() {
        let (world, client) = world()
        for port in 0..<140 {
            world.send(
                Packet.udp(from: client.address, to: Address.of("10.9.9.9"), UInt16(port + 1)),
                by: client
            )
        }
        #expect(client.received.count == 12)
        #expect(world.gateway.counters.earlyRefused == 12)
        world.run(for: .seconds(1))
        #expect(client.received.count == 140)
    }

    @Test func `what can never be granted is refused at once`() {
        let (world, client) = world()
        for address in ["100.64.7.7", "100.100.111.1"] {
            world.send(Packet.udp(from: client.address, to: Address.of(address)), by: client)
        }
        #expect(client.received.count == 2)
    }

    @Test func `a client that goes takes along what waits`() {
        let (world, client) = world()
        world.send(Packet.udp(from: client.address, to: Address.of("10.9.9.9")), by: client)
        world.revoke("lease-1")
        world.run(for: .seconds(2))
        #expect(world.forwarded.isEmpty)
        #expect(world.gateway.status(at: world.now).clients.isEmpty)
    }

    @Test func `an older name of a welcome takes no address from a newer one of the client`() {
        let (world, client) = world()
        world.zones["newer.example.com"] = Zone(addresses: [Address.real2])
        let old = world.grant(
            client,
            Resources.app(),
            lease: "lease-1",
            name: "app.example.com",
            proxies: [Address.proxy1]
        )
        world.name("newer.example.com", [Address.proxy1], by: client)
        world.welcome([old])
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
    }

    @Test func `a punch probes the candidates that it names`() {
        let (world, client) = world()
        let sent = world.gateway.status(at: world.now).clients.first?.bytesOut ?? 0
        let candidate = Control.Candidate(kind: .serverReflexive, endpoint: client.endpoint)
        world.say(
            .portal(.punch(ToGateway.Punch(client: client.id, candidates: [candidate])))
        )
        let after = world.gateway.status(at: world.now).clients.first?.bytesOut ?? 0
        #expect(after > sent)
        #expect(world.gateway.counters.punches == 1)
    }
}
