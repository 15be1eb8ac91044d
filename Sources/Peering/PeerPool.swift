public import Bytes
public import IP
internal import STUN
public import SansIO
public import WireGuard

/// All peers of one role that one packet loop owns.
///
/// A client's pool begins every handshake, with the same initiation over all pairs of candidates;
/// it measures the pairs, chooses one and names it. A gateway's pool answers, and sends where the
/// client's newest authenticated data or path frame came from; handshakes and probes move nothing.
/// Both notice silence, probe all pairs then, and tell the role by ``pollEvent()``.
public struct PeerPool: ~Copyable {
    /// Bounds of a pool.
    public enum Limits {
        /// Peers.
        public static var peers: Int { 65_535 }
        /// Addresses of our own that are read back.
        public static var locals: Int { 4_096 }
        /// Bytes of a packet inside the tunnel: its MTU.
        public static var packetByteCount: Int { 1280 }
        /// Openers, and probes of a gateway, in one round.
        public static var openers: Int { 5 }
        /// Bytes of an opener.
        public static var openerByteCount: Int { 8 }
        /// A wanted session that does not come makes the peer lost after this.
        public static var connectPatience: Duration { .seconds(3) }
        /// Relays that are known.
        public static var relays: Int { 16 }
        /// Relays whose lent addresses are held at the same time: one in use, the others for the
        /// day when it dies.
        public static var allocations: Int { 3 }
        /// Relays that are held or tried.
        public static var triedRelays: Int { 6 }
        /// How long paths may use a relay that is to be given up.
        public static var leavingTime: Duration { .seconds(30) }
        /// How long one that no path uses any more goes on, for packets on their way.
        public static var lingerTime: Duration { .seconds(2) }
        /// Silence of peers makes the relays be checked so often at most.
        public static var doubtInterval: Duration { .seconds(1) }
        /// Between two endpoints that are learnt from packets of a peer that is well.
        public static var learnInterval: Duration { .milliseconds(500) }
        /// Bytes of a message to a relay.
        public static var relayMessageByteCount: Int { 1500 }
        /// Nothing heard of anybody for so long is an absence of the network, perhaps.
        public static var outage: Duration { .milliseconds(500) }
        /// A session is wanted for so long after the last packet that asked for it.
        public static var wantedTime: Duration { .seconds(5) }
    }

    let role: PeerRole
    let identity: Identity
    let wallStart: WallStart
    var random: RandomSource
    var checker: CookieChecker
    var rules: CandidateRules
    var locals: [Endpoint] = []
    /// Those dealt, in their order; then those that are being left.
    var relays: [OwnRelay] = []
    /// What paths know of the relays.
    var relayEnds: [RelayEnd] = []
    var nextRelayNumber: UInt32 = 1
    /// Whether relays were ever dealt.
    var hasRelays = false
    var relayDeadline: Instant?
    /// When silence last made the relays be checked.
    var relaysDoubtedAt: Instant?
    /// Whether what relays lend may have changed.
    var areRelaysStale = false
    /// Whether our own candidates may have changed.
    var areCandidatesStale = false
    var toldCandidates: [Candidate] = []
    /// What was dropped of relays that are used no more.
    var endedRelayCounters = TURNCounters()
    var relayEvents = OutputQueue<RelayEvent>(countMax: 256)
    /// How many peers may send from an address.
    var permissions: [IPAddress: Int] = [:]

    var peers: [Peer?] = []
    var generations: [UInt16] = []
    var freeSlots: [Int] = []
    var slots: [Key: Int] = [:]
    /// By slot.
    var deadlines = TimerHeap()
    var copies = InitiationCache()
    var parked = ParkedInitiations()
    var events = OutputQueue<PeerEvent>(countMax: 4096)
    /// When anything was last heard of a peer or a relay.
    var heardAt: Instant?
    /// When something was heard after a time without anything from anybody, last.
    public private(set) var resumedAt: Instant?
    /// What was dropped and why, since the start.
    public internal(set) var counters = PeerCounters()

    /// - Parameters:
    ///   - role: Which side of the tunnel it is.
    ///   - wallClock: The wall clock at one instant: initiations carry the time.
    ///   - random: Keys and indices are drawn from it.
    public init(role: PeerRole, wallClock: WallStart, random: RandomSource) {
        var random = random
        let identity = Identity(from: &random)
        self.init(role: role, identity: identity, wallClock: wallClock, random: random)
    }

    init(
        role: PeerRole,
        identity: consuming Identity,
        wallClock: WallStart,
        random: RandomSource
    ) {
        var random = random
        self.role = role
        self.identity = identity
        wallStart = wallClock
        checker = CookieChecker(random: random.fork())
        rules = CandidateRules(isStrict: role == .gateway)
        self.random = random
    }

