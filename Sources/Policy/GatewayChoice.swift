public import Control

/// Which gateway of a site serves a lease, among those that reach the resource: one that the client
/// uses already, else the least loaded of its region or, where none is, of all, else any of those
/// alike.
public enum GatewayChoice {
    /// A gateway that is connected now.
    public struct Option: Equatable, Sendable {
        public let id: GatewayID
        /// Clients that hold a lease there.
        public let clientCount: Int
        /// Takes nobody new.
        public let isDraining: Bool
        /// Whether it speaks the first-packet flow, which clients 1.1 need.
        public let speaksCurrent: Bool
        /// Where it stands; nil means unknown.
        public let region: String?
        /// Whether it said that it does not reach the resource.
        public let isPassedOver: Bool

        public init(
            id: GatewayID,
            clientCount: Int,
            isDraining: Bool,
            speaksCurrent: Bool,
            region: String?,
            isPassedOver: Bool = false
        ) {
            (self.id, self.clientCount, self.isDraining) = (id, clientCount, isDraining)
            (self.speaksCurrent, self.region) = (speaksCurrent, region)
            self.isPassedOver = isPassedOver
        }

        /// Whether it can take the new flows of a client that another gateway is to let go.
        public var canTakeOver: Bool { speaksCurrent && !isDraining && !isPassedOver }
    }

    /// Why there is none.
    public enum Failure: Error, Equatable {
        /// None is connected, or only those that the client asked to be left out.
        case offline
        /// Some are connected, and all are too old for this client.
        case versionMismatch
    }

    /// Chooses a gateway.
    ///
    /// - Parameters:
    ///   - options: The gateways of the site that are connected now.
    ///   - connected: Those that the client has tunnels to, best first.
    ///   - excluded: Those that refused the client, or did not answer it.
    ///   - region: Where the client is; nil: unknown.
    ///   - random: Decides between those that are alike.
    /// - Returns: The one that serves.
    /// - Throws: Why none does.
    public static func choose(
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
