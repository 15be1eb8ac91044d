internal import Bytes
internal import Control
internal import IP

/// Which candidates are passed on, so that nobody can aim a peer's packets at a third party.
struct CandidateRules: Equatable {
    /// Bounds of candidates.
    enum Limits {
        /// Candidates of one peer.
        static let count = 12
        /// Ports below belong to services of their machines.
        static let portMin: UInt16 = 1024
    }

    /// The account's own ranges; what lies inside is a tunnel in a tunnel.
    let plan: AddressPlan

    private static let refused: [IPPrefix] = [
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "fe80::/10", "ff00::/8",
    ].compactMap { IPPrefix($0) }

    /// The first candidates that may be passed on at all, without repetition.
    func accepted(_ candidates: [Candidate]) -> [Candidate] {
        var kept: [Candidate] = []
        for candidate in candidates where kept.count < Limits.count {
            if isAcceptable(candidate.endpoint), !kept.contains(candidate) {
                kept.append(candidate)
            }
        }
        return kept
    }

    /// Those of a client that a gateway may be told: not inside a resource of the gateway's site,
    /// unless the portal itself sees the client in the same network, or it is an address on one of
    /// the relays that were dealt.
    func passable(
        _ candidates: [Candidate],
        toSiteOf networks: [IPPrefix],
        clientSeenAt remote: IPAddress?,
        isRelay: (IPAddress) -> Bool = { _ in false }
    ) -> [Candidate] {
        candidates.filter { candidate in
            let address = candidate.endpoint.address
            if candidate.kind == .relayed, isRelay(address) { return true }
            return !networks.contains { network in
                network.contains(address) && !(remote.map(network.contains) ?? false)
            }
        }
    }

    /// Whether somebody on another machine could reach `address` at all.
    static func isReachable(_ address: IPAddress) -> Bool {
        !refused.contains { $0.contains(address) }
    }

    private func isAcceptable(_ endpoint: Endpoint) -> Bool {
        let address = endpoint.address
        guard endpoint.port >= Limits.portMin else { return false }
        return Self.isReachable(address)
            && !plan.all.contains { $0.contains(address) }
    }
}
