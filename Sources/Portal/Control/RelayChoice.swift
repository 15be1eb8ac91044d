internal import Control

/// Which relays a client or gateway is dealt: those of its region first, then the nearest by the
/// times that it measured itself, then spread over all of them.
///
/// What it has stays until something else is clearly better, since changing a relay costs whoever
/// is connected through it a change of path.
enum RelayChoice {
    /// Numbers of the choice.
    enum Limits {
        /// Relays for one client or gateway, so that one can die.
        static let count = 2
        /// What a relay that was not measured yet is taken for, in milliseconds.
        static let unmeasured: UInt32 = 150
        /// By how much another one must be nearer to take the place of one that it has.
        static let advantage: UInt32 = 50
        /// Differences below do not count.
        static let step: UInt32 = 25
    }

    /// A relay that can be dealt now.
    struct Option: Equatable {
        let id: RelayID
        let region: String?
    }

    private struct Rank: Comparable {
        let isElsewhere: Bool
        let distance: UInt32
        let spread: UInt64
        let id: RelayID

        static func < (one: Rank, other: Rank) -> Bool {
            if one.isElsewhere != other.isElsewhere { return other.isElsewhere }
            return (one.distance, one.spread, one.id) < (other.distance, other.spread, other.id)
        }
    }

    /// The best of `options` for `role`, nearest first; the same for the same question.
    static func choose(
        among options: [Option],
        for role: String,
        in region: String?,
        times: [RelayID: UInt32],
        held: [RelayID]
    ) -> [RelayID] {
        let ranks = options.map { option in
            let time = min(times[option.id] ?? Limits.unmeasured, 60_000)
            let bonus = held.contains(option.id) ? Limits.advantage : 0
            return Rank(
                isElsewhere: region != nil && option.region != region,
                distance: (time + Limits.advantage - bonus) / Limits.step,
                spread: spread(role, option.id),
                id: option.id
            )
        }
        return ranks.sorted().prefix(Limits.count).map(\.id)
    }

    /// A number that is another for each pair: FNV-1a with a last mixing, so that every role has
    /// an order of its own, and a relay that goes spreads its load over all others.
    private static func spread(_ role: String, _ relay: RelayID) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in Array(role.utf8) + [0] + Array(relay.text.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 33
    }
}
