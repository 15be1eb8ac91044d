public import Bytes
public import Control
internal import DNS
internal import IP
public import Peering
internal import RelayUse
public import SansIO
public import STUN
internal import Translation
public import WireGuard

/// The gateway: lets clients reach what the portal permits, and nothing else.
///
/// Packets of clients come out of WireGuard (module `Peering`), are checked against the client's
/// ``Grants``, get the real address of their name (``NameResolver``) and go through the client's
/// ``NAT`` to the tunnel device, whose kernel masquerades them. What comes back must belong to a
/// flow that the client began.
///
/// It knows no socket, file, clock or thread; it decides nothing about policy, resolves names only
/// through exchanges of its host, and sets up neither routes nor firewall.
public struct Gateway: ~Copyable, PacketMachine {
    /// Bounds of a gateway.
    public enum Limits {
        /// Packets of all clients that wait for names.
        public static var held: Int { 8_192 }
        /// Packets and names frames of all clients that wait for grants.
        public static var early: Int { 8_192 }
        /// Flows of one client.
        public static var flowsPerClient: Int { NAT.Limits.flows }
        /// Bytes of a packet inside the tunnel.
        public static var tunnelByteCount: Int { 1_280 }
        /// Bytes of such a packet outside, with what WireGuard and a relay may add.
        public static var sealedByteCount: Int { tunnelByteCount + 48 }
        /// Clients that may have fragments waiting for others at a time.
        public static var reassembling: Int { 64 }
        /// Pieces of the largest packet.
        public static var pieces: Int { 60 }
        /// A pause between two turns that is taken for a sleep of the host.
        public static var sleep: Duration { .seconds(60) }
        /// Networks of the site that are remembered.
        public static var siteNetworks: Int { 4_096 }
        /// Ended flows are handed to the host so often at most.
        public static var flowLogInterval: Duration { .seconds(1) }
        /// Ended flows that wait for the host to write them down.
        public static var flowRecords: Int { 16_384 }
        /// Flows whose room is freed in one turn: none may be long.
        public static var sweep: Int { 2_048 }
        /// Flows whose time is over are looked for so often at most.
        public static var sweepInterval: Duration { .seconds(10) }
        /// The portal is told of changed counts so often at most.
        public static var reportInterval: Duration { .seconds(1) }
        /// How long leases live without the portal, before the first welcome says.
        public static var awayDefault: Duration { .seconds(86_400) }
        /// Queries that nameservers are being asked for, of all clients; names need room, too.
        public static var queries: Int { 512 }
        /// When such a query is given up: the client itself waits for four seconds in all.
        public static var queryPatience: Duration { .seconds(3) }
        /// Seconds that what the hosts file says may be kept.
        public static var hostsSeconds: UInt32 { 30 }
        /// Seconds that the answer to ANY may be kept.
        public static var minimalSeconds: UInt32 { 3_600 }
        /// A repeated SYN this late means that the first address does not answer. Less than the
        /// second after which kernels repeat it (RFC 6298 2.1), since the first one may have waited
        /// for its name.
        public static var answerPatience: Duration { .milliseconds(700) }
    }

    /// A name of a client that waits for an answer of the resolver.
    struct Waiter: Hashable, Sendable {
        var client: ClientID
        var name: Name
    }

    var pool: PeerPool
    /// Asks the site's nameservers, for the addresses of names and for clients' queries.
    var site: SiteResolver
    var resolver = NameResolver()
    /// Which resources are reached from here.
    var reach = Reach()
    /// Queries under way, by their number.
    var pendingQueries: [UInt64: PendingQuery] = [:]
    var queryNumbers: [SiteResolver.Inquiry: UInt64] = [:]
    var lastQuery: UInt64 = 0
    /// Whether TCP to our own address is served by the host.
    var servesStreams = false
    var coalescer = Coalescer()
    var translator: Translator
    /// Clients with fragments that wait for others.
    var reassembling: [ClientID] = []
    /// The headers of a packet on its way in, to be rewritten.
    var headers = Block(byteCount: Limits.tunnelByteCount)

    /// Clients, each at its slot of the pool.
    var clients: [ClientOnGateway?] = []
    var slotByClient: [ClientID: Int] = [:]
    var slotByAddress: [IPAddress: Int] = [:]
    var clientByLease: [LeaseID: ClientID] = [:]
    /// Clients with a session.
    var connectedCount = 0

    var identity: GatewayIdentity?
    var plan = AddressPlan.standard
    /// Networks of the site: no candidate may aim us at them.
    var siteNetworks: [IPPrefix] = []
    /// Where clients may reach us; for hello.
    public internal(set) var candidates: [Control.Candidate] = []
    /// Whether they changed since the portal was told.
    var hasCandidatesToTell = false
    var relays = DealtRelays()
    var lastTurn: Instant?
    var awayMax = Limits.awayDefault
    var awaySince: Instant?
    var isPortalUp = false
    var isResyncing = false
    var isStopping = false
    /// Whether every client was told that we stop.
    var hasLeft = false
    var hasFinished = false

