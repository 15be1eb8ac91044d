internal import Bytes
public import Control
internal import DNS
internal import IP
public import Peering
internal import RelayUse
public import SansIO
public import STUN
public import WireGuard

/// The client: it answers the host's name queries, finds out which resource a packet is for, gets
/// it authorised by the first packet, and carries it to the gateway that serves it.
///
/// A packet from the tunnel device meets, in this order: what is dropped (multicast, wrong source),
/// the sentinels, the choice of the resource, its filters, the lease, the gateway's connection, and
/// for a name what the gateway said of it. What is missing is asked for, once, while the packet
/// waits; what is refused is told to its sender at once. It opens no socket and asks no clock: the
/// host does what ``pollOutput()`` says.
///
/// Everything about one resource's permission is in `Authorization`, about one gateway in
/// `GatewayOnClient`, about a name there in `NameOnGateway`.
public struct Client: ~Copyable, PacketMachine {
    /// Bounds of a client.
    public enum Limits {
        /// Bytes that an outbox needs free before a datagram is opened.
        static var tunnelRoom: Int { 2048 }
        /// Names records written in one turn at most; the rest follows at once.
        static var records: Int { 4096 }
        /// Between two calls for the portal's help with a gateway that is not heard.
        static var callInterval: Duration { .seconds(2) }
        /// A new gateway that has not answered for this long is asked for through the portal, and
        /// again after the second.
        static var answerPatience: Duration { .milliseconds(400) }
        static var punchInterval: Duration { .seconds(1) }
        /// Between two questions to a stand-by gateway that has not been heard lately.
        static var standbyInterval: Duration { .milliseconds(500) }
        /// A gateway that was lost while nothing at all was heard has so much time after a
        /// stand-by is heard: connections that go on with it are worth the wait.
        static var headStart: Duration { .milliseconds(600) }
        /// Nothing heard of anybody for so long after a distress began: the fault was ours.
        static var ownFault: Duration { .milliseconds(500) }
        /// Leases that only running connections need are looked at so often.
        static var formerInterval: Duration { .seconds(2) }
        /// A pause between two turns that is taken for a sleep of the host.
        static var sleep: Duration { .seconds(60) }
    }

    var pool: PeerPool
    private let keyText: KeyText
    var random: RandomSource
    var router = Router()
    /// There from the first welcome on: before, the ranges are not known.
    var stub: StubResolver?
    /// The names log as read at the start, until it is used.
    var savedNames: [UInt8]
    var plan = AddressPlan.standard
    var identity: ClientIdentity?
    var account = ""
    var dns = DNSSettings()
    var withheld: WithheldNames?
    var hostUpstreams: [Upstream] = []
    /// Zones that links of the host have nameservers for.
    var hostZones: [HostZone] = []
    /// Networks of the host inside our ranges.
    var conflicts: [IPPrefix] = []
    /// Whether answers of nameservers are kept.
    var isCacheEnabled = true
    /// Where gateways may reach us: host, server-reflexive, relayed.
    public internal(set) var candidates: [Control.Candidate] = []
    /// Whether they changed since the portal was told.
    var hasCandidatesToTell = false
    var relays = DealtRelays()
    var isPortalConnected = false
    /// The leases that the last hello told of, until its welcome.
    var helloLeases: [LeaseID] = []
    var revisions = RevisionTracker()
    /// Why the portal ended the last session; nil when it did not.
    var portalRefusal: Control.Refusal?

    var authorizations: [ResourceID: Authorization] = [:]
    /// The resources that have an authorization; iterated in this order.
    var authorized: [ResourceID] = []
    var gateways: [GatewayOnClient] = []
    var names: [NameKey: NameOnGateway] = [:]
    /// Names whose answer is waited for.
    var toldNames: [NameKey] = []
    var epoch: UInt64 = 0
    /// Whether a stand-by gateway is only to be heard before packets take its lease.
    var isStandbyAwaited = false
    /// When one was last asked to say something.
    var standbyAskedAt: Instant?
    /// When packets take the lease of one that is heard, for a first gateway may be yet.
    var standbyDue: Instant?
    /// Questions for the resolvers of gateways.
    var siteQuestions = SiteQuestions()
    /// Resources whose packets found no room in the outbox, or wait for nothing any more.
    var draining: [ResourceID] = []

