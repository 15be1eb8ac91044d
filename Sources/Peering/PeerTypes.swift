public import Bytes
public import SansIO
public import WireGuard

/// Which side of the tunnel a pool is.
public enum PeerRole: Sendable {
    /// Begins every connection, measures the paths, names the one to use.
    case client
    /// Answers, and sends where the client's authenticated packets come from.
    case gateway
}

/// A peer of a pool: a dense slot and how often that slot was given away before.
public struct PeerIndex: Hashable, Sendable {
    /// The generation in the upper half, the slot in the lower.
    public let raw: UInt32

    init(slot: Int, generation: UInt16) {
        raw = UInt32(generation) << 16 | UInt32(truncatingIfNeeded: slot & 0xffff)
    }

    /// The slot: small, dense, good for indexing an array; given to another peer after removal.
    public var slot: Int { Int(raw & 0xffff) }
}

/// What a pool must know to reach a peer.
public struct PeerConfiguration: Sendable, Equatable {
    /// The peer's static public key; names the peer.
    public var publicKey: Key
    /// The key that both share besides; nil stands for zeros.
    public var presharedKey: Key?
    /// Where the peer may be reached.
    public var candidates: [Candidate]
    /// Whether the peer understands control frames; other WireGuard implementations do not.
    public var speaksFrames: Bool

    public init(
        publicKey: Key,
        presharedKey: Key? = nil,
        candidates: [Candidate] = [],
        speaksFrames: Bool = true
    ) {
        (self.publicKey, self.presharedKey) = (publicKey, presharedKey)
        (self.candidates, self.speaksFrames) = (candidates, speaksFrames)
    }
}

/// What became of a packet or frame that was to be sent.
public enum SendOutcome: Sendable, Equatable {
    /// Sealed and committed to the outbox.
    case sent
    /// There is no session yet; the pool works on it. The caller keeps the packet until
    /// ``PeerEvent/connected(_:)``.
    case connecting
    /// There is no such peer (any more).
    case unknown
    /// The outbox is full: send it, then ask again.
    case noRoom
    /// The packet cannot be sent to this peer: malformed, too large, or a frame for a peer that
    /// speaks none.
    case refused
}

/// What a datagram turned out to be.
public enum Received: Sendable, Equatable {
    /// Handled by the pool, or dropped and counted.
    case nothing
    /// An IP packet of the peer: its `byteCount` bytes lie reserved, not committed, at the
    /// outbox's tunnel side, at the reservation's start.
    case packet(PeerIndex, byteCount: Int)
    /// A control frame that is the role's affair.
    case frame(PeerIndex, ControlFrame)
}

/// What a role should know of its connections.
public enum PeerEvent: Sendable, Equatable {
    /// A session is there: what was kept can be sent.
    case connected(PeerIndex)
    /// Packets take another way.
    case pathChanged(PeerIndex, kind: Candidate.Kind, roundTrip: Duration?)
    /// Something was sent and nothing came back: all pairs are being probed.
    case distress(PeerIndex)
    /// The peer was heard again after distress.
    case recovered(PeerIndex)
    /// Nothing was heard for so long that another peer should be used.
    case lost(PeerIndex)
    /// An initiation with this key came, which nobody told of yet; it waits for an upsert.
    case unknownKey(Key)
}

/// What a role should know of its own candidates and relays.
public enum RelayEvent: Sendable, Equatable {
    /// Our own candidates changed: peers should be told ``PeerPool/localCandidates``.
    case candidatesChanged
    /// The relay with this id does not answer datagrams: a stream to it would help.
    case unreachable(String)
    /// The relay with this id answers datagrams again: its stream is not used any more.
    case reachable(String)
    /// The relay with this id refuses our credentials: new ones are needed.
    case unauthorized(String)
    /// No relay is usable any more.
    case allLost
}

/// How a connection does, for people and metrics.
public struct PeerStatus: Sendable, Equatable {
    /// Whether a session is there.
    public var isConnected = false
    /// Whether something was sent that got no answer in time.
    public var isInDistress = false
    /// Where packets go; nil before the first answer.
    public var remote: Endpoint?
    /// Where they leave from; unspecified means the kernel's choice.
    public var local = Endpoint.unspecified
    /// The worse kind of the path's two ends.
    public var kind = Candidate.Kind.host
    /// Which of our own relays the path goes through; nil: none.
    public var relay: String?
    /// The path's round trip, smoothed; nil before it was measured.
    public var roundTrip: Duration?
    /// Bytes of datagrams received and authenticated.
    public var bytesIn: UInt64 = 0
    /// Bytes of datagrams sent.
    public var bytesOut: UInt64 = 0
    /// When something authentic was last received.
    public var lastHeard: Instant?
}

/// How one of our own relays does.
public struct RelayStatus: Sendable, Equatable {
    /// The portal's name for it.
    public var id: String
    /// Where it is reached: an endpoint of its own, or the stream's bridge; nil: not known yet.
    public var server: Endpoint?
    /// The round trip to it, smoothed; nil before it was measured.
    public var roundTrip: Duration?
    /// The addresses that it sees us at.
    public var mapped: [Endpoint] = []
    /// The addresses that it lends us.
    public var relayed: [Endpoint] = []
    /// Whether its lent addresses can be used.
    public var isUsable = false
    /// Whether it is reached through a stream.
    public var isStream = false

    public init(id: String) { self.id = id }
}
