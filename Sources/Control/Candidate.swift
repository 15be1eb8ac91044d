public import Bytes
internal import IP

/// An address and port at which a peer may be reached.
public struct Candidate: Hashable, Sendable, Codable {
    /// How the address became known (RFC 8445 section 4).
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// An interface of the machine itself.
        case host
        /// What a relay saw the peer's packets come from.
        case serverReflexive = "server-reflexive"
        /// An address on a relay.
        case relayed
        /// What the other peer saw the packets come from.
        case peerReflexive = "peer-reflexive"
    }

    /// How it became known.
    public let kind: Kind
    /// Where.
    public let endpoint: Endpoint

    public init(kind: Kind, endpoint: Endpoint) { (self.kind, self.endpoint) = (kind, endpoint) }
}
