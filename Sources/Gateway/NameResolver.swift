public import Bytes
public import DNS
public import IP
public import SansIO

/// Finds the real addresses of names, at the nameservers and in the hosts file of the gateway.
///
/// Asks for A and AAAA side by side, one server after the other, and remembers what came for as
/// long as it may. A name that is in use is asked for again when its time is over; the old answer
/// serves meanwhile. Knows no client, no pattern and no proxy address.
public struct NameResolver {
    /// Bounds of the resolver.
    public enum Limits {
        /// Names remembered.
        public static var names: Int { 16_384 }
        /// Look-ups at a time, one for each name and family.
        public static var lookups: Int { 1_024 }
        /// Addresses kept of one name and family.
        public static var addresses: Int { 64 }
        /// How long the first server has, before the next is asked.
        public static var firstWait: Duration { .seconds(1) }
        /// How long every other server has.
        public static var nextWait: Duration { .seconds(2) }
        /// When a look-up is given up, whatever its servers do.
        public static var patience: Duration { .seconds(4) }
        /// Questions of one look-up.
        public static var attempts: Int { 8 }
        /// For how long an answer is kept, whatever it says.
        public static var timeToLive: ClosedRange<UInt32> { 1...3_600 }
        /// Seconds after which a failed look-up may be tried again by a packet.
        public static var failureSeconds: UInt32 { 5 }
        /// After how long a query tries again what is absent or failed.
        public static var retryMin: Duration { .seconds(1) }
    }

    /// Counts since the start.
    public struct Counters: Sendable, Equatable {
        /// Look-ups begun.
        public var lookups: UInt64 = 0
        /// Look-ups that no server answered.
        public var failures: UInt64 = 0
        /// Names or look-ups refused because there were too many.
        public var refused: UInt64 = 0
        /// Messages that belong to no question.
        public var unrelated: UInt64 = 0

        public init() {}
    }

    struct Family: Sendable {
        var answer = NameAnswer.pending
        var until = Instant(nanoseconds: 0)
        var asked = Instant(nanoseconds: 0)
        var lookup: NameLookup?
        /// Whether anybody asked since the last answer.
        var isUsed = true
    }

    struct Entry: Sendable {
        let name: Name
        /// Its number among the timers.
        let number: Int
        var ipv4 = Family()
        var ipv6 = Family()

        subscript(family: IPFamily) -> Family {
            get { family == .ipv4 ? ipv4 : ipv6 }
            set { if family == .ipv4 { ipv4 = newValue } else { ipv6 = newValue } }
        }

        /// When a server has not answered for too long, or what it said is over.
        var nextDeadline: Instant? {
            IPFamily.allCases.compactMap { family in
                let state = self[family]
                if let lookup = state.lookup { return lookup.deadline }
                return state.answer == .pending ? nil : state.until
            }.min()
        }
    }

    private struct Question: Sendable {
        var name: Name
        var family: IPFamily
        var id: UInt16
        var server: Endpoint
        var transport: Exchange.Transport
    }

    private var random: RandomSource
    private var servers: [Endpoint] = []
    private var hosts: [Name: [IPAddress]] = [:]
    private var refused: [IPPrefix] = []
    private var entries: [Name: Entry] = [:]
    private var questions: [UInt64: Question] = [:]
    private var lastToken: UInt64 = 0
    private var lookupCount = 0
    /// When something is due for a name, by its number; and whose numbers these are.
    private var timers = TimerHeap()
    private var numbered: [Name?] = []
    private var freeNumbers: [Int] = []
    private var exchanges = OutputQueue<Exchange>(countMax: 2 * Limits.lookups)
    private var changes = OutputQueue<Name>(countMax: 4 * Limits.names)
    /// Counts since the start.
    public private(set) var counters = Counters()

    public init(random: RandomSource) { self.random = random }

    /// How many names it remembers.
    public var count: Int { entries.count }

    /// Whom to ask, in this order, and the hosts file's entries, which come first.
    public mutating func configure(
        servers: [Endpoint],
        hosts: [(name: String, addresses: [IPAddress])]
    ) {
        self.servers = servers
        self.hosts = [:]
        for (text, addresses) in hosts {
            guard let name = Name(text) else { continue }
            self.hosts[name, default: []] += addresses
        }
    }

    /// Networks that no name may lead into: the account's own.
    public mutating func refuse(_ networks: [IPPrefix]) { refused = networks }

    /// A question for a nameserver; nil when there is none.
    public mutating func pollExchange() -> Exchange? { exchanges.popFirst() }

    /// A name of which more is known than before; nil when there is none.
    public mutating func pollChange() -> Name? { changes.popFirst() }

