import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("Names at a gateway")
struct NamesTests {
    /// A wildcard with one name in use.
    static func world() throws -> ClientWorld {
        let world = ClientWorld()
        world.served = ["chat": [0]]
        world.start([ClientWorld.name("chat", "*.slack.com")])
        world.send(ClientWorld.tcp(to: try #require(world.resolve("a.slack.com").first)))
        world.run(for: .milliseconds(200))
        return world
    }

    @Test("a further name of a resource goes to its gateway, not to the portal")
    func further() throws {
        let world = try Self.world()
        let address = try #require(world.resolve("b.slack.com").first)
        let start = world.now
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(100))
        #expect(world.requests.count == 1)
        let arrived = try #require(world.sites[0].packets.last)
        // There and back with the names, then the packet's own way.
        #expect(start.duration(to: arrived.at) == .milliseconds(30))
        let told = world.sites[0].frames.compactMap {
            if case .names(let names) = $0.frame { names } else { nil }
        }
        #expect(told.map(\.name) == ["a.slack.com", "b.slack.com"])
        #expect(told.last?.resource == "chat")
        #expect(told.last?.proxies.contains(address) == true)
        #expect(try #require(told.first).epoch < (try #require(told.last)).epoch)
    }

    @Test(
        "a gateway that does not answer is told again, ever more slowly; after 2 s the sender is told"
    )
    func silent() throws {
        let world = try Self.world()
        world.sites[0].status = nil
        let address = try #require(world.resolve("b.slack.com").first)
        let (before, frames) = (world.delivered.count, world.sites[0].frames.count)
        let start = world.now
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(2100))
        let times = world.sites[0].frames[frames...].map { start.duration(to: $0.at) }
        #expect(
            times == [0, 250, 750, 1750].map { .milliseconds($0 + 10) }
        )
        #expect(world.told(since: before) == [.hostUnreachable])
        // The next packet after a while tries again.
        world.sites[0].status = .active
        world.run(for: .seconds(3))
        world.send(ClientWorld.tcp(to: address, from: 40_001))
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == 2)
    }

    @Test("a name without addresses: host unreachable at once; the next query tries again")
    func noAddresses() throws {
        let world = try Self.world()
        world.sites[0].status = .noAddresses
        let address = try #require(world.resolve("b.slack.com").first)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(25))
        world.send(ClientWorld.tcp(to: address, from: 40_001))
        #expect(world.told(since: before) == [.hostUnreachable, .hostUnreachable])
        world.sites[0].status = .active
        _ = world.resolve("b.slack.com")
        world.send(ClientWorld.tcp(to: address, from: 40_002))
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == 2)
    }

    @Test("a name outside of the pattern: prohibited")
    func mismatch() throws {
        let world = try Self.world()
        world.sites[0].status = .nameMismatch
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: try #require(world.resolve("b.slack.com").first)))
        world.run(for: .milliseconds(25))
        #expect(world.told(since: before).last == .prohibited)
    }

    @Test("a gateway that knows of no lease makes the client ask the portal again")
    func notAuthorized() throws {
        let world = try Self.world()
        world.run(for: .seconds(2))
        world.sites[0].status = .notAuthorized
        world.send(ClientWorld.tcp(to: try #require(world.resolve("b.slack.com").first)))
        world.run(for: .milliseconds(30))
        #expect(world.requests.count == 2)
        world.sites[0].status = .active
        world.run(for: .milliseconds(200))
        #expect(world.sites[0].packets.count == 2)
    }

    @Test("the families that the answer tells are kept with the name")
    func families() throws {
        let world = try Self.world()
        world.sites[0].families = [.ipv4]
        let address = try #require(world.resolve("b.slack.com").first)
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(100))
        #expect(world.resolve("b.slack.com").count == 4)
        #expect(world.resolve("b.slack.com", .aaaa).isEmpty)
    }

    @Test("a restarted client knows the names and addresses that it handed out")
    func restart() throws {
        let world = try Self.world()
        let address = world.resolve("a.slack.com")
        let next = ClientWorld(seed: 2, names: world.persisted)
        next.served = ["chat": [0]]
        next.start([ClientWorld.name("chat", "*.slack.com")])
        #expect(next.resolve("c.slack.com").allSatisfy { !address.contains($0) })
        // Without a query: the packet is enough.
        next.send(ClientWorld.tcp(to: try #require(address.first)))
        #expect(next.requests.map(\.name) == ["a.slack.com"])
        #expect(Set(next.resolve("a.slack.com")) == Set(address))
    }

    @Test("the record of a new name is put out before its answer")
    func persistsFirst() throws {
        let world = try Self.world()
        let before = world.persisted.count
        _ = world.resolve("new.slack.com")
        #expect(world.persisted.count > before)
        let after = world.persisted.count
        _ = world.resolve("new.slack.com")
        #expect(world.persisted.count == after)
    }

    @Test("a resource that is gone takes its names with it: they are forwarded, packets are told")
    func removed() throws {
        let world = try Self.world()
        let address = try #require(world.resolve("a.slack.com").first)
        world.tell(
            .changes(ToClient.Changes(revision: 2, changes: [.resourceRemoved("chat")]))
        )
        #expect(world.resolve("a.slack.com").isEmpty)
        let exchanges = world.outputs.filter {
            if case .exchange = $0.output { true } else { false }
        }
        #expect(exchanges.count == 1)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        #expect(world.told(since: before) == [.hostUnreachable])
        #expect(world.configuration?.flushesCaches == true)
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].frames.last?.frame == .goodbye(.finished))
    }
}
