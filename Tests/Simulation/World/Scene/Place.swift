internal import Bytes
internal import IP
internal import SansIO

/// A network with what one host is called in it.
final class Place {
    /// Whose place it is; decides the addresses.
    enum Owner: Int { case client, gateway, relay }

    let settings: PlaceSettings
    let network: Network
    /// The host's addresses there.
    let addresses: [IPAddress]
    private let owner: Owner
    private let number: Int

    /// - Parameters:
    ///   - settings: What it is like.
    ///   - owner: Whose it is.
    ///   - number: Which of that owner's.
    ///   - world: Whose randomness the boxes take their ports from.
    init(_ settings: PlaceSettings, _ owner: Owner, _ number: Int, in world: World) {
        (self.settings, self.owner, self.number) = (settings, owner, number)
        let isPublic = settings.nat == nil
        let external = Self.external(owner, number)
        addresses = settings.families.map { family in
            if family == .ipv6 {
                return Plan.address("2001:db8:\(owner.rawValue + 1)\(number)::10")
            }
            return isPublic
                ? external : Plan.address("192.168.\(1 + number).\(10 + owner.rawValue)")
        }
        network = Network(
            "\(owner)-\(number)",
            families: settings.families,
            nat: settings.nat.map {
                NATBox($0, external: external, random: world.random.fork())
            },
            firewall: settings.firewall.map {
                NATBox($0, external: external, random: world.random.fork())
            },
            blocksUDP: settings.blocksUDP
        )
    }

    private static func external(_ owner: Owner, _ number: Int) -> IPAddress {
        IPAddress(ipv4: 0xcb00_7100 + UInt32(owner.rawValue * 64 + number * 16 + 10))
    }

    /// The address that a server on the internet sees.
    var seenAddress: IPAddress? {
        settings.families.contains(.ipv4)
            ? network.nat?.external ?? addresses.first : addresses.last
    }
}