    /// When ``advance(to:)`` must be called; anything queued means now.
    public var nextDeadline: Instant? {
        exchanges.isEmpty && changes.isEmpty ? timers.next : Instant(nanoseconds: 0)
    }
}

// MARK: - Asking

extension NameResolver {
    /// What is known of `name` now; what is not known is looked up.
    ///
    /// - Parameters:
    ///   - name: As the resource's site knows it.
    ///   - isQuery: A client's application asked for the name just now, so that what was absent or
    ///     failed is tried again.
    ///   - now: Decides what has expired.
    /// - Returns: The answer of each family, or that it is not known yet.
    public mutating func resolve(_ name: Name, isQuery: Bool, at now: Instant) -> ResolvedName {
        if let listed = hosts[name] { return Self.resolved(listed.filter(isUsable)) }
        if entries[name] == nil {
            guard entries.count < Limits.names else {
                counters.refused += 1
                return ResolvedName(ipv4: .failed, ipv6: .failed)
            }
            let number = freeNumbers.popLast() ?? numbered.count
            if number == numbered.count { numbered.append(nil) }
            numbered[number] = name
            entries[name] = Entry(name: name, number: number)
        }
        entries[name]?.ipv4.isUsed = true
        entries[name]?.ipv6.isUsed = true
        for family in IPFamily.allCases where needsLookup(name, family, isQuery: isQuery, at: now) {
            start(name, family, at: now)
        }
        guard let entry = entries[name] else { return ResolvedName() }
        return ResolvedName(ipv4: entry.ipv4.answer, ipv6: entry.ipv6.answer)
    }

    private static func resolved(_ addresses: [IPAddress]) -> ResolvedName {
        func answer(_ family: IPFamily) -> NameAnswer {
            let own = Set(addresses.filter { $0.family == family })
            return own.isEmpty ? .absent : .addresses(own.sorted())
        }
        return ResolvedName(ipv4: answer(.ipv4), ipv6: answer(.ipv6))
    }

    private func needsLookup(
        _ name: Name,
        _ family: IPFamily,
        isQuery: Bool,
        at now: Instant
    ) -> Bool {
        guard let state = entries[name]?[family], state.lookup == nil else { return false }
        switch state.answer {
        case .pending: return true
        case .addresses: return state.until <= now
        case .absent, .failed:
            return state.until <= now
                || (isQuery && state.asked.advanced(by: Limits.retryMin) <= now)
        }
    }

    private mutating func start(_ name: Name, _ family: IPFamily, at now: Instant) {
        counters.lookups += 1
        guard lookupCount < Limits.lookups, !servers.isEmpty else {
            if !servers.isEmpty { counters.refused += 1 }
            settle(name, family, .failed, seconds: Limits.failureSeconds, at: now)
            return
        }
        lookupCount += 1
        let end = now.advanced(by: Limits.patience)
        entries[name]?[family].lookup = NameLookup(deadline: now, end: end)
        entries[name]?[family].asked = now
        if entries[name]?[family].answer.addresses.isEmpty ?? true {
            entries[name]?[family].answer = .pending
        }
        ask(name, family, at: now)
    }

    /// Asks the next server.
    private mutating func ask(_ name: Name, _ family: IPFamily, at now: Instant) {
        guard var lookup = entries[name]?[family].lookup else { return }
        guard !servers.isEmpty, lookup.attempts < Limits.attempts, now < lookup.end else {
            settle(name, family, .failed, seconds: Limits.failureSeconds, at: now)
            return
        }
        let server = servers[lookup.attempts % servers.count]
        let wait = lookup.attempts == 0 ? Limits.firstWait : Limits.nextWait
        lookup.attempts += 1
        lookup.deadline = min(now.advanced(by: wait), lookup.end)
        entries[name]?[family].lookup = lookup
        schedule(name)
        send(to: server, .datagram, name, family)
    }

    private mutating func send(
        to server: Endpoint,
        _ transport: Exchange.Transport,
        _ name: Name,
        _ family: IPFamily
    ) {
        let id = UInt16.random(in: 0 ... .max, using: &random)
        lastToken += 1
        let edns = entries[name]?[family].lookup?.usesEDNS == true ? EDNS() : nil
        let message = DNS.Message(query: Self.question(name, family), id: id, edns: edns)
        questions[lastToken] = Question(
            name: name,
            family: family,
            id: id,
            server: server,
            transport: transport
        )
        entries[name]?[family].lookup?.tokens.append(lastToken)
        exchanges.append(
            Exchange(
                token: lastToken,
                server: server,
                bytes: message.wire(),
                transport: transport
            )
        )
    }

    private static func question(_ name: Name, _ family: IPFamily) -> DNS.Question {
        DNS.Question(name, family == .ipv4 ? .a : .aaaa)
    }
}

// MARK: - Answers and time

