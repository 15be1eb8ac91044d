import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("A portal that comes back, a clock that jumps")
struct ReconnectTests {
    private static let resources = [ClientWorld.name("git", "git.example.com")]

    private static func reconnect(
        _ world: ClientWorld,
        leases: [LeaseState]?
    ) -> FromRole.Hello {
        world.handle(.portalConnected(false))
        let hello = world.client.hello(name: "laptop", software: "1", os: "linux")
        world.handle(.portalConnected(true))
        var welcome = world.welcome(resources, revision: 2)
        welcome.leases = leases
        world.handle(.portal(.welcome(welcome)))
        return hello
    }

    @Test("hello names the leases, welcome says which live on and for how long")
    func livesOn() throws {
        let (world, address) = try LeaseTests.connected(leaseSeconds: 60)
        let lease = try #require(world.client.authorizations["git"]?.lease)
        let state = LeaseState(lease: lease.id, lifetimeSeconds: 600)
        let hello = Self.reconnect(world, leases: [state])
        #expect(hello.leases == [lease.id])
        world.run(for: .seconds(100))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.requests.count == 1)
    }

    @Test("a lease that welcome does not name is over; the next packet asks")
    func isOver() throws {
        let (world, address) = try LeaseTests.connected()
        _ = Self.reconnect(world, leases: [])
        #expect(world.client.authorizations["git"]?.lease == nil)
        world.served = [:]
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(50))
        #expect(world.told(since: before) == [.prohibited])
    }

    @Test("a welcome that says nothing of leases ends none")
    func saysNothing() throws {
        let (world, _) = try LeaseTests.connected()
        _ = Self.reconnect(world, leases: nil)
        #expect(world.client.authorizations["git"]?.lease != nil)
    }

    @Test("a lease that came after hello is not ended by a later welcome")
    func newerLease() throws {
        let (world, _) = try LeaseTests.connected()
        var welcome = world.welcome(Self.resources, revision: 2)
        welcome.leases = []
        world.handle(.portal(.welcome(welcome)))
        #expect(world.client.authorizations["git"]?.lease != nil)
    }

    @Test("welcome ten times over: 100 flows lose nothing, nothing is sent again")
    func welcomeAgain() throws {
        let world = ClientWorld()
        world.served = ["chat": [0]]
        let resources = [ClientWorld.name("chat", "*.slack.com")]
        world.start(resources)
        var addresses: [IPAddress] = []
        for number in 0..<100 {
            addresses.append(try #require(world.resolve("n\(number).slack.com").first))
        }
        for address in addresses { world.send(ClientWorld.udp(to: address)) }
        world.run(for: .seconds(1))
        for address in addresses { world.send(ClientWorld.udp(to: address)) }
        world.run(for: .seconds(1))
        let (packets, frames) = (world.sites[0].packets.count, world.sites[0].frames.count)
        let (outputs, delivered) = (world.outputs.count, world.delivered.count)
        for round in 0..<10 {
            world.handle(.portal(.welcome(world.welcome(resources, revision: UInt64(round + 2)))))
            for address in addresses { world.send(ClientWorld.udp(to: address)) }
        }
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == packets + 1_000)
        #expect(world.sites[0].frames.count == frames)
        #expect(world.outputs.count == outputs)
        #expect(world.delivered.count == delivered)
    }

    @Test("candidates that change while the portal is away are told once, as they are then")
    func candidatesHeld() {
        let world = ClientWorld()
        world.start(Self.resources)
        world.handle(.portalConnected(false))
        let before = world.outputs.count
        func told() -> [[String]] {
            world.outputs[before...].compactMap { entry in
                guard case .toPortal(.candidates(let changed)) = entry.output else { return nil }
                return changed.candidates.map(\.endpoint.description)
            }
        }
        for last in 1...5 as ClosedRange<UInt32> {
            world.handle(.localAddresses([IPAddress(ipv4: 0xc0a8_0100 + last)], port: 5000))
        }
        #expect(told().isEmpty)
        world.handle(.portalConnected(true))
        #expect(told() == [["192.168.1.5:5000"]])
        world.handle(.portal(.welcome(world.welcome(Self.resources, revision: 2))))
        #expect(told().count == 1)
    }

    @Test("another network: gateways are asked to open their NAT at once, packets go on at once")
    func moved() throws {
        let (world, address) = try LeaseTests.connected()
        let before = world.outputs.count
        world.clientEndpoint = Endpoint(IPAddress(ipv4: 0xc0a8_0205), port: 5000)
        world.handle(.localAddresses([world.clientEndpoint.address], port: 5000))
        let punches = world.outputs[before...].compactMap { entry -> FromRole.Punch? in
            if case .toPortal(.punch(let punch)) = entry.output { punch } else { nil }
        }
        #expect(punches.map(\.gateway) == ["gateway-0"])
        #expect(punches.first?.candidates.map(\.endpoint) == [world.clientEndpoint])
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 0)) <= .milliseconds(40)
        )
        // It is the same session: nobody asked for another one, or for another gateway.
        #expect(world.requests.count == 1)
    }

    @Test("after ten hours of sleep everything expired is over in one turn, the next packet heals")
    func sleep() throws {
        let (world, address) = try LeaseTests.connected(leaseSeconds: 3_600)
        world.now = world.now.advanced(by: .seconds(36_000))
        world.client.advance(to: world.now, into: &world.outbox)
        world.settle()
        #expect(world.client.authorizations["git"]?.lease == nil)
        let deadline = world.client.nextDeadline
        #expect(deadline.map { $0 > world.now } ?? true)
        for place in world.sites.indices {
            world.sites[place].pool.advance(to: world.now, into: &world.outbox)
            world.outbox.removeAll()
        }
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 0)) <= .milliseconds(120)
        )
    }

    @Test("a packet that comes before anybody noticed the sleep heals too")
    func sleepThenPacket() throws {
        let (world, address) = try LeaseTests.connected(leaseSeconds: 3_600)
        world.now = world.now.advanced(by: .seconds(36_000))
        world.send(ClientWorld.udp(to: address))
        #expect(world.requests.count == 2)
        world.run(for: .milliseconds(200))
        #expect(world.sites[0].packets.count == 2)
    }
}
