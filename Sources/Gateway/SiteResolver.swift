public import Bytes
public import DNS
public import IP
public import SansIO

/// Asks the nameservers of the gateway's site, as resolv.conf(5) says it should be done.
///
/// One server after the other, over TCP what does not fit a datagram, along the search list; the
/// end of every look-up is a ``Finding``. It keeps nothing of what it found, and knows neither
/// clients nor resources.
public struct SiteResolver {
    /// Bounds of the resolver.
    public enum Limits {
        /// Look-ups at a time.
        public static var lookups: Int { 1_024 }
        /// How long the first server has, before the next is asked.
        public static var firstWait: Duration { .seconds(1) }
        /// How long every other server has.
        public static var nextWait: Duration { .seconds(2) }
        /// Questions about one name.
        public static var attempts: Int { 8 }
    }

    /// Counts since the start.
    public struct Counters: Sendable, Equatable {
        /// Look-ups begun.
        public var lookups: UInt64 = 0
        /// Look-ups refused because there were too many.
        public var refused: UInt64 = 0
        /// Messages that belong to no question.
        public var unrelated: UInt64 = 0
        /// Times that a server kept silent.
        public var silences: UInt64 = 0

        public init() {}
    }

    /// What a look-up is for.
    public enum Purpose: Sendable, Hashable {
        /// The addresses of a name in one family.
        case addresses(Name, IPFamily)
        /// The query with this number.
        case query(UInt64)
    }

    /// What is asked, and how.
    public struct Inquiry: Sendable, Hashable {
        /// The question.
        public var question: DNS.Question
        /// Whether DNSSEC's records are wanted (DO).
        public var isDNSSECWanted = false
        /// Whether the asker checks signatures by itself (CD).
        public var isCheckingDisabled = false
        /// When it is given up, whatever the servers do.
        public var patience: Duration

        public init(_ question: DNS.Question, patience: Duration) {
            (self.question, self.patience) = (question, patience)
        }
    }

    /// The end of a look-up.
    public struct Finding: Sendable {
        /// What it was for.
        public let purpose: Purpose
        /// What came of it.
        public let outcome: Outcome
    }

    /// What came of a look-up.
    public enum Outcome: Sendable {
        /// A server's word on this name, which the search list may have completed.
        case answer(DNS.Message, about: Name)
        /// No server helped; the last that said so, if any.
        case failure(DNS.Message?)
    }

    private struct Lookup: Sendable {
        let inquiry: Inquiry
        let purpose: Purpose
        /// Names to try, the one that is asked for first.
        var names: [Name]
        let servers: [Endpoint]
        /// Questions about the name so far.
        var attempts = 0
        /// When the next server is asked.
        var deadline: Instant
        /// When it is given up.
        let end: Instant
        /// Whether questions carry EDNS; a server that does not understand it gets them without.
        var usesEDNS = true
        /// The exchanges under way: a late answer counts as well.
        var tokens: [UInt64] = []
        /// That a name does not exist; that of the name as it was asked counts most.
        var absence: (message: DNS.Message, name: Name)?
        /// The last answer about the name that was of no help.
        var failure: DNS.Message?
        /// The same about names tried before.
        var earlierFailure: DNS.Message?

        var question: DNS.Question {
            DNS.Question(names.first ?? .root, inquiry.question.type)
        }
    }

    private struct Asked: Sendable {
        /// The look-up's; nil for a question that only finds out whether a server is back.
        var number: Int?
        var question: DNS.Question
        var id: UInt16
        var server: Endpoint
        var transport: Exchange.Transport
    }

    private var random: RandomSource
    private var servers = Nameservers()
    private var options = ResolverOptions()
    private(set) var hosts = HostsFile()
    private var lookups: [Lookup?] = []
    private var freeNumbers: [Int] = []
    private var timers = TimerHeap()
    private var asked: [UInt64: Asked] = [:]
    /// Questions to servers that rested, one for each.
    private var trials: [UInt64] = []
    private var lastToken: UInt64 = 0
    private var exchanges = OutputQueue<Exchange>(countMax: 4 * Limits.lookups)
    private var findings = OutputQueue<Finding>(countMax: 2 * Limits.lookups)
    /// Counts since the start.
    public private(set) var counters = Counters()

    /// - Parameter random: The numbers of questions are drawn from it.
    public init(random: RandomSource) { self.random = random }

    /// Whom to ask and how, and the hosts file's entries.
    public mutating func configure(
        servers: [Endpoint],
        hosts: [Gateway.HostEntry],
        options: ResolverOptions = ResolverOptions()
    ) {
        self.servers.set(servers)
        self.hosts = HostsFile(hosts)
        self.options = options
    }

    /// Look-ups under way.
    public var count: Int { lookups.count - freeNumbers.count }

