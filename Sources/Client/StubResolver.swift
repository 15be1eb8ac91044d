public import Bytes
internal import Control
public import DNS
public import IP
public import SansIO

/// The DNS server inside the client: it answers protected names with proxy addresses by itself, and
/// passes every other question on to the upstream of the sentinel that was asked.
///
/// Messages in, messages out; packets, sockets and connections are others' business, and so is
/// authorization: a query costs no traffic. A query meets, in this order: errors of form, names
/// that are answered here for everybody (RFC 6761), our own addresses, private reverse zones
/// (RFC 6303), the resources, and the upstream.
public struct StubResolver: ~Copyable {
    /// Bounds and times of the resolver.
    public enum Limits {
        /// Queries at upstreams at one time; one more makes the oldest give up.
        public static var inFlight: Int { 1_000 }
        /// How long an upstream has.
        public static var upstream: Duration { .seconds(5) }
        /// Queries that wait for one answer, besides the first.
        public static var followers: Int { 64 }
        /// How long a question is joined by others like it; who asks again later does so because
        /// no answer came, and is asked for anew.
        public static var joining: Duration { .milliseconds(250) }
        /// How long a site has.
        public static var site: Duration { .seconds(4) }
        /// Queries held back at one time; one more is answered at once.
        public static var held: Int { 64 }
        /// How long a query for an absent family waits for its sister: hosts send both at once.
        public static var sister: Duration { .milliseconds(25) }
        /// How far the two may lie apart when the sister came first.
        public static var sisterBefore: Duration { .seconds(5) }
        /// Seconds that proxy addresses may be kept by whom they are told.
        public static var timeToLive: UInt32 { 1 }
    }

    /// What a query asks for in the end.
    public enum Outcome: Equatable, Sendable {
        /// Send this back; ``popQuery()`` may have something to ask besides.
        case answer([UInt8])
        /// Ask this; the answer goes to ``finish(_:with:at:)``.
        case forward(UpstreamQuery)
        /// Ask the site; its answer goes to ``finish(_:with:at:)``, what prevents one to
        /// ``refuse(_:error:at:)``.
        case askSite(SiteQuestion)
        /// The answer will come from ``popReply()``.
        case wait
        /// Send nothing back.
        case drop
    }

    /// An answer that became ready later.
    public struct Reply: Hashable, Sendable {
        /// Who asked.
        public let asker: Asker
        /// The answer.
        public let bytes: [UInt8]
    }

    /// The sentinels and whom they stand for.
    public internal(set) var sentinels: Sentinels
    /// The proxy addresses; another table is taken over by ``replaceProxies(with:)`` only.
    public var proxies: ProxyTable
    /// Queries that came, since the start.
    public private(set) var queryCount: UInt64 = 0
    /// The slot of the last query's name; nil where that is not protected.
    var askedSlot: Int?
    var resources: [ProtectedName] = []
    var index = PatternIndex<ResourceID>()
    /// Names that are protected, but not for us.
    var withheld: WithheldNames?
    var withheldFingerprints: Set<String> = []
    /// Counts changes of the resources; what was found before does not hold any more.
    var generation: UInt32 = 1
    /// What was found for the name of each slot.
    var matches: [Match] = []
    private var tunnelAddresses: [IPAddress] = []
    /// Zones that have nameservers of their own.
    var zones = ForwardZones()
    /// Nameservers that are reached through the tunnel.
    var tunnelUpstreams: Set<Upstream> = []
    /// Answers of nameservers.
    var cache = ForwardCache()
    /// Counts how often the cache was emptied: answers to older queries are not kept.
    var cacheEpoch = 0
    /// Whether answers of nameservers are kept.
    public var isCacheEnabled = true {
        didSet { if !isCacheEnabled { flushCache() } }
    }
    var inFlight = InFlightTable()
    /// Queries that others like them were asked for, since the start.
    public internal(set) var joinedCount: UInt64 = 0
    var held = Fifo<Held>()
    var replies = Fifo<Reply>()
    /// Questions to nameservers that come from nobody's query.
    var outgoing = Fifo<UpstreamQuery>()
    var random: RandomSource
    /// What hashes of names depend on.
    let hashSeed: UInt64

    /// - Parameters:
    ///   - proxies: The table, as it was read from disk or empty.
    ///   - sentinels: The mapping, still empty.
    ///   - random: For the IDs of forwarded queries.
    public init(proxies: ProxyTable, sentinels: Sentinels, random: RandomSource) {
        (self.proxies, self.sentinels, self.random) = (proxies, sentinels, random)
        hashSeed = self.random.next()
    }
}

/// Who asked a query, and whom.
public struct Asker: Hashable, Sendable {
    /// How a query came, and its answer goes back.
    public enum Path: Hashable, Sendable {
        /// In a datagram from this endpoint.
        case datagram(source: Endpoint)
        /// On a connection, under this number.
        case stream(id: UInt64)
    }

    /// The address that was asked.
    public let sentinel: IPAddress
    /// How the answer goes back.
    public let path: Path

    public init(sentinel: IPAddress, path: Path) { (self.sentinel, self.path) = (sentinel, path) }

    var isStream: Bool {
        if case .stream = path { true } else { false }
    }
}

// MARK: - Entry points

