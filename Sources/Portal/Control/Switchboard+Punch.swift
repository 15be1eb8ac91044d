internal import Control
internal import Foundation
internal import IP
internal import Policy

/// Help with a path that broke.
extension Switchboard {
    /// Asks a gateway to probe a client; only inside a live lease, and not more often than paths
    /// can change.
    func pass(_ punch: FromRole.Punch, from id: ClientID) {
        let hasLease = leases.leases(of: id).contains {
            $0.gateway == punch.gateway && $0.endsAt > .now
        }
        let now = ContinuousClock.now
        let isEarly =
            clients[id]?.punchedAt[punch.gateway].map {
                $0.duration(to: now) < Limits.punchInterval
            } ?? false
        guard hasLease, let gateway = gateways[punch.gateway] else {
            return metrics.count(.refusedPunches)
        }
        if !punch.candidates.isEmpty { setCandidates(punch.candidates, of: id) }
        guard !isEarly, let client = clients[id] else { return metrics.count(.refusedPunches) }
        clients[id]?.punchedAt[punch.gateway] = now
        let candidates = CandidateRules(plan: directory.addresses).passable(
            client.candidates,
            toSiteOf: networks(of: gateway.site),
            clientSeenAt: client.connection.remote,
            isRelay: relayDesk.isRelay
        )
        send(.punch(ToGateway.Punch(client: id, candidates: candidates)), to: gateway)
    }
}
