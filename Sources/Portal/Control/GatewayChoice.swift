internal import Control

/// Which gateway of a site serves a lease, among those that reach the resource: one that the client
/// uses already, else the least loaded of its region or, where none is, of all, else any of those
/// alike.
enum GatewayChoice {
    /// A gateway that is connected now.
    struct Option: Equatable {
        let id: GatewayID
        /// Clients that hold a lease there.
        let clientCount: Int
        /// Takes nobody new.
        let isDraining: Bool
        /// Whether it speaks the first-packet flow, which clients 1.1 need.
        let speaksCurrent: Bool
        /// Where it stands; nil means unknown.
        let region: String?
        /// Whether it said that it does not reach the resource.
        var isPassedOver = false
    }

    /// Why there is none.
    enum Failure: Error, Equatable {
        /// None is connected, or only those that the client asked to be left out.
        case offline
        /// Some are connected, and all are too old for this client.
        case versionMismatch
    }

    /// The gateway among `options`, which are connected now, for a client that has tunnels to
    /// `connected`, best first, and was refused or not answered by `excluded`.
    static func choose(
        among options: [Option],
        connected: [GatewayID],
        without excluded: [GatewayID],
        near region: String? = nil,
        using random: inout some RandomNumberGenerator
    ) throws(Failure) -> GatewayID {
        let possible = options.filter { !excluded.contains($0.id) }
        let usable = possible.filter(\.speaksCurrent)
        guard !usable.isEmpty else { throw possible.isEmpty ? .offline : .versionMismatch }
        let staying = usable.filter { !$0.isDraining }
        let reaching = staying.filter { !$0.isPassedOver }
        let leaving = usable.filter { connected.contains($0.id) }
        // Where nobody reaches it, the fault is not a gateway's.
        let ranked = [reaching, staying, leaving].first { !$0.isEmpty } ?? []
        for id in connected where ranked.contains(where: { $0.id == id }) { return id }
        let near = ranked.filter { region != nil && $0.region == region }
        let choice = near.isEmpty ? ranked : near
        let least = choice.map(\.clientCount).min()
        let alike = choice.filter { $0.clientCount == least }
        guard let chosen = alike.randomElement(using: &random) else { throw .offline }
        return chosen.id
    }
}