    /// A question for a nameserver; nil when there is none.
    public mutating func pollExchange() -> Exchange? { exchanges.popFirst() }

    /// A look-up that is over; nil when there is none.
    public mutating func pollFinding() -> Finding? { findings.popFirst() }

    /// When ``advance(to:)`` must be called; anything queued means now.
    public var nextDeadline: Instant? {
        exchanges.isEmpty && findings.isEmpty ? timers.next : Instant(nanoseconds: 0)
    }
}

// MARK: - Asking

extension SiteResolver {
    /// Begins a look-up, whose end is a ``Finding``.
    ///
    /// - Returns: False when there are too many, or no server is known.
    public mutating func begin(
        _ inquiry: Inquiry,
        for purpose: Purpose,
        at now: Instant
    ) -> Bool {
        guard !servers.isEmpty else { return false }
        guard count < Limits.lookups else {
            counters.refused += 1
            return false
        }
        counters.lookups += 1
        let number = freeNumbers.popLast() ?? lookups.count
        if number == lookups.count { lookups.append(nil) }
        lookups[number] = Lookup(
            inquiry: inquiry,
            purpose: purpose,
            names: options.expansions(of: inquiry.question.name),
            servers: servers.order(rotates: options.rotates),
            deadline: now,
            end: now.advanced(by: inquiry.patience)
        )
        if let rested = servers.takeRested(at: now) { tryAgain(rested, number) }
        ask(number, at: now)
        return true
    }

    /// Asks the next server.
    private mutating func ask(_ number: Int, at now: Instant) {
        guard var lookup = lookups[number] else { return }
        guard lookup.attempts < attemptsMax(lookup), now < lookup.end else {
            return giveUpName(number, at: now)
        }
        let server = lookup.servers[lookup.attempts % lookup.servers.count]
        lookup.deadline = min(now.advanced(by: wait(lookup.attempts)), lookup.end)
        lookup.attempts += 1
        lookups[number] = lookup
        timers[number] = lookup.deadline
        send(to: server, .datagram, number)
    }

    private func attemptsMax(_ lookup: Lookup) -> Int {
        let rounds = options.attempts.map { $0 * lookup.servers.count }
        return min(rounds ?? Limits.attempts, Limits.attempts)
    }

    /// A time-out of resolv.conf makes it shorter, never longer: an answer that is late counts.
    private func wait(_ attempts: Int) -> Duration {
        let own = attempts == 0 ? Limits.firstWait : Limits.nextWait
        return options.timeoutSeconds.map { min(.seconds($0), own) } ?? own
    }

    private mutating func send(
        to server: Endpoint,
        _ transport: Exchange.Transport,
        _ number: Int
    ) {
        guard let lookup = lookups[number] else { return }
        let token = send(lookup.question, lookup, to: server, transport, number)
        lookups[number]?.tokens.append(token)
    }

    /// Puts the question to a server that kept silent before.
    private mutating func tryAgain(_ server: Endpoint, _ number: Int) {
        guard let lookup = lookups[number] else { return }
        let over = trials.filter { asked[$0]?.server == server }
        for token in over { asked[token] = nil }
        trials.removeAll { asked[$0] == nil }
        trials.append(send(lookup.question, lookup, to: server, .datagram, nil))
    }

    private mutating func send(
        _ question: DNS.Question,
        _ lookup: Lookup,
        to server: Endpoint,
        _ transport: Exchange.Transport,
        _ number: Int?
    ) -> UInt64 {
        let id = UInt16.random(in: 0 ... .max, using: &random)
        lastToken += 1
        let edns = lookup.usesEDNS ? EDNS(isDNSSECWanted: lookup.inquiry.isDNSSECWanted) : nil
        var message = DNS.Message(query: question, id: id, edns: edns)
        message.header.isCheckingDisabled = lookup.inquiry.isCheckingDisabled
        asked[lastToken] = Asked(
            number: number,
            question: question,
            id: id,
            server: server,
            transport: transport
        )
        exchanges.append(
            Exchange(
                token: lastToken,
                server: server,
                bytes: message.wire(),
                transport: transport
            )
        )
        return lastToken
    }
}

// MARK: - Answers and time

extension SiteResolver {
    /// A server answered the exchange `token`, or (nil) it failed at once.
    public mutating func answered(_ token: UInt64, with bytes: [UInt8]?, at now: Instant) {
        guard let question = asked[token] else {
            counters.unrelated += 1
            return
        }
        guard let bytes else {
            noteSilence(of: question.server, at: now)
            return forget(token, andAskNextAt: now)
        }
        let reply = SiteReply(bytes, to: question.question, id: question.id)
        if case .unrelated = reply {
            counters.unrelated += 1
            // The datagram was not ours; ours may still come. A stream brings one answer only.
            guard question.transport == .stream else { return }
            return forget(token, andAskNextAt: now)
        }
        servers.noteAnswer(of: question.server)
        guard let number = question.number else { return forget(token, andAskNextAt: now) }
        take(reply, of: question, token, number, at: now)
    }