    var flows = FlowCache()
    var fragments = FragmentedDatagrams()
    var connections = RunningConnections()
    var openings = OpeningConnections()
    /// When leases that only running connections need are looked at.
    var formersDue: Instant?
    var sources = SourceCache()
    var coalescer = Coalescer()
    var outputs = OutputQueue<Output>(countMax: 4096)
    var configuration = HostConfiguration()
    /// When `advance` must be called for our own affairs; computed when something changed.
    var ownDeadline: Instant?
    var isDeadlineStale = false
    var lastTurn: Instant?
    var isShutDown = false
    /// Whom the network lets in, as the last check found.
    public internal(set) var filterings = Filterings()
    var filteringChecks: FilteringChecks?
    /// What was dropped and why, since the start.
    public internal(set) var counters = ClientCounters()

    /// - Parameters:
    ///   - wallClock: The wall clock at one instant.
    ///   - random: Keys, identifiers and query IDs are drawn from it.
    ///   - names: The names log as it was on disk; empty at the first start.
    public init(wallClock: WallStart, random: RandomSource, names: [UInt8] = []) {
        var random = random
        pool = PeerPool(role: .client, wallClock: wallClock, random: random.fork())
        pool.setRefusedNetworks(AddressPlan.standard.all)
        guard let text = KeyText(bytes: pool.publicKey.array) else {
            preconditionFailure("both kinds of keys have 32 bytes")
        }
        keyText = text
        self.random = random
        savedNames = names
    }

    /// What the connections dropped, and why, since the start.
    public var connectionCounters: PeerCounters { pool.counters }

    /// What relays sent that was dropped, and why, since the start.
    public var relayCounters: TURNCounters { pool.relayCounters }

    /// What gateways know us by; made anew with each client.
    public var publicKey: Key { pool.publicKey }

    /// The opening of a session with the portal.
    public func hello(
        name: String,
        software: String,
        os: String,
        region: String? = nil
    ) -> FromRole.Hello {
        FromRole.Hello(
            role: .client,
            name: name,
            software: software,
            os: os,
            publicKey: keyText,
            candidates: candidates,
            instance: revisions.instance,
            revision: revisions.revision,
            leases: authorized.flatMap { authorizations[$0]?.all.map(\.id) ?? [] },
            region: region
        )
    }

    /// A name at one gateway.
    struct NameKey: Hashable {
        var peer: PeerIndex
        var slot: Int
    }

    public static func exchange(of output: Output) -> Exchange? {
        guard case .exchange(let exchange) = output else { return nil }
        return exchange
    }

    public static func command(answering token: UInt64, with bytes: [UInt8]?) -> Command? {
        .exchangeAnswered(token: token, bytes: bytes)
    }

    public static func portRequest(of output: Output) -> PortRequest? {
        if case .port(let request) = output { request } else { nil }
    }

    public static func command(port: UInt16, isOpen: Bool) -> Command? { .portOpened(isOpen) }

    public mutating func pollOutput() -> Output? { outputs.popFirst() }

    public var nextDeadline: Instant? {
        guard outputs.isEmpty, draining.isEmpty, !connections.isDue else {
            return Instant(nanoseconds: 0)
        }
        var next = pool.nextDeadline
        next = Self.earlier(next, ownDeadline)
        if let filteringChecks { next = Self.earlier(next, filteringChecks.nextDeadline) }
        switch stub {
        case .some(let stub): next = Self.earlier(next, stub.nextDeadline)
        case .none: break
        }
        return next
    }

    static func earlier(_ first: Instant?, _ second: Instant?) -> Instant? {
        guard let first, let second else { return first ?? second }
        return min(first, second)
    }
}