extension StubResolver {
    /// Takes over the nameservers; see ``Sentinels/update(upstreams:)``.
    /// - Returns: Whether the host must be given other sentinels.
    public mutating func setUpstreams(_ upstreams: [Upstream]) -> Bool {
        guard sentinels.update(upstreams: upstreams) else { return false }
        flushCache()
        return true
    }

    /// Takes over the zones that have nameservers of their own.
    /// - Returns: Whether anything changed: caches on the host must be emptied then.
    public mutating func setZones(_ all: [ForwardZone]) -> Bool {
        let sentinels = sentinels
        let isChanged = zones.set(all) { upstream in
            !(upstream.address.map(sentinels.covers) ?? false)
        }
        if isChanged { flushCache() }
        return isChanged
    }

    /// Takes over which nameservers, of sentinels and of zones, are reached through the tunnel.
    public mutating func setTunnelUpstreams(_ upstreams: Set<Upstream>) {
        guard upstreams != tunnelUpstreams else { return }
        tunnelUpstreams = upstreams
        flushCache()
    }

    /// Forgets the answers of nameservers.
    public mutating func flushCache() {
        cacheEpoch += 1
        cache.removeAll()
    }

    /// Takes over another table: one read from disk, or one of other ranges.
    public mutating func replaceProxies(with table: ProxyTable) {
        proxies = table
        generation &+= 1
    }

    /// Takes over the networks that the host has already inside our ranges: no address of theirs is
    /// handed out any more.
    public mutating func setConflicts(_ networks: [IPPrefix]) {
        sentinels.conflicts = networks
        proxies.setConflicts(networks)
    }

    /// The client's own addresses, whose names are answered here.
    public mutating func setTunnelAddresses(_ addresses: [IPAddress]) {
        tunnelAddresses = addresses
    }

    /// A query came.
    public mutating func resolve(_ bytes: RawSpan, from asker: Asker, at now: Instant) -> Outcome {
        queryCount &+= 1
        askedSlot = nil
        switch Query.read(bytes, isStream: asker.isStream) {
        case .ignore: return .drop
        case .answer(let answer): return .answer(answer)
        case .query(let query):
            if let answer = LocalNames.answer(query) { return .answer(answer) }
            // Our own addresses lie in private reverse zones, so they come before those.
            if let answer = answerOwnAddress(query) { return .answer(answer) }
            // A zone that somebody serves is not empty.
            let zone = zones.zone(of: query.question.name)
            if zone == nil, let answer = LocalNames.answerReverse(query) { return .answer(answer) }
            if let outcome = resolveProtected(query, asker, at: now) { return outcome }
            if zone == nil, let answer = LocalNames.answerUnserved(query) {
                return .answer(answer)
            }
            return forward(query, bytes, asker, zone, at: now)
        }
    }

    /// Time passed: queries held back are answered, upstreams that kept silent are given up.
    public mutating func advance(to now: Instant) {
        while let first = held.first, first.deadline <= now {
            _ = held.popFirst()
            let answer = answerAddresses(first.query, first.slot, first.family)
            replies.append(Reply(asker: first.asker, bytes: answer))
        }
        while let token = inFlight.due(at: now) { giveUp(token, at: now) }
        proxies.advance(to: now)
    }

    /// The next question to a nameserver that no query asks directly: one of a zone is asked
    /// because another kept silent, or an answer that has just ended is asked for anew; nil when
    /// there is none. Poll it whenever the resolver was called.
    public mutating func popQuery() -> UpstreamQuery? { outgoing.popFirst() }

    /// The next answer that became ready by itself; nil when there is none.
    public mutating func popReply() -> Reply? { replies.popFirst() }

    /// When ``advance(to:)`` must be called at the latest; now, while replies or questions wait.
    public var nextDeadline: Instant? {
        if replies.first != nil || outgoing.first != nil { return Instant(nanoseconds: 0) }
        return [held.first?.deadline, inFlight.nextDeadline, proxies.nextDeadline]
            .compactMap(\.self).min()
    }

    /// Queries at upstreams and sites now.
    public var inFlightCount: Int { inFlight.count }
}

// MARK: - Our own addresses

extension StubResolver {
    /// Whether an address is a proxy, sentinel or tunnel address.
    func isOwn(_ address: IPAddress) -> Bool {
        sentinels.covers(address) || proxies.covers(address) || tunnelAddresses.contains(address)
    }

    /// Names below the ones of our proxy, sentinel and tunnel addresses never leave the host.
    mutating func answerOwnAddress(_ query: Query) -> [UInt8]? {
        guard LocalNames.isReverse(query.question.name),
            let address = query.question.name.reverseAddress
        else { return nil }
        let name: Name?
        guard isOwn(address) else { return nil }
        if sentinels.covers(address) {
            name = sentinels.upstream(of: address) == nil ? nil : LocalNames.resolver
        } else if proxies.covers(address) {
            name = proxies.place(of: address).flatMap { isProtected($0.slot) ? $0.name : nil }
        } else {
            name = LocalNames.client
        }
        guard let name else { return query.reply(.nameError) }
        guard query.question.type == .ptr || query.question.type == .any else {
            return query.reply(.noError)
        }
        let record = Record(query.question.name, timeToLive: Limits.timeToLive, .ptr(name))
        return query.reply(.noError, answers: [record])
    }
}
