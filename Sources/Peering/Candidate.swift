public import Bytes
public import IP

/// An endpoint that a peer may be reached at.
public struct Candidate: Hashable, Sendable {
    /// How the endpoint came to be; the order is the order of preference.
    public enum Kind: UInt8, Sendable, CaseIterable, Comparable {
        /// An address of an interface of the peer.
        case host
        /// What an authenticated packet came from, though nobody announced it.
        case peerReflexive
        /// What a relay saw the peer come from.
        case serverReflexive
        /// An address that a relay lends.
        case relayed

        public static func < (lhs: Kind, rhs: Kind) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    /// How the endpoint came to be.
    public var kind: Kind
    /// The address and port.
    public var endpoint: Endpoint

    public init(_ kind: Kind, _ endpoint: Endpoint) {
        (self.kind, self.endpoint) = (kind, endpoint)
    }
}

/// Which candidates of peers may be used: what a stranger says must not aim our packets.
public struct CandidateRules: Sendable {
    /// Bounds of a peer's candidates.
    public enum Limits {
        /// Candidates of one peer.
        public static var candidates: Int { 12 }
        /// The lowest port that a gateway sends to.
        public static var portMin: UInt16 { 1024 }
    }

    /// Whether the strict rules of a gateway hold.
    public var isStrict: Bool
    /// Networks that no candidate may lie in.
    public var refused: [IPPrefix]

    public init(isStrict: Bool, refused: [IPPrefix] = []) {
        (self.isStrict, self.refused) = (isStrict, refused)
    }

    /// Whether `endpoint` may be used: not port 0, an unspecified or multicast address, or one in a
    /// refused network; at a gateway neither loopback and link-local, nor a port below 1024, where
    /// other people's services listen.
    public func permits(_ endpoint: Endpoint) -> Bool {
        let address = endpoint.address
        if endpoint.port == 0 || (isStrict && endpoint.port < Limits.portMin) { return false }
        if Self.never.contains(where: { $0.contains(address) }) { return false }
        if isStrict, Self.local.contains(where: { $0.contains(address) }) { return false }
        return !refused.contains { $0.contains(address) }
    }

    /// Those of `candidates` that may be used, each endpoint once, the first 12 of them.
    public func allowed(_ candidates: [Candidate]) -> [Candidate] {
        var kept: [Candidate] = []
        for candidate in candidates where kept.count < Limits.candidates {
            guard permits(candidate.endpoint),
                !kept.contains(where: { $0.endpoint == candidate.endpoint })
            else { continue }
            kept.append(candidate)
        }
        return kept
    }

    private static let never = [
        "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8",
    ].compactMap { IPPrefix($0) }

    private static let local = [
        "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10",
    ].compactMap { IPPrefix($0) }
}