    /// What peers know us by: made anew with each pool.
    public var publicKey: Key { identity.publicKey }

    /// How many peers there are.
    public var count: Int { slots.count }

    /// Something authentic came: the network is there.
    mutating func noteHeard(at now: Instant) {
        let silence = Self.outageNanoseconds
        if heardAt.map({ now.nanoseconds &- $0.nanoseconds >= silence }) ?? true { resumedAt = now }
        heardAt = now
    }

    private static var outageNanoseconds: UInt64 { UInt64(Limits.outage.nanoseconds) }
}

/// What a pool dropped, and why.
public struct PeerCounters: Sendable, Equatable {
    /// Datagrams that are none of ours: openers, strangers' bytes.
    public var foreign: UInt64 = 0
    /// Handshake messages that were refused.
    public var handshakesRefused: UInt64 = 0
    /// Packets that did not open: unknown index, replayed, not authentic, expired.
    public var packetsRefused: UInt64 = 0
    /// Frames that could not be read, or that the other side may not send.
    public var framesRefused: UInt64 = 0
    /// Inner packets with an impossible length, or marked although they must not be (RFC 6040).
    public var packetsMalformed: UInt64 = 0
    /// Packets that could not be sent: malformed or too large.
    public var sendsRefused: UInt64 = 0
    /// Packets whose path goes through a relay that took none at that moment.
    public var sendsUnroutable: UInt64 = 0
    /// Handshakes that ended in a session.
    public var handshakes: UInt64 = 0
    /// Initiations answered from the cache.
    public var copiesAnswered: UInt64 = 0
    /// Initiations parked because their key was not known.
    public var parked: UInt64 = 0
    /// Initiations answered by a cookie, or dropped, under load.
    public var challenged: UInt64 = 0
    /// Candidates of peers that may not be used.
    public var candidatesRefused: UInt64 = 0

    public init() {}
}

// MARK: - Peers

extension PeerPool {
    /// The peer with `publicKey`; nil when there is none.
    public func index(of publicKey: Key) -> PeerIndex? {
        slots[publicKey].flatMap { peers[$0]?.index }
    }

    /// The peer, unless it was removed.
    func peer(_ index: PeerIndex) -> Peer? {
        guard index.slot < peers.count, let peer = peers[index.slot], peer.index == index else {
            return nil
        }
        return peer
    }

    /// Our own host candidates. Client: pairs are made with the addresses, and all are probed at
    /// once. Gateway: clients are sent a probe, which tells them where from it comes now. The
    /// relays are asked how they see us.
    public mutating func setLocalCandidates(
        _ candidates: [Candidate],
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let endpoints = candidates.filter { $0.kind == .host }.map(\.endpoint)
        guard endpoints != locals else { return }
        locals = endpoints
        areCandidatesStale = true
        for case let peer? in peers {
            peer.paths.setLocals(endpoints, at: now)
            if peer.isConnected, peer.speaksFrames { peer.liveness.doubt(at: now) }
            if role == .client {
                if peer.isConnected, peer.speaksFrames { ask(peer, at: now, into: &outbox) }
                peer.ladder?.restart(at: now)
            }
            bindChosen(peer, at: now)
            reschedule(peer)
        }
        updateReachable(at: now)
        renewRelays(at: now, into: &outbox)
    }

    /// Networks that no candidate of a peer may lie in: our own ranges; at a gateway also what its
    /// site protects.
    public mutating func setRefusedNetworks(_ networks: [IPPrefix]) { rules.refused = networks }

    /// Adds the peer with that public key, or tells of it anew: the index stays the same.
    ///
    /// A client begins the handshake. A gateway opens its NAT towards the candidates, and answers
    /// an initiation that waits for this key. Another preshared key ends the session.
    ///
    /// - Returns: nil when the pool is full, or the key is not usable.
    public mutating func upsert(
        _ configuration: PeerConfiguration,
        at now: Instant,
        into outbox: inout Outbox
    ) -> PeerIndex? {
        var configuration = configuration
        let allowed = rules.allowed(configuration.candidates)
        counters.candidatesRefused += UInt64(configuration.candidates.count - allowed.count)
        configuration.candidates = allowed
        guard let peer = place(configuration, at: now) else { return nil }
        let hasChanged = peer.paths.setRemotes(allowed)
        permit(peer, at: now, into: &outbox)
        switch role {
        case .client:
            want(peer, at: now)
            if hasChanged, peer.isConnected, peer.speaksFrames { peer.paths.probeAll(at: now) }
            // The first initiation goes out now, not a turn later.
            work(peer, at: now, into: &outbox)
        case .gateway:
            if hasChanged || !peer.isConnected { open(towards: peer, at: now, into: &outbox) }
            answerParked(peer, at: now, into: &outbox)
        }
        reschedule(peer)
        return peer.index
    }

