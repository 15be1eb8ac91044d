public import Bytes
internal import IP
public import SansIO

/// One allocation on one relay, got and kept (RFC 8656), with permissions and channels for the
/// peers that its owner names.
///
/// ```
/// seeking ──answer──▶ allocating ──success──▶ standing ◀──success── checking
///   ▲  ▲                │  ▲                    │  │                 ▲   │
///   │  │             error │                    │  └──no answer──▶ seeking │ 437, error
///   │  │                ▼  │ time               └──437, expired──▶ allocating
///   │  └──no answer── waiting
/// ```
///
/// The way is sought by a Binding to each endpoint at once; the first answer wins, all of them
/// tell a mapped address. Where no datagram is answered the owner may offer a stream. What is
/// lost is tried for again without end, at growing intervals. An error that nobody signed ends
/// nothing that works, but for a challenge, which is answered.
///
/// Every call may queue outputs: poll until nil. Then `framing(to:)` says how data get to a peer.
public struct TURNClient {
    /// The relay, with the newest credentials.
    public internal(set) var server: TURNServer
    /// What was dropped and why, since the start.
    public internal(set) var counters = TURNCounters()
    /// The smoothed round-trip time to the relay, on the way in use.
    public internal(set) var roundTrip: Duration?

    var random: RandomSource
    var outputs = OutputQueue<TURNOutput>(countMax: Limits.outputs)
    var now: Instant

    var phase = Phase.seeking
    /// All ways to the relay.
    var links: [Link] = []
    /// The way in use; nil: none answered yet.
    var chosen: Endpoint?
    /// When anything came on the way in use; nil: there is none.
    public internal(set) var heardAt: Instant?
    /// When it is said that no datagram is answered.
    var unreachableDue: Instant?
    /// When the network was last said to have changed.
    var renewedAt: Instant?
    /// Endpoints that sent us on to another one.
    var redirectedBy: [Endpoint] = []

    var session: TURNSession
    var transactions: [TURNTransaction] = []
    var allocation: Allocation?
    /// Attempts that failed in a row.
    var failureCount = 0
    /// What was said of them last; nil: nothing failed since it last went well.
    var saidFailure: TURNFailure?
    /// Whether the relay was told to end an old allocation on the way to this one.
    var didClear = false

    var permissions = PermissionTable()
    var channels = ChannelTable()

    /// Begins at once; transactions are drawn from `random`.
    public init(server: TURNServer, random: RandomSource, at now: Instant) {
        self.server = server
        self.random = random
        self.now = now
        session = TURNSession(server.credentials)
        links = Self.links(to: server.endpoints)
        seek(at: now)
    }

    static func links(to endpoints: [Endpoint]) -> [Link] {
        endpoints.prefix(Limits.endpoints).map { Link(endpoint: $0, kind: .datagram) }
    }
}

// MARK: - What it is made of

extension TURNClient {
    enum Phase: Sendable, Equatable {
        /// No way to the relay is known.
        case seeking
        /// A request for an allocation is on its way.
        case allocating
        /// An allocation stands.
        case standing
        /// The relay came back; whether it still has our allocation is asked.
        case checking
        /// The last attempt failed; until when nothing is tried.
        case waiting(until: Instant)
        /// Nothing is wanted any more.
        case closed
    }

    /// A way to the relay.
    struct Link: Sendable {
        enum Kind: Sendable {
            /// One of the relay's own endpoints.
            case datagram
            /// An endpoint that the relay named.
            case alternate
            /// A bridge to a TCP or TLS connection.
            case stream
        }

        let endpoint: Endpoint
        let kind: Kind
        /// What the relay sees us at; nil: not known.
        var mapped: Endpoint?
        /// Whether the last Binding was answered.
        var isAlive = false
        /// When the next Binding is sent; nil: one is on its way.
        var due: Instant?
        /// Bindings in a row that were not answered.
        var missCount = 0
    }

    /// What the relay gave us.
    struct Allocation: Sendable {
        /// Where it was asked for.
        let remote: Endpoint
        /// What the relay saw us at then: an allocation belongs to that (RFC 8656 2.2). nil: it did
        /// not say, or a stream was in between.
        let mapped: Endpoint?
        let relayed: [Endpoint]
        var expiresAt: Instant
        /// When it is refreshed; nil: a request is on its way.
        var refreshDue: Instant?

        func has(_ family: IPFamily) -> Bool {
            relayed.contains { $0.address.family == family }
        }
    }
}

// MARK: - What may be read

extension TURNClient {
    /// Whether a datagram from `remote` is for this machine.
    public func isServer(_ remote: Endpoint) -> Bool {
        links.contains { $0.endpoint == remote }
    }

    /// Where data for peers go: the relay's endpoint, or the bridge; nil: no way is known.
    public var serverEndpoint: Endpoint? { chosen }

    /// Whether the relay is reached through a stream.
    public var isStream: Bool {
        links.contains { $0.kind == .stream && $0.endpoint == chosen }
    }

    /// Whether the relay answers datagrams, which are used.
    public var isByDatagrams: Bool { chosen != nil && !isStream }

    /// Whether an allocation stands.
    public var isAllocated: Bool { phase == .standing }

    /// The addresses that the relay sees us at over UDP, at most one of a family; where it does not
    /// answer, those that it saw us at last.
    public var mappedAddresses: [Endpoint] {
        var all: [Endpoint] = []
        let known = links.filter(\.isAlive) + links.filter { !$0.isAlive }
        for mapped in known.compactMap(\.mapped)
        where !all.contains(where: { $0.address.family == mapped.address.family }) {
            all.append(mapped)
        }
        return all
    }

    /// The addresses that peers reach us at, at most one of a family.
    public var relayedAddresses: [Endpoint] { isAllocated ? allocation?.relayed ?? [] : [] }

    /// How data get to `peer` at the moment; a look-up in a hash table, or a binary search.
    public func framing(to peer: Endpoint) -> TURNFraming {
        guard isAllocated, let allocation else { return .unavailable }
        if let number = channels.number(of: peer), let channel = channels[number],
            channel.isWanted, channel.isBound
        {
            return .channel(number)
        }
        guard allocation.has(peer.address.family), permissions[peer.address]?.isUsable ?? false
        else { return .unavailable }
        return .indication
    }
}

// MARK: - The contract of a machine

extension TURNClient {
    /// When `advance` must be called at the latest; nil: never.
    public var nextDeadline: Instant? {
        guard outputs.isEmpty, !isFlushDue else { return now }
        var earliest = unreachableDue
        func note(_ due: Instant?) {
            if let due { earliest = min(earliest ?? due, due) }
        }
        for transaction in transactions { note(transaction.due) }
        guard phase != .closed else { return earliest }
        for link in links { note(link.due) }
        if case .waiting(let until) = phase { note(until) }
        note(allocation?.expiresAt)
        guard isAllocated else { return earliest }
        note(allocation?.refreshDue)
        if canPermit { note(permissions.nextDue) }
        if canBind { note(channels.nextDue) }
        return earliest
    }

    /// Time passed; harmless when it comes early.
    public mutating func advance(to now: Instant) {
        self.now = now
        advanceTransactions(to: now)
        guard phase != .closed else { return }
        advanceLinks(to: now)
        advanceAllocation(to: now)
        flush(at: now)
    }

    /// What to do next; nil when nothing is left.
    public mutating func pollOutput() -> TURNOutput? {
        if isFlushDue { flush(at: now) }
        return outputs.popFirst()
    }

    mutating func say(_ event: TURNEvent) { outputs.append(.event(event)) }
}
