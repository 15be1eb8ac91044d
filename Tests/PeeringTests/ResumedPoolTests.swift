import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

/// A gateway's pool in the hands of the next process.
@Suite("Resumed pool")
struct ResumedPoolTests {
    @Test("relays that lend anew let those in whom the process before knew")
    func permissions() throws {
        let (world, _) = try RelayedWorld.connected(seed: 3, isSymmetric: true)
        var state: [UInt8] = []
        world.gateway.write(to: &state)
        var reader = ByteReader(state.rawSpan)
        world.gateway = try PeerPool.reading(
            &reader,
            role: .gateway,
            wallClock: WallStart(unixNanoseconds: 1_800_000_000_000_000_000, at: world.now),
            random: RandomSource(seed: 9),
            at: world.now
        )
        let relay = FakeRelay("fresh", RelayedWorld.relayAddresses[3])
        world.relays = [relay]
        world.dealRelays([relay], to: .gateway)
        world.run(for: .milliseconds(200))
        let permitted = try #require(relay.allocation(of: "gateway")).permissions
        #expect(permitted.contains(world.clientRouter.publicAddress))
    }
}
