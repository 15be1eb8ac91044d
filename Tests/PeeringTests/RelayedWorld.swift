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
