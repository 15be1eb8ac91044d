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
        /// Send this back.
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
    var inFlight = InFlightTable()
    private var held = Fifo<Held>()
    private var replies = Fifo<Reply>()
    var random: RandomSource

    /// - Parameters:
    ///   - proxies: The table, as it was read from disk or empty.
    ///   - sentinels: The mapping, still empty.
    ///   - random: For the IDs of forwarded queries.
    public init(proxies: ProxyTable, sentinels: Sentinels, random: RandomSource) {
        (self.proxies, self.sentinels, self.random) = (proxies, sentinels, random)
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
        sentinels.update(upstreams: upstreams)
    }

    /// Takes over another table: one read from disk, or one of other ranges.
    public mutating func replaceProxies(with table: ProxyTable) {
        proxies = table
        generation &+= 1
    }

    /// The client's own addresses, whose names are answered here.
    public mutating func setTunnelAddresses(_ addresses: [IPAddress]) {
        tunnelAddresses = addresses
    }

    /// A query came.
    public mutating func resolve(_ bytes: RawSpan, from asker: Asker, at now: Instant) -> Outcome {
        queryCount &+= 1
        switch Query.read(bytes, isStream: asker.isStream) {
        case .ignore: return .drop
        case .answer(let answer): return .answer(answer)
        case .query(let query):
            if let answer = LocalNames.answer(query) { return .answer(answer) }
            // Our own addresses lie in private reverse zones, so they come before those.
            if let answer = answerOwnAddress(query) { return .answer(answer) }
            if let answer = LocalNames.answerReverse(query) { return .answer(answer) }
            if let outcome = resolveProtected(query, asker, at: now) { return outcome }
            return forward(query, bytes, asker, at: now)
        }
    }

    /// An exchange, or a question for a site, ended: with an answer, or (nil) it failed at once.
    /// - Returns: What goes back; nil for nothing.
    public mutating func finish(_ token: UInt64, with bytes: [UInt8]?, at now: Instant) -> Reply? {
        guard let entry = inFlight.remove(token) else { return nil }
        guard let bytes else { return Self.failure(entry, .networkError) }
        if entry.wait == .site {
            let answer = entry.query.relayedFromSite(bytes, sentAs: entry.id)
            return answer.map { Reply(asker: entry.asker, bytes: $0) }
                ?? Self.failure(entry, .networkError)
        }
        if let answer = entry.query.relayed(bytes, sentAs: entry.id) {
            return Reply(asker: entry.asker, bytes: answer)
        }
        // An answer to something else: over UDP perhaps a stranger's, so the asker may ask again.
        return entry.asker.isStream ? Self.failure(entry, .networkError) : nil
    }

    /// Time passed: queries held back are answered, upstreams that kept silent are given up.
    public mutating func advance(to now: Instant) {
        while let first = held.first, first.deadline <= now {
            _ = held.popFirst()
            let answer = answerAddresses(first.query, first.slot, first.family)
            replies.append(Reply(asker: first.asker, bytes: answer))
        }
        while let entry = inFlight.popDue(at: now) { giveUp(entry) }
        proxies.advance(to: now)
    }

    /// The next answer that became ready by itself; nil when there is none.
    public mutating func popReply() -> Reply? { replies.popFirst() }

    /// When ``advance(to:)`` must be called at the latest; now, while replies wait.
    public var nextDeadline: Instant? {
        if replies.first != nil { return Instant(nanoseconds: 0) }
        return [held.first?.deadline, inFlight.nextDeadline, proxies.nextDeadline]
            .compactMap(\.self).min()
    }

    /// Queries at upstreams and sites now.
    public var inFlightCount: Int { inFlight.count }
}

// MARK: - Upstreams

extension StubResolver {
    /// Sends the query on under an ID of its own, otherwise as it is.
    private mutating func forward(
        _ query: Query,
        _ bytes: RawSpan,
        _ asker: Asker,
        at now: Instant
    ) -> Outcome {
        guard let upstream = sentinels.upstream(of: asker.sentinel) else { return .drop }
        let id = UInt16(truncatingIfNeeded: random.next())
        let deadline = now.advanced(by: Limits.upstream)
        let entry = InFlight(
            query: query,
            asker: asker,
            id: id,
            wait: .upstream,
            deadline: deadline
        )
        let token = putInFlight(entry)
        var sent = bytes.array
        sent[0] = UInt8(id >> 8)
        sent[1] = UInt8(truncatingIfNeeded: id)
        return .forward(
            UpstreamQuery(
                token: token,
                upstream: upstream,
                transport: asker.isStream ? .stream : .datagram,
                isInTunnel: false,
                bytes: sent
            )
        )
    }