    private mutating func take(
        _ reply: SiteReply,
        of question: Asked,
        _ token: UInt64,
        _ number: Int,
        at now: Instant
    ) {
        switch reply {
        case .answer(let message):
            finish(number, .answer(message, about: question.question.name))
        case .noSuchName(let message):
            drop(token)
            noteAbsence(message, question.question.name, number, at: now)
        case .truncated where question.transport == .datagram:
            drop(token)
            send(to: question.server, .stream, number)
        case .withoutEDNS where lookups[number]?.usesEDNS == true:
            lookups[number]?.usesEDNS = false
            drop(token)
            send(to: question.server, question.transport, number)
        case .withoutEDNS(let message), .useless(let message):
            lookups[number]?.failure = message
            forget(token, andAskNextAt: now)
        case .truncated, .unrelated: forget(token, andAskNextAt: now)
        }
    }

    /// The exchange is over.
    private mutating func drop(_ token: UInt64) {
        guard let question = asked.removeValue(forKey: token) else { return }
        if let number = question.number {
            lookups[number]?.tokens.removeAll { $0 == token }
        } else {
            trials.removeAll { $0 == token }
        }
    }

    /// The exchange brought nothing; a server that is asked already may still answer.
    private mutating func forget(_ token: UInt64, andAskNextAt now: Instant) {
        let number = asked[token]?.number
        drop(token)
        guard let number, let lookup = lookups[number] else { return }
        if lookup.attempts < lookup.servers.count {
            ask(number, at: now)
        } else if lookup.tokens.isEmpty {
            giveUpName(number, at: now)
        }
    }

    private mutating func noteSilence(of server: Endpoint, at now: Instant) {
        counters.silences += 1
        servers.noteSilence(of: server, at: now)
    }

    /// Time passed: servers that did not answer.
    public mutating func advance(to now: Instant) {
        while let number = timers.popDue(at: now) {
            guard let lookup = lookups[number] else { continue }
            let last = lookup.servers[max(0, lookup.attempts - 1) % lookup.servers.count]
            if lookup.tokens.contains(where: { asked[$0]?.server == last }) {
                noteSilence(of: last, at: now)
            }
            ask(number, at: now)
        }
    }

    /// The name does not exist; the next one of the search list may.
    private mutating func noteAbsence(
        _ message: DNS.Message,
        _ name: Name,
        _ number: Int,
        at now: Instant
    ) {
        guard var lookup = lookups[number] else { return }
        if lookup.absence == nil || name == lookup.inquiry.question.name {
            lookup.absence = (message, name)
        }
        lookup.failure = nil
        lookups[number] = lookup
        nextName(number, at: now)
    }

    /// No server helped about the name. What is silent about one is silent about all.
    private mutating func giveUpName(_ number: Int, at now: Instant) {
        guard let lookup = lookups[number] else { return }
        if lookup.failure == nil { conclude(number) } else { nextName(number, at: now) }
    }

    private mutating func nextName(_ number: Int, at now: Instant) {
        guard var lookup = lookups[number] else { return }
        guard lookup.names.count > 1, now < lookup.end else { return conclude(number) }
        for token in lookup.tokens { asked[token] = nil }
        lookup.tokens = []
        lookup.names.removeFirst()
        lookup.attempts = 0
        lookup.earlierFailure = lookup.failure ?? lookup.earlierFailure
        lookup.failure = nil
        lookups[number] = lookup
        ask(number, at: now)
    }

    /// No name of the search list is there. Where the name was tried as it is at first, that counts
    /// (as in glibc); else a failure leaves open what would have been found.
    private mutating func conclude(_ number: Int) {
        guard let lookup = lookups[number] else { return }
        let failure = lookup.failure ?? lookup.earlierFailure
        let isFirst = options.isTriedFirst(lookup.inquiry.question.name)
        let isSilent = lookup.failure == nil && !lookup.tokens.isEmpty
        guard let absence = lookup.absence,
            isFirst && absence.name == lookup.inquiry.question.name || failure == nil && !isSilent
        else { return finish(number, .failure(failure)) }
        finish(number, .answer(absence.message, about: absence.name))
    }

    private mutating func finish(_ number: Int, _ outcome: Outcome) {
        guard let lookup = lookups[number] else { return }
        for token in lookup.tokens { asked[token] = nil }
        timers[number] = nil
        lookups[number] = nil
        freeNumbers.append(number)
        findings.append(Finding(purpose: lookup.purpose, outcome: outcome))
    }
}
