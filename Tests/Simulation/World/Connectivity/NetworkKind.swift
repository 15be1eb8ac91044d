internal import IP
internal import SansIO

/// A kind of network that people are in.
struct NetworkKind {
    let name: String
    let place: PlaceSettings

    /// All kinds of the table.
    static let all: [NetworkKind] =
        [
            NetworkKind(name: "public", place: PlaceSettings(families: [.ipv4]))
        ] + translated + [blocked] + filtered + [dual]

    private static func word(_ dependence: NATBox.Dependence) -> String {
        switch dependence {
        case .endpointIndependent: "EI"
        case .addressDependent: "AD"
        case .addressAndPortDependent: "APD"
        }
    }

    private static func box(
        _ mapping: NATBox.Dependence,
        _ filtering: NATBox.Dependence,
        translates: Bool
    ) -> NATBox.Behaviour {
        NATBox.Behaviour(
            mapping: mapping,
            filtering: filtering,
            preservesPorts: false,
            timeout: .seconds(120),
            isRefreshedFromOutside: false,
            hairpins: false,
            translates: translates
        )
    }

    /// IPv4 behind a NAT: three mappings, three filterings.
    private static let translated = NATBox.Dependence.allCases.flatMap { mapping in
        NATBox.Dependence.allCases.map { filtering in
            NetworkKind(
                name: "\(word(mapping))/\(word(filtering))",
                place: PlaceSettings(
                    families: [.ipv4],
                    nat: box(mapping, filtering, translates: true)
                )
            )
        }
    }

    /// IPv4 behind a NAT that lets no UDP out.
    private static let blocked = NetworkKind(
        name: "no UDP",
        place: PlaceSettings(
            families: [.ipv4],
            nat: box(.endpointIndependent, .addressAndPortDependent, translates: true),
            blocksUDP: true
        )
    )

    /// IPv6 alone behind a firewall: three filterings.
    private static let filtered = NATBox.Dependence.allCases.map { filtering in
        NetworkKind(
            name: "v6/\(word(filtering))",
            place: PlaceSettings(
                families: [.ipv6],
                firewall: box(.endpointIndependent, filtering, translates: false)
            )
        )
    }

    /// Both families behind the strictest boxes.
    private static let dual = NetworkKind(
        name: "dual",
        place: PlaceSettings(
            nat: box(.addressAndPortDependent, .addressAndPortDependent, translates: true),
            firewall: box(.endpointIndependent, .addressAndPortDependent, translates: false)
        )
    )
}