    /// Names that wait, by what is being resolved for them.
    var waiting: [Name: [Waiter]] = [:]
    /// Names whose waiting packets can go.
    var ready: [Waiter] = []
    var heldCount = 0
    /// Clients with something that came before its grant, and all of it counted.
    var early: [ClientID] = []
    var earlyCount = 0
    /// When something has waited for its grant for long enough.
    var earlyDeadline: Instant?
    /// Whether a grant came that something may have waited for.
    var isEarlyReady = false

    /// Whether ended flows are kept for the host.
    var logsFlows = false
    var flowRecords: [FlowRecord] = []
    var flowLogDeadline: Instant?
    /// Where the sweep of ended flows goes on.
    var sweepSlot = 0
    var nextFlowEnd: Instant?
    /// Each client's table of flows has a seed of its own.
    var seeds: RandomSource

    /// When a client's next lease ends, by its slot.
    var leaseTimers = TimerHeap()
    var flowDeadline: Instant?
    var reportDeadline: Instant?
    var reportedClients = 0
    var reportedAt: Instant?
    var outputs = OutputQueue<Output>(countMax: 1_024)
    /// What went no further, and why.
    public internal(set) var counters = Counters()

    /// - Parameters:
    ///   - wallClock: The wall clock at one instant, for handshakes.
    ///   - random: Keys, indices and the numbers of questions are drawn from it.
    public init(wallClock: WallStart, random: RandomSource) {
        var random = random
        let pool = PeerPool(role: .gateway, wallClock: wallClock, random: random.fork())
        self.init(pool: pool, random: random)
    }

    init(pool: consuming PeerPool, random: RandomSource) {
        var random = random
        self.pool = pool
        site = SiteResolver(random: random.fork())
        seeds = random.fork()
        translator = Translator(random: &random)
    }

    /// What the connections dropped, and why, since the start.
    public var connectionCounters: PeerCounters { pool.counters }

    /// What relays sent that was dropped, and why, since the start.
    public var relayCounters: TURNCounters { pool.relayCounters }

    /// What clients know this run of the gateway by; for hello.
    public var publicKey: Key { pool.publicKey }

    public mutating func pollOutput() -> Output? {
        if let output = outputs.popFirst() { return output }
        if let exchange = site.pollExchange() { return .exchange(exchange) }
        if hasLeft, !hasFinished {
            hasFinished = true
            return .finished
        }
        return nil
    }

    public static func exchange(of output: Output) -> Exchange? {
        if case .exchange(let exchange) = output { exchange } else { nil }
    }

    public static func command(answering token: UInt64, with bytes: [UInt8]?) -> Command? {
        .exchangeAnswered(token: token, bytes: bytes)
    }
}

// MARK: - Packets

extension Gateway {
    public mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        noteTurn(at: now, into: &outbox)
        var taken = 0
        for index in batch.indices {
            let isTaken =
                switch side {
                case .network: receiveDatagrams(batch, index, at: now, into: &outbox)
                case .tunnel: receivePacket(batch, index, at: now, into: &outbox)
                }
            guard isTaken else { break }
            taken += 1
        }
        settle(at: now, into: &outbox)
        return taken
    }

    /// One entry from the network: one datagram, or several of one sender.
    ///
    /// - Returns: False when there is no room for what may come of it.
    private mutating func receiveDatagrams(
        _ batch: borrowing Batch,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let entry = batch[index]
        let all = batch.bytes(of: index)
        let size = entry.segmentByteCount > 0 ? entry.segmentByteCount : all.byteCount
        guard size > 0 else { return true }
        let count = (all.byteCount + size - 1) / size
        let answerByteCount = Limits.sealedByteCount
        guard outbox.hasTunnelRoom(packets: count, byteCount: size),
            outbox.hasNetworkRoom(datagrams: min(count, 8), byteCount: answerByteCount)
        else {
            guard outbox.isEmpty else { return false }
            counters.tooLarge += 1
            return true
        }
        var start = 0
        while start < all.byteCount {
            let end = min(start + size, all.byteCount)
            let received = pool.receive(
                all.extracting(start..<end),
                remote: entry.remote,
                local: entry.local,
                ecn: entry.ecn,
                at: now,
                into: &outbox
            )
            switch received {
            case .nothing: break
            case .packet(let peer, let byteCount):
                receive(byteCount, from: peer, at: now, into: &outbox)
            case .frame(let peer, let frame):
                receive(frame, from: peer, at: now, into: &outbox)
            }
            start = end
        }
        return true
    }

    /// The slot of a peer that is a client of ours.
    func slot(of peer: PeerIndex) -> Int? {
        guard peer.slot < clients.count, clients[peer.slot]?.peer == peer else { return nil }
        return peer.slot
    }
}
