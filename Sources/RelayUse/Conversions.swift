internal import Bytes
public import Control
internal import IP
public import Peering
public import STUN

extension Control.Candidate {
    /// The same candidate, as the portal is told of it.
    public init(_ candidate: Peering.Candidate) {
        self.init(kind: Kind(candidate.kind), endpoint: candidate.endpoint)
    }
}

extension Control.Candidate.Kind {
    /// The same kind, as the portal is told of it.
    public init(_ kind: Peering.Candidate.Kind) {
        self =
            switch kind {
            case .host: .host
            case .serverReflexive: .serverReflexive
            case .relayed: .relayed
            case .peerReflexive: .peerReflexive
            }
    }
}

extension Peering.Candidate {
    /// The same candidate, as the connections know it.
    public init(_ candidate: Control.Candidate) {
        let kind: Kind =
            switch candidate.kind {
            case .host: .host
            case .serverReflexive: .serverReflexive
            case .relayed: .relayed
            case .peerReflexive: .peerReflexive
            }
        self.init(kind, candidate.endpoint)
    }
}

extension TURNServer {
    /// The relay as the connections know it.
    public init(_ relay: RelayForRole) {
        self.init(
            id: relay.id.text,
            endpoints: relay.udp,
            username: relay.username,
            password: relay.password
        )
    }
}
