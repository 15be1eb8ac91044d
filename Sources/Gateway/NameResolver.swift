public import DNS
public import IP
public import SansIO

/// Remembers the real addresses of names, as ``SiteResolver`` finds them.
///
/// Asks for A and AAAA side by side, and keeps what came for as long as it may. A name that is in
/// use is asked for again when its time is over; the old answer serves meanwhile. Knows no client,
/// no pattern and no proxy address.
public struct NameResolver {
    /// Bounds of the resolver.
    public enum Limits {
        /// Names remembered.
        public static var names: Int { 16_384 }
        /// Addresses kept of one name and family.
        public static var addresses: Int { 64 }
        /// When a look-up is given up, whatever its servers do.
        public static var patience: Duration { .seconds(4) }
        /// For how long an answer is kept, whatever it says.
        public static var timeToLive: ClosedRange<UInt32> { 1...3_600 }
        /// Seconds after which a failed look-up may be tried again by a packet.
        public static var failureSeconds: UInt32 { 5 }
        /// After how long a query tries again what is absent or failed.
        public static var retryMin: Duration { .seconds(1) }
    }

    /// Counts since the start.
    public struct Counters: Sendable, Equatable {
        /// Look-ups that no server answered.
        public var failures: UInt64 = 0
        /// Names refused because there were too many.
        public var refused: UInt64 = 0

        public init() {}
    }

    struct Family: Sendable {
        var answer = NameAnswer.pending
        var until = Instant(nanoseconds: 0)
        var asked = Instant(nanoseconds: 0)
        var isAsked = false
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

        /// When what a server said is over.
        var nextDeadline: Instant? {
            IPFamily.allCases.compactMap { family in
                let state = self[family]
                return state.isAsked || state.answer == .pending ? nil : state.until
            }.min()
        }
    }

    private var refused: [IPPrefix] = []
    private var entries: [Name: Entry] = [:]
    /// When something is due for a name, by its number; and whose numbers these are.
    private var timers = TimerHeap()
    private var numbered: [Name?] = []
    private var freeNumbers: [Int] = []
    private var changes = OutputQueue<Name>(countMax: 4 * Limits.names)
    /// Counts since the start.
    public private(set) var counters = Counters()

    public init() {}

    /// How many names it remembers.
    public var count: Int { entries.count }

    /// Networks that no name may lead into: the account's own.
    public mutating func refuse(_ networks: [IPPrefix]) { refused = networks }

    /// A name of which more is known than before; nil when there is none.
    public mutating func pollChange() -> Name? { changes.popFirst() }

    /// When ``advance(to:)`` must be called; anything queued means now.
    public var nextDeadline: Instant? {
        changes.isEmpty ? timers.next : Instant(nanoseconds: 0)
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
    ///   - site: Looks up what is not known.
    /// - Returns: The answer of each family, or that it is not known yet.
    public mutating func resolve(
        _ name: Name,
        isQuery: Bool,
        at now: Instant,
        by site: inout SiteResolver
    ) -> ResolvedName {
        if let listed = site.hosts.addresses(of: name) {
            return Self.resolved(listed.filter(isUsable))
        }
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
            start(name, family, at: now, by: &site)
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
        guard let state = entries[name]?[family], !state.isAsked else { return false }
        switch state.answer {
        case .pending: return true
        case .addresses: return state.until <= now
        case .absent, .failed:
            return state.until <= now
                || (isQuery && state.asked.advanced(by: Limits.retryMin) <= now)
        }
    }

    private mutating func start(
        _ name: Name,
        _ family: IPFamily,
        at now: Instant,
        by site: inout SiteResolver
    ) {
        let inquiry = SiteResolver.Inquiry(
            DNS.Question(name, Self.type(family)),
            patience: Limits.patience
        )
        guard site.begin(inquiry, for: .addresses(name, family), at: now) else {
            return settle(name, family, .failed, seconds: Limits.failureSeconds, at: now)
        }
        entries[name]?[family].isAsked = true
        entries[name]?[family].asked = now
        if entries[name]?[family].answer.addresses.isEmpty ?? true {
            entries[name]?[family].answer = .pending
        }
        schedule(name)
    }

    private static func type(_ family: IPFamily) -> RecordType { family == .ipv4 ? .a : .aaaa }
}

// MARK: - Answers and time

extension NameResolver {
    /// A look-up for addresses is over.
    public mutating func take(
        _ outcome: SiteResolver.Outcome,
        of name: Name,
        _ family: IPFamily,
        at now: Instant
    ) {
        switch outcome {
        case .answer(let message, _):
            let found = AddressAnswer(message, Self.type(family), usable: isUsable)
            settle(name, family, found.answer, seconds: found.seconds, at: now)
        case .failure: settle(name, family, .failed, seconds: Limits.failureSeconds, at: now)
        }
    }

    /// Time passed: answers that may not be kept longer.
    public mutating func advance(to now: Instant, by site: inout SiteResolver) {
        while let number = timers.popDue(at: now) {
            guard let name = numbered[number] else { continue }
            for family in IPFamily.allCases {
                guard let state = entries[name]?[family], !state.isAsked,
                    state.answer != .pending, state.until <= now
                else { continue }
                outlive(name, family, at: now, by: &site)
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
    private mutating func outlive(
        _ name: Name,
        _ family: IPFamily,
        at now: Instant,
        by site: inout SiteResolver
    ) {
        guard let state = entries[name]?[family], state.isUsed, !state.answer.addresses.isEmpty
        else {
            entries[name]?[family].answer = .pending
            return
        }
        start(name, family, at: now, by: &site)
    }

    private mutating func forgetIfUnknown(_ name: Name) {
        guard let entry = entries[name], !entry.ipv4.isAsked, !entry.ipv6.isAsked,
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
        state.isAsked = false
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