extension NameResolver {
    /// A server answered the exchange `token`, or (nil) it failed at once.
    public mutating func answered(_ token: UInt64, with bytes: [UInt8]?, at now: Instant) {
        guard let question = questions[token] else {
            counters.unrelated += 1
            return
        }
        let (name, family) = (question.name, question.family)
        let reply: NameReply =
            bytes.map {
                NameReply(
                    $0,
                    to: Self.question(name, family),
                    id: question.id,
                    usable: isUsable
                )
            } ?? .useless
        if reply == .unrelated {
            counters.unrelated += 1
            // The datagram was not ours; ours may still come. A stream brings one answer only.
            guard question.transport == .stream else { return }
        }
        questions[token] = nil
        entries[name]?[family].lookup?.tokens.removeAll { $0 == token }
        switch reply {
        case .answer(let answer, let seconds):
            settle(name, family, answer, seconds: seconds, at: now)
        case .truncated where question.transport == .datagram:
            send(to: question.server, .stream, name, family)
        case .withoutEDNS where entries[name]?[family].lookup?.usesEDNS == true:
            entries[name]?[family].lookup?.usesEDNS = false
            send(to: question.server, question.transport, name, family)
        case .truncated, .withoutEDNS, .useless, .unrelated:
            askNextUnlessWaiting(name, family, at: now)
        }
    }

    /// A server that is asked already may still answer.
    private mutating func askNextUnlessWaiting(
        _ name: Name,
        _ family: IPFamily,
        at now: Instant
    ) {
        guard let lookup = entries[name]?[family].lookup else { return }
        let isExhausted = lookup.attempts >= servers.count
        if !isExhausted {
            ask(name, family, at: now)
        } else if lookup.tokens.isEmpty {
            settle(name, family, .failed, seconds: Limits.failureSeconds, at: now)
        }
    }

    /// Time passed: servers that did not answer, answers that may not be kept longer.
    public mutating func advance(to now: Instant) {
        while let number = timers.popDue(at: now) {
            guard let name = numbered[number] else { continue }
            for family in IPFamily.allCases {
                guard let state = entries[name]?[family] else { continue }
                if let lookup = state.lookup {
                    if lookup.deadline <= now { ask(name, family, at: now) }
                } else if state.answer != .pending, state.until <= now {
                    outlive(name, family, at: now)
                }
            }
            schedule(name)
            forgetIfUnknown(name)
        }
    }

    private mutating func schedule(_ name: Name) {
        guard let entry = entries[name] else { return }
        timers[entry.number] = entry.nextDeadline
    }

    /// An answer's time is over: asked for again where it is in use, else forgotten.
    private mutating func outlive(_ name: Name, _ family: IPFamily, at now: Instant) {
        guard let state = entries[name]?[family], state.isUsed, !state.answer.addresses.isEmpty
        else {
            entries[name]?[family].answer = .pending
            return
        }
        start(name, family, at: now)
    }

    private mutating func forgetIfUnknown(_ name: Name) {
        guard let entry = entries[name], entry.ipv4.lookup == nil, entry.ipv6.lookup == nil,
            entry.ipv4.answer == .pending, entry.ipv6.answer == .pending
        else { return }
        timers[entry.number] = nil
        numbered[entry.number] = nil
        freeNumbers.append(entry.number)
        entries[name] = nil
    }

    /// The look-up is over. A failure leaves addresses that were known in use.
    private mutating func settle(
        _ name: Name,
        _ family: IPFamily,
        _ answer: NameAnswer,
        seconds: UInt32,
        at now: Instant
    ) {
        guard var state = entries[name]?[family] else { return }
        if let lookup = state.lookup {
            lookupCount -= 1
            for token in lookup.tokens { questions[token] = nil }
            state.lookup = nil
        }
        if answer == .failed { counters.failures += 1 }
        let keepsOld = answer == .failed && !state.answer.addresses.isEmpty
        let isNews = !keepsOld && state.answer != answer
        if !keepsOld { state.answer = answer }
        let limits = Limits.timeToLive
        let kept = min(max(seconds, limits.lowerBound), limits.upperBound)
        state.until = now.advanced(by: .seconds(kept))
        state.asked = now
        state.isUsed = false
        entries[name]?[family] = state
        schedule(name)
        if isNews { changes.append(name) }
    }

    /// Whether a name may lead to `address`: not to the gateway's host itself, nor to a neighbour
    /// without a route, nor back into the account's own networks.
    private func isUsable(_ address: IPAddress) -> Bool {
        !(Self.neverReal + refused).contains { $0.contains(address) }
    }

    private static let neverReal: [IPPrefix] = [
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/127",
        "fe80::/10", "ff00::/8",
    ].compactMap { IPPrefix($0) }
}
