internal import Bytes
internal import IP

/// Which of our own addresses peers are told of.
enum OwnCandidates {
    enum Limits {
        /// Server-reflexive addresses of one family: behind some NATs each relay sees another.
        static let reflexivePerFamily = 2
        /// Lent addresses of one family that host addresses make room for.
        static let relayedPerFamily = 2
    }

    /// Host, server-reflexive, relayed; at most 12, each endpoint once. Where there are too many it
    /// is private host addresses that go first: the others are what connects strangers.
    static func list(
        hosts: [Endpoint],
        mapped: [Endpoint],
        relayed: [Endpoint]
    ) -> [Candidate] {
        let countMax = CandidateRules.Limits.candidates
        let reflexive = unique(mapped, besides: hosts, perFamily: Limits.reflexivePerFamily)
        let lent = unique(relayed, besides: hosts + reflexive, perFamily: Limits.relayedPerFamily)
        let room = countMax - reflexive.count - lent.count
        var own = unique(hosts, besides: [], perFamily: hosts.count)
        if own.count > room {
            own = own.filter { !$0.address.isPrivate } + own.filter(\.address.isPrivate)
        }
        own = Array(own.prefix(room))
        let told = own + reflexive + lent
        let more = unique(relayed, besides: told, perFamily: countMax).prefix(countMax - told.count)
        return own.map { Candidate(.host, $0) }
            + reflexive.map { Candidate(.serverReflexive, $0) }
            + (lent + more).map { Candidate(.relayed, $0) }
    }

    private static func unique(
        _ endpoints: [Endpoint],
        besides seen: [Endpoint],
        perFamily countMax: Int
    ) -> [Endpoint] {
        var kept: [Endpoint] = []
        for endpoint in endpoints where !seen.contains(endpoint) && !kept.contains(endpoint) {
            let isIPv4 = endpoint.address.isIPv4
            if kept.count(where: { $0.address.isIPv4 == isIPv4 }) < countMax {
                kept.append(endpoint)
            }
        }
        return kept
    }
}
