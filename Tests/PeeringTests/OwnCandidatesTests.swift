import Bytes
import IP
import STUN
import SansIO
import Testing
import WireGuard

@testable import Peering

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
