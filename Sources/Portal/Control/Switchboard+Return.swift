internal import Control
internal import Foundation
internal import Policy

/// Gateways that were connected when the portal last ran. After its start they come back within
/// seconds, in any order with the clients; until then requests that only they can serve wait.
struct GatewayReturn {
    /// Bounds of the wait.
    enum Limits {
        /// Requests of one client that may wait; more are denied.
        static let requestsOfClient = 64
    }

    /// Those that have not come back.
    private(set) var missing: Set<GatewayID>
    /// Whether they are still waited for.
    private(set) var isWaiting: Bool
    /// When the portal started.
    let startedAt = Date.now

    /// - Parameters:
    ///   - devices: As the portal that ran before left them.
    ///   - leases: Those that are live.
    ///   - directory: Gateways that it does not know are not missed.
    init(_ devices: [EnrolledDevice], _ leases: [LeaseRecord], _ directory: Directory) {
        let holding = Set(leases.map(\.gateway))
        missing = Set(
            devices.filter { $0.role == .gateway }
                .filter { $0.isConnected == true || holding.contains(GatewayID($0.id)) }
                .map { GatewayID($0.id) }
                .filter { directory.gateways[$0] != nil }
        )
        isWaiting = !missing.isEmpty
    }

    /// One has come back.
    mutating func end(_ gateway: GatewayID) {
        missing.remove(gateway)
        if missing.isEmpty { isWaiting = false }
    }

    /// Nobody is waited for any longer.
    mutating func endAll() { isWaiting = false }
}

extension Switchboard {
    /// Waits for gateways that were here before, for a while.
    func awaitGateways() {
        guard gatewayReturn.isWaiting else { return }
        Task {
            try? await Task.sleep(for: gatewayReturnTime)
            gatewayReturn.endAll()
            decideWaiting()
        }
    }

    /// Keeps a request that a gateway of `site` can serve once it is back; false when none is
    /// expected.
    func keepWaiting(
        _ request: FromRole.Authorize,
        for id: ClientID,
        at site: SiteID
    ) -> Bool {
        let excluded = request.withoutGateway ?? []
        let isExpected = gatewayReturn.missing.contains { gateway in
            directory.gateways[gateway]?.site == site && !excluded.contains(gateway)
        }
        guard gatewayReturn.isWaiting, isExpected,
            clients[id]?.waiting.count ?? .max < GatewayReturn.Limits.requestsOfClient
        else { return false }
        clients[id]?.waiting.append(request)
        return true
    }

    /// A gateway is there: decides what waited for it.
    func gatewayReturned(_ id: GatewayID) {
        guard gatewayReturn.missing.contains(id) else { return }
        gatewayReturn.end(id)
        decideWaiting()
    }

    private func decideWaiting() {
        for id in clients.keys.sorted() {
            guard let waiting = clients[id]?.waiting, !waiting.isEmpty else { continue }
            clients[id]?.waiting = []
            for request in waiting { decide(request, for: id) }
        }
    }

    /// Why nobody serves at `site`.
    func refusal(_ failure: GatewayChoice.Failure, at site: SiteID) -> Refusal {
        let name = directory.sites[site]?.name ?? site.text
        let missing = gatewayReturn.missing.compactMap { directory.gateways[$0] }
            .filter { $0.site == site }
            .map(\.name).sorted()
        guard failure == .offline, !missing.isEmpty, missing.count <= 3 else {
            return Refusal(failure, site: name)
        }
        let names = missing.map { "“\($0)”" }.joined(separator: ", ")
        let since = gatewayReturn.startedAt.formatted(.iso8601)
        return Refusal(
            .offline,
            .retry,
            "No gateway of the site “\(name)” is connected: \(names) "
                + "\(missing.count == 1 ? "has" : "have") not come back since the portal started "
                + "at \(since); whoever runs \(missing.count == 1 ? "it" : "them") has to look."
        )
    }
}
