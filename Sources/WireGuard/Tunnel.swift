internal import Bytes
internal import Ciphers
public import SansIO

/// WireGuard with one peer: handshakes, sessions, timers. Knows no endpoint.
///
/// ```
///              initiate            finish, or the first packet
///  nothing ──────────────▶ pending ─────────────▶ current ──next session──▶ previous
///     ▲       respond ───▶ next ──────────────────▲    │
///     └────────────── 3 × REJECT-AFTER-TIME ───────────┘
/// ```
///
/// There are at most three sessions and one pending handshake, each with a local index that the
/// caller gave; ``owns(_:)`` tells which are still in use. Packets go out on `current` only; they
/// come in on all three. A session that the peer began is `next` until its first packet has come.
///
/// Nothing is sent from here: what is due is an ``Action`` that ``advance(to:)`` returns.
public struct Tunnel: ~Copyable {
    /// Bounds of the protocol (6.1).
    public enum Limits {
        /// REKEY-AFTER-MESSAGES.
        public static var rekeyAfterMessages: UInt64 { 1 << 60 }
        /// REJECT-AFTER-MESSAGES.
        public static var rejectAfterMessages: UInt64 { .max - 1 << 13 }
        /// Plain text is filled up to a multiple of so many bytes (5.4.6).
        public static var paddingMultiple: Int { 16 }
        /// Initiations of one peer are at least so far apart: 50 a second.
        public static var initiationInterval: Duration { .milliseconds(20) }
    }

    /// What the caller shall do.
    public enum Action: Sendable, Equatable, CaseIterable {
        /// Make an initiation with ``initiate(as:index:wallStart:random:at:)`` and send it.
        case initiate
        /// Seal an empty packet and send it.
        case keepalive
        /// No handshake came about for ``Timing/attempt``: let go of packets that wait.
        case gaveUp
        /// All keys were wiped, as no new session came for a long time.
        case expired
    }

    /// What became of a packet to send.
    public enum SealOutcome: Sendable, Equatable {
        /// The datagram is the first so many bytes.
        case sealed(byteCount: Int)
        /// There is no session; a handshake is wanted, see ``advance(to:)``.
        case noSession
        /// The buffer is too small; see ``datagramByteCount(inner:)``.
        case noRoom
    }

    /// A packet that came.
    public struct Opened: Sendable, Equatable {
        /// Bytes of plain text, with up to 15 bytes of padding; 0 means a keepalive.
        public let byteCount: Int
        /// Whether its counter is higher than all before on its session, and no later session is in
        /// use: the peer is where this came from.
        public let isNewest: Bool
        /// Whether it is the first one of a session that the peer began.
        public let isConfirmation: Bool
        /// Whether it came on the newest session that is in use.
        public let isOfCurrentSession: Bool
        /// Its number in that session: the peer sent it later than all with lower ones.
        public let counter: UInt64
    }

    let peer: Peer
    let timing: Timing
    let initiates: Bool

    var current: Session?
    var previous: Session?
    var next: Session?
    var pending: PendingHandshake?
    var timers = TunnelTimers()

    /// Time stamp of the last initiation that we made.
    var lastSentTimestamp: Timestamp?
    /// Time stamp of the last initiation that we answered.
    var lastSeenTimestamp: Timestamp?
    var lastInitiatedAt: Instant?
    var lastRespondedAt: Instant?
    /// When the last session came about; nil: never.
    public internal(set) var lastHandshakeAt: Instant?
    /// `mac1` and index of the last handshake message that we made: a cookie reply refers to them.
    var lastCode = InlineArray<16, UInt8>(repeating: 0)
    var lastCodeIndex: UInt32?

    /// A tunnel without sessions to the owner of the key `peer`.
    ///
    /// A preshared key is mixed into each handshake; both sides have the same one, or none. Without
    /// `initiates` it never asks for ``Action/initiate``: the peer is the one to begin.
    public init(
        to peer: Key,
        as identity: borrowing Identity,
        presharedKey: Key? = nil,
        timing: Timing = .paper,
        initiates: Bool = true
    ) throws(HandshakeError) {
        self.init(
            to: try Peer(peer, presharedKey: presharedKey, as: identity),
            timing: timing,
            initiates: initiates
        )
    }

    init(to peer: consuming Peer, timing: Timing, initiates: Bool) {
        self.peer = peer
        (self.timing, self.initiates) = (timing, initiates)
    }

    /// Who is on the other side.
    public var peerKey: Key { peer.key }

    /// Bytes in front of the inner packet.
    public static var headerByteCount: Int { 16 }

    /// Bytes of the datagram that carries an inner packet of `inner` bytes.
    public static func datagramByteCount(inner: Int) -> Int {
        let multiple = Limits.paddingMultiple
        return headerByteCount + (inner + multiple - 1) / multiple * multiple
            + PacketKey.tagByteCount
    }

    /// Whether `index` is one of a session or of the pending handshake.
    public func owns(_ index: UInt32) -> Bool {
        current.holds { $0.localIndex == index } || previous.holds { $0.localIndex == index }
            || next.holds { $0.localIndex == index } || pending.holds { $0.localIndex == index }
    }

    /// Whether an initiation of ours waits for its response.
    public var isHandshaking: Bool { pending.holds { _ in true } }

    /// Whether a packet can be sent without a handshake.
    public func canSeal(at now: Instant) -> Bool { current.holds { $0.canSeal(at: now) } }
}

extension Optional where Wrapped: ~Copyable {
    /// Whether there is a value and `condition` holds for it, which is only lent.
    @inline(__always)
    borrowing func holds(_ condition: (borrowing Wrapped) -> Bool) -> Bool {
        switch self {
        case .some(let wrapped): condition(wrapped)
        case .none: false
        }
    }
}