    /// Waits for an answer.
    /// - Returns: The token that it comes with.
    mutating func putInFlight(_ entry: InFlight) -> UInt64 {
        let (token, evicted) = inFlight.insert(entry)
        if let evicted { giveUp(evicted) }
        return token
    }

    /// Over UDP an upstream's silence is the answer: the host then takes its next server.
    private mutating func giveUp(_ entry: InFlight) {
        switch entry.wait {
        case .site: replies.append(Self.failure(entry, .noReachableAuthority))
        case .upstream:
            if entry.asker.isStream { replies.append(Self.failure(entry, .networkError)) }
        }
    }

    static func failure(_ entry: InFlight, _ error: ExtendedError) -> Reply {
        let answer = entry.query.reply(.serverFailure, error: error)
        return Reply(asker: entry.asker, bytes: answer)
    }
}

// MARK: - Our own addresses

extension StubResolver {
    /// Names below the ones of our proxy, sentinel and tunnel addresses never leave the host.
    private mutating func answerOwnAddress(_ query: Query) -> [UInt8]? {
        guard LocalNames.isReverse(query.question.name),
            let address = query.question.name.reverseAddress
        else { return nil }
        let name: Name?
        if sentinels.covers(address) {
            name = sentinels.upstream(of: address) == nil ? nil : LocalNames.resolver
        } else if proxies.covers(address) {
            name = proxies.place(of: address).flatMap { isProtected($0.slot) ? $0.name : nil }
        } else if tunnelAddresses.contains(address) {
            name = LocalNames.client
        } else {
            return nil
        }
        guard let name else { return query.reply(.nameError) }
        guard query.question.type == .ptr || query.question.type == .any else {
            return query.reply(.noError)
        }
        let record = Record(query.question.name, timeToLive: Limits.timeToLive, .ptr(name))
        return query.reply(.noError, answers: [record])
    }
}

// MARK: - Families

extension StubResolver {
    /// A query for a family that the name lacks, until its sister comes or does not.
    private struct Held {
        let query: Query
        let asker: Asker
        let slot: Int
        let family: IPFamily
        let deadline: Instant
    }

    /// Answers a question for the addresses of a protected name.
    ///
    /// A family that the name is known to lack is left out when the host asks for the other one
    /// too; alone it is served, and its packets are refused at the gateway.
    mutating func resolveAddresses(
        _ query: Query,
        _ asker: Asker,
        _ slot: Int,
        _ family: IPFamily,
        isOtherServed: Bool,
        at now: Instant
    ) -> Outcome {
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        proxies.noteAsked(family, at: slot, now)
        if proxies.isAbsent(other, at: slot) { answerSisters(of: slot, other) }
        guard isOtherServed, proxies.isAbsent(family, at: slot) else {
            return .answer(answerAddresses(query, slot, family))
        }
        if let asked = proxies.lastAsked(other, at: slot),
            asked.duration(to: now) <= Limits.sisterBefore
        {
            return .answer(query.reply(.noError))
        }
        guard held.count < Limits.held else { return .answer(answerAddresses(query, slot, family)) }
        let deadline = now.advanced(by: Limits.sister)
        held.append(
            Held(query: query, asker: asker, slot: slot, family: family, deadline: deadline)
        )
        return .wait
    }

    /// The sister of queries held back came: they are answered without records.
    private mutating func answerSisters(of slot: Int, _ family: IPFamily) {
        for _ in 0..<held.count {
            guard let first = held.popFirst() else { break }
            if first.slot == slot, first.family == family {
                replies.append(Reply(asker: first.asker, bytes: first.query.reply(.noError)))
            } else {
                held.append(first)
            }
        }
    }

    /// The four addresses, each first in its turn.
    private mutating func answerAddresses(
        _ query: Query,
        _ slot: Int,
        _ family: IPFamily
    ) -> [UInt8] {
        guard let match = match(of: slot), !match.resources.isEmpty,
            proxies.name(of: slot) == query.question.name
        else { return query.reply(.serverFailure) }
        let addresses = proxies.addresses(of: slot, family)
        if match.isWithheld {
            return query.reply(Array(addresses.prefix(1)), first: 0, timeToLive: Limits.timeToLive)
        }
        let first = proxies.nextRotation(family, at: slot)
        return query.reply(addresses, first: first, timeToLive: Limits.timeToLive)
    }
}
