internal import IP
internal import SansIO

/// A network of one host, as a seed draws it.
struct PlaceSettings: CustomStringConvertible {
    /// Which families it offers.
    var families: [IPFamily] = IPFamily.allCases
    /// Its NAT; nil: the host has a public address.
    var nat: NATBox.Behaviour?
    /// Its IPv6 firewall; nil: nothing is filtered.
    var firewall: NATBox.Behaviour?
    var blocksUDP = false

    var description: String {
        let family =
            families.count == 2 ? "" : families.first == .ipv4 ? " IPv4 only" : " IPv6 only"
        let boxes = [nat, firewall].compactMap { $0.map { "\($0)" } }.joined(separator: "; ")
        return (boxes.isEmpty ? "open" : boxes) + family + (blocksUDP ? " without UDP" : "")
    }

    /// A NAT that is drawn from all kinds.
    static func drawnNAT(in world: World) -> NATBox.Behaviour {
        NATBox.Behaviour(
            mapping: world.pick(NATBox.Dependence.allCases),
            filtering: world.pick(NATBox.Dependence.allCases),
            preservesPorts: world.chance(perTenThousand: 5000),
            timeout: world.pick([.seconds(30), .seconds(60), .seconds(120), .seconds(300)]),
            isRefreshedFromOutside: world.chance(perTenThousand: 5000),
            hairpins: world.chance(perTenThousand: 3000),
            translates: true
        )
    }

    static func drawnFirewall(in world: World) -> NATBox.Behaviour {
        var behaviour = drawnNAT(in: world)
        (behaviour.translates, behaviour.mapping) = (false, .endpointIndependent)
        return behaviour
    }

    /// A network of clients.
    static func client(in world: World) -> PlaceSettings {
        var place = PlaceSettings()
        place.nat = drawnNAT(in: world)
        if world.chance(perTenThousand: 8000) { place.firewall = drawnFirewall(in: world) }
        switch Int.random(in: 0..<10, using: &world.random) {
        case 0..<5: place.families = [.ipv4]
        case 5: place.families = [.ipv6]
        default: break
        }
        place.blocksUDP = world.chance(perTenThousand: 700)
        return place
    }

    /// A gateway's network; its host has both families, or IPv4 alone.
    static func gateway(in world: World) -> PlaceSettings {
        var place = PlaceSettings()
        if world.chance(perTenThousand: 6000) { place.nat = drawnNAT(in: world) }
        if world.chance(perTenThousand: 5000) { place.firewall = drawnFirewall(in: world) }
        if world.chance(perTenThousand: 5000) { place.families = [.ipv4] }
        place.blocksUDP = world.chance(perTenThousand: 300)
        return place
    }
}

/// What theory says of two places, by RFC 4787 and nothing of the product.
enum Theory {
    /// Whether datagrams can flow both ways between them without a relay.
    static func isDirect(_ client: PlaceSettings, _ gateway: PlaceSettings) -> Bool {
        guard !client.blocksUDP, !gateway.blocksUDP else { return false }
        return client.families.contains { family in
            guard gateway.families.contains(family) else { return false }
            // A firewall that translates nothing is a NAT whose mappings depend on nothing.
            guard family == .ipv4 else { return true }
            return isDirect(client.nat, gateway.nat)
        }
    }

    /// The same for IPv4, nil being a public address.
    ///
    /// An end whose mapping depends on nothing shows everybody the endpoint that a relay saw. Any
    /// other end shows each peer an endpoint that nobody can know before a packet of it arrives; it
    /// can arrive where a filter looks at addresses at most, and where it can be answered from the
    /// endpoint that it was sent to.
    static func isDirect(_ one: NATBox.Behaviour?, _ other: NATBox.Behaviour?) -> Bool {
        guard let one, let other else { return true }
        switch (one.mapping == .endpointIndependent, other.mapping == .endpointIndependent) {
        case (true, true): return true
        case (true, false): return one.filtering != .addressAndPortDependent
        case (false, true): return other.filtering != .addressAndPortDependent
        case (false, false): return isOpen(one, to: other) || isOpen(other, to: one)
        }
    }

    /// Both show unknown endpoints: the first packet must be let in by an end that filters nothing,
    /// at the endpoint that a relay saw; the answer comes from another port of the known address.
    private static func isOpen(_ one: NATBox.Behaviour, to other: NATBox.Behaviour) -> Bool {
        one.filtering == .endpointIndependent && other.filtering != .addressAndPortDependent
    }
}
