import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Two pools: connecting")
struct ConnectionTests {
    @Test("one round trip after both are told, a packet can be sent and arrives")
    func connects() throws {
        let world = TwoPools(seed: 1)
        let index = try #require(world.introduce())
        #expect(world.clientSends(TwoPools.packet(1), to: index) == .connecting)
        let start = world.now
        world.run(for: .milliseconds(21))
        let connected = world.clientEvents.first { $0.event == .connected(index) }
        let at = try #require(connected).at
        #expect(start.duration(to: at) == .milliseconds(20))
        #expect(world.clientSends(TwoPools.packet(1), to: index) == .sent)
        world.run(for: .milliseconds(30))
        #expect(world.gatewayHeard.map(\.bytes) == [TwoPools.packet(1)])
        #expect(world.gatewaySends(TwoPools.packet(2)) == .sent)
        world.run(for: .milliseconds(30))
        #expect(world.clientHeard.map(\.bytes) == [TwoPools.packet(2)])
        #expect(world.initiations.count == 1)
    }
}