    /// The peer with that key, made when it is not there, its tunnel new when the secret is.
    private mutating func place(_ configuration: PeerConfiguration, at now: Instant) -> Peer? {
        if let slot = slots[configuration.publicKey], let peer = peers[slot] {
            let isSameSecret = peer.configuration.presharedKey == configuration.presharedKey
            peer.configuration = configuration
            guard !isSameSecret else { return peer }
            guard let tunnel = tunnel(to: configuration) else { return nil }
            peer.tunnel = tunnel
            (peer.isConnected, peer.ladder, peer.namedBy) = (false, nil, nil)
            return peer
        }
        guard slots.count < Limits.peers, let tunnel = tunnel(to: configuration) else { return nil }
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = peers.count
            peers.append(nil)
            generations.append(0)
        }
        var paths = PathTable(firstNumber: random.next(), triesSources: role == .client)
        paths.setLocals(locals, at: now)
        _ = paths.setRelays(relayEnds, probing: nil, at: now)
        let peer = Peer(
            index: PeerIndex(slot: slot, generation: generations[slot]),
            configuration: configuration,
            tunnel: tunnel,
            paths: paths,
            role: role,
            at: now
        )
        peers[slot] = peer
        slots[configuration.publicKey] = slot
        return peer
    }

    private func tunnel(to configuration: PeerConfiguration) -> Tunnel? {
        try? Tunnel(
            to: configuration.publicKey,
            as: identity,
            presharedKey: configuration.presharedKey,
            timing: Self.timing(of: configuration),
            initiates: role == .client
        )
    }

    /// How long things take in the tunnel to such a peer.
    static func timing(of configuration: PeerConfiguration) -> Timing {
        var timing = Timing.paper
        timing.retransmit = .seconds(2)
        timing.retransmitJitterMax = .zero
        if configuration.speaksFrames {
            // Questions are answered: empty packets are needed only where nothing is asked.
            timing.keepalive = Liveness.Limits.keepalive * 2
        } else {
            timing.persistentKeepalive = Liveness.Limits.keepalive
        }
        return timing
    }

    /// Forgets the peer; says goodbye to it before, unless that is nil.
    public mutating func remove(
        _ index: PeerIndex,
        goodbye: ControlFrame.Goodbye?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let peer = peer(index) else { return }
        if let goodbye, peer.isConnected {
            _ = send(.goodbye(goodbye), to: index, at: now, into: &outbox)
        }
        release(peer)
        deadlines[index.slot] = nil
        slots[peer.configuration.publicKey] = nil
        peers[index.slot] = nil
        generations[index.slot] &+= 1
        freeSlots.append(index.slot)
    }

    /// Client: begins a series of probes on all pairs, or a handshake where no session is.
    public mutating func probe(_ index: PeerIndex, at now: Instant) {
        guard let peer = peer(index), role == .client else { return }
        peer.paths.probeAll(at: now)
        want(peer, at: now)
        reschedule(peer)
    }

    /// Gateway: opens our NAT towards the peer's candidates; by probes where a session is, else by
    /// openers.
    public mutating func punch(_ index: PeerIndex, at now: Instant, into outbox: inout Outbox) {
        guard let peer = peer(index), role == .gateway else { return }
        open(towards: peer, at: now, into: &outbox)
        reschedule(peer)
    }

    /// How the connection does; nil when there is no such peer.
    public func status(of index: PeerIndex) -> PeerStatus? {
        guard let peer = peer(index) else { return nil }
        var status = PeerStatus()
        status.isConnected = peer.isConnected
        status.isInDistress = peer.liveness.isInDistress
        status.remote = peer.paths.chosen?.remote
        status.local = peer.paths.chosen?.local ?? .unspecified
        status.kind = peer.paths.chosenKind
        status.relay = peer.paths.chosen.flatMap { place(ofRelay: $0.relay) }
            .map { relays[$0].server.id }
        status.roundTrip = peer.paths.chosenRoundTrip
        (status.bytesIn, status.bytesOut) = (peer.bytesIn, peer.bytesOut)
        status.lastHeard = peer.liveness.lastHeard
        return status
    }

    /// What a role should know; nil when nothing is left.
    public mutating func pollEvent() -> PeerEvent? { events.popFirst() }
}
