internal import Bytes
internal import IP
internal import SansIO

/// The ways to one peer: pairs of candidates, what probes found out about them, and which is used.
///
/// A pair is an address of ours, or a relay of ours, and a candidate of the peer; its kind is the
/// worse of the two. It is **proven** when a probe on it was answered lately. The chosen pair is
/// given up only for a proven one that is better: direct instead of relayed, answered from where it
/// leads to instead of from elsewhere, or faster by 10 ms and a fifth.
struct PathTable {
    enum Limits {
        /// Pairs of one peer.
        static let pairs = 48
        /// Pairs through one of our own relays.
        static let pairsOfRelay = 8
        /// Of these, how many a gateway probes that hears nothing.
        static let huntedOfRelay = 4
        /// Lent addresses of the peer that are remembered to be gone.
        static let withdrawn = 8
        /// Remote endpoints learnt from packets.
        static let peerReflexive = 4
        /// Probes of a client, which measures all pairs, that an answer may still come for.
        static let outstanding = 1024
        /// The same for a gateway.
        static let gatewayOutstanding = 64
        /// Gaps between the first probes of a pair; then one each second.
        static let firstGaps: [Duration] = [
            .milliseconds(200), .milliseconds(300), .milliseconds(500),
        ]
        static let laterGap: Duration = .seconds(1)
        /// Probes of a pair that nobody answers.
        static let probes = 12
        /// Proven pairs that stay warm besides the chosen one.
        static let warmPairs = 3
        /// Between probes of a warm pair, and of a silent one that would be better.
        static let warmGap = Liveness.Limits.clientKeepalive
        /// Between probes of the chosen pair while traffic flows.
        static let measureGap: Duration = .seconds(5)
        /// The same after one that was not answered.
        static let recheckGap: Duration = .milliseconds(500)
        /// Probes further apart tell nothing together: one may be lost now and then.
        static let burstGap: Duration = .seconds(1)
        /// How long an answer proves a pair.
        static let proofLifetime: Duration = .seconds(60)
        /// Answers that a pair owes which died when it was the chosen one.
        static let answersAfterDeath = 3
        /// A pair must be faster by this …
        static let hysteresis: Duration = .milliseconds(10)
        /// … and by this part of the chosen one's round trip, in percent.
        static let hysteresisPercent = 20
    }

    struct Pair {
        var path: Path
        /// The worse of its two ends.
        var kind: Candidate.Kind
        /// Whether it is to be left for any that works: one of its ends is being given up.
        var isLeaving = false
        /// Smoothed: half of the old, half of the new.
        var roundTrip: Duration?
        var answeredAt: Instant?
        /// Probes since the last answer.
        var unanswered = 0
        /// Those of them that were sent close to each other, up to the last one.
        var burst: Burst?
        /// When the next probe of the series goes out; nil when the series is over.
        var nextProbe: Instant?
        /// Answers since it died as the chosen one; nil: it never did.
        var answersSinceDeath: Int?
        /// Where its answers come from, where that is not where its probes go: behind some NATs
        /// the peer has an endpoint for each of ours.
        var answersFrom: Source?

        func isProven(at now: Instant) -> Bool {
            guard let answeredAt, roundTrip != nil else { return false }
            return answeredAt.duration(to: now) < Limits.proofLifetime
        }

        /// What counts before speed: direct before relayed; then, answers that come from where
        /// probes go, since both ends keep that way open, and not only one. Where only one does,
        /// an announced endpoint, which the other end keeps open towards its relays, comes before
        /// one that was learnt and is open for as long as its NAT remembers.
        var rank: Int {
            let reach = kind == .relayed ? 3 : 0
            guard answersFrom != nil else { return reach }
            return reach + (kind == .peerReflexive ? 2 : 1)
        }

        /// Whether it did not die lately: one that works now and then is no better than another.
        var isTrusted: Bool { answersSinceDeath.map { $0 >= Limits.answersAfterDeath } ?? true }
    }

    /// Probes without an answer, one soon after the other.
    struct Burst {
        var count = 1
        /// When the first was sent.
        var since: Instant
        /// When the last was sent.
        var last: Instant
    }

    struct Probe {
        var number: UInt64 = 0
        var path = Path(local: .unspecified, remote: .unspecified)
        var sentAt = Instant(nanoseconds: 0)
        var isWaiting = false
    }

    /// An endpoint that an authentic packet came from, and through which relay of ours.
    struct Source: Equatable {
        var endpoint: Endpoint
        /// 0: none.
        var relay: UInt32
    }

    var pairs: [Pair] = []
    /// When the next probe of a series is due.
    var nextProbe: Instant?
    /// When what is not urgent is done next, all of it at once.
    var beat: Instant?
    /// The way that packets take; nil before the first.
    var chosen: Path?
    private var remotes: [Candidate] = []
    private var learnt: [Source] = []
    /// Lent addresses that the peer named once and does not any more: not to be learnt anew.
    private var withdrawn: [Endpoint] = []
    private var locals: [Endpoint] = []
    private var relays: [RelayEnd] = []
    var probes: [Probe] = []
    var nextNumber: UInt64

    /// Whether it measures, and tries each of several own addresses.
    let triesSources: Bool

    /// - Parameters:
    ///   - firstNumber: The first probe's number; random, so that no stale answer fits.
    ///   - triesSources: Whether it is a client's: all pairs are measured, and each of several own
    ///     addresses makes pairs of its own.
    init(firstNumber: UInt64, triesSources: Bool) {
        nextNumber = firstNumber
        self.triesSources = triesSources
    }

    /// The chosen pair's place in `pairs`.
    var chosenIndex: Int? { chosen.flatMap(index(of:)) }

    func index(of path: Path) -> Int? { pairs.firstIndex { $0.path == path } }

    /// The chosen path's kind; host when nothing is known of it.
    var chosenKind: Candidate.Kind { chosenIndex.map { pairs[$0].kind } ?? .host }

    /// The chosen path's round trip.
    var chosenRoundTrip: Duration? { chosenIndex.flatMap { pairs[$0].roundTrip } }

    /// The likeliest ways through our own relays, for a gateway that hears nothing: first to where
    /// it sent last, which may let the relay in where our own address became a stranger's.
    var relayedPaths: [Path] {
        relays.flatMap { end in
            let paths = pairs.map(\.path).filter { $0.relay == end.number }
            let known = paths.filter { $0.remote == chosen?.remote }
            let others = paths.filter { $0.remote != chosen?.remote }
            return (known + others).prefix(Limits.huntedOfRelay)
        }
    }

    /// Whether the chosen path is direct and was lately seen to work.
    func isDirectProven(at now: Instant) -> Bool {
        chosenIndex.map { pairs[$0].kind != .relayed && pairs[$0].isProven(at: now) } ?? false
    }

    /// Whether what comes from `source` comes by the chosen path, or from where that is answered.
    func isChosen(_ source: Source, orItsAnswers: Bool) -> Bool {
        guard let chosen else { return false }
        if chosen.remote == source.endpoint, chosen.relay == source.relay { return true }
        return orItsAnswers && chosenIndex.map { pairs[$0].answersFrom == source } ?? false
    }

    /// The addresses that the peer may send from, each once.
    var addresses: [IPAddress] {
        var found: [IPAddress] = []
        for endpoint in remotes.map(\.endpoint) + learnt.map(\.endpoint)
        where !found.contains(endpoint.address) {
            found.append(endpoint.address)
        }
        return found
    }

    mutating func setNextProbe() {
        nextProbe = nil
        for case let next? in pairs.lazy.map(\.nextProbe) where nextProbe.map({ next < $0 }) ?? true
        {
            nextProbe = next
        }
    }
}

// MARK: - Candidates

extension PathTable {
    /// Our own addresses: with more than one of a family each is tried as a source, besides the
    /// kernel's choice. What was proven with an address that is gone is not proven any more.
    mutating func setLocals(_ endpoints: [Endpoint], at now: Instant) {
        let hasLost = locals.contains { local in
            !endpoints.contains { $0.address == local.address }
        }
        locals = endpoints
        if let path = chosen, path.local != .unspecified,
            !locals.contains(where: { $0.address == path.local.address })
        {
            choose(Path(local: .unspecified, remote: path.remote), at: now)
        }
        if hasLost {
            for index in pairs.indices where !pairs[index].path.isRelayed {
                (pairs[index].answeredAt, pairs[index].unanswered) = (nil, 0)
                pairs[index].burst = nil
            }
        }
        rebuild()
    }

    /// Our own relays. A path through one that is gone is left for the best that is known.
    ///
    /// - Parameters:
    ///   - ends: The relays that lend something.
    ///   - probing: When the first probe of each new pair goes out; nil: none does.
    ///   - now: The time.
    /// - Returns: Whether there are new pairs.
    mutating func setRelays(_ ends: [RelayEnd], probing: Instant?, at now: Instant) -> Bool {
        relays = ends
        let isGone = chosen.map { path in
            path.isRelayed && !ends.contains { $0.number == path.relay }
        }
        if isGone ?? false { chosen = nil }
        let known = Set(pairs.map(\.path))
        rebuild()
        let added = pairs.indices.filter { !known.contains(pairs[$0].path) }
        if let probing {
            for index in added { pairs[index].nextProbe = probing }
            setNextProbe()
        }
        if isGone ?? false, let next = fallback(at: now) { choose(next, at: now) }
        return !added.isEmpty
    }

    /// The peer's candidates; those that are gone lose their pairs, unless in use.
    ///
    /// - Returns: Whether they changed.
    @discardableResult
    mutating func setRemotes(_ candidates: [Candidate]) -> Bool {
        guard candidates != remotes else { return false }
        withdrawn += remotes.filter { $0.kind == .relayed }.map(\.endpoint)
        withdrawn.removeAll { gone in candidates.contains { $0.endpoint == gone } }
        withdrawn.removeFirst(max(0, withdrawn.count - Limits.withdrawn))
        remotes = candidates
        rebuild()
        return true
    }

    /// An authentic packet came from an endpoint that nobody announced.
    ///
    /// - Returns: Whether it is new.
    mutating func learn(_ remote: Endpoint, relay: UInt32 = 0) -> Bool {
        let isAnnounced = remotes.contains { $0.endpoint == remote }
        let entry = Source(endpoint: remote, relay: relay)
        guard !learnt.contains(entry), !withdrawn.contains(remote) else { return false }
        if isAnnounced, relay == 0 || index(of: path(remote: remote, relay: relay)) != nil {
            return false
        }
        if learnt.count >= Limits.peerReflexive {
            let oldest = learnt.firstIndex {
                $0.endpoint != chosen?.remote || $0.relay != chosen?.relay
            }
            learnt.remove(at: oldest ?? 0)
        }
        learnt.append(entry)
        rebuild()
        return true
    }

    /// The pairs, anew: what is known of those that stay is kept.
    private mutating func rebuild() {
        var next: [Pair] = []
        func add(_ path: Path, _ kind: Candidate.Kind) {
            if let known = next.firstIndex(where: { $0.path == path }) {
                (next[known].isLeaving, next[known].kind) = (isLeaving(path), kind)
                return
            }
            guard next.count < Limits.pairs else { return }
            var pair = index(of: path).map { pairs[$0] } ?? Pair(path: path, kind: kind)
            (pair.kind, pair.isLeaving) = (kind, isLeaving(path))
            next.append(pair)
        }
        if let index = chosenIndex {
            add(pairs[index].path, pairs[index].kind)
            // A lent address of the peer that it does not name any more will end.
            if pairs[index].kind == .relayed { next[0].isLeaving = true }
        }
        for entry in learnt where entry.relay == 0 && hasLocal(for: entry.endpoint) {
            add(Path(local: .unspecified, remote: entry.endpoint), kind(of: entry.endpoint))
        }
        for remote in remotes where hasLocal(for: remote.endpoint) {
            add(Path(local: .unspecified, remote: remote.endpoint), remote.kind)
        }
        // A relay that lost what it lent may lend again.
        for entry in learnt where relays.contains(where: { $0.number == entry.relay }) {
            add(path(remote: entry.endpoint, relay: entry.relay), .relayed)
        }
        for end in relays where !end.isLeaving {
            for remote in remotes(through: end) {
                add(path(remote: remote, relay: end.number), .relayed)
            }
        }
        for remote in learnt.filter({ $0.relay == 0 }).map(\.endpoint) + remotes.map(\.endpoint) {
            for local in sources(for: remote) {
                add(Path(local: local, remote: remote), kind(of: remote))
            }
        }
        pairs = next
        setNextProbe()
    }

    private func isLeaving(_ path: Path) -> Bool {
        path.isRelayed && relays.contains { $0.number == path.relay && $0.isLeaving }
    }

    private func kind(of remote: Endpoint) -> Candidate.Kind {
        remotes.first { $0.endpoint == remote }?.kind ?? .peerReflexive
    }

    /// What a relay of ours may reach, the likeliest first: for a gateway where the client was
    /// seen, which it may not have announced yet.
    private func remotes(through end: RelayEnd) -> [Endpoint] {
        var ordered = triesSources ? [] : learnt.map(\.endpoint)
        for kind in [Candidate.Kind.relayed, .serverReflexive, .peerReflexive, .host] {
            ordered += remotes.filter { $0.kind == kind }.map(\.endpoint)
        }
        return Array(ordered.filter { end.reaches($0.address) }.prefix(Limits.pairsOfRelay))
    }

    /// Whether we have an address of the family, as far as we know.
    private func hasLocal(for remote: Endpoint) -> Bool {
        locals.isEmpty || locals.contains { $0.address.family == remote.address.family }
    }

    /// With one address of a family the kernel has no choice to make.
    private func sources(for remote: Endpoint) -> [Endpoint] {
        guard triesSources else { return [] }
        var addresses: [Endpoint] = []
        for local in locals where local.address.family == remote.address.family {
            let source = Endpoint(local.address, port: 0)
            if !addresses.contains(source) { addresses.append(source) }
        }
        return addresses.count > 1 ? addresses : []
    }

    /// The pair that an authentic packet from `remote` to `local` belongs to: packets are answered
    /// by the same source address where it was tried as one, else by the kernel's choice.
    func path(remote: Endpoint, local: Endpoint) -> Path {
        let exact = Path(local: Endpoint(local.address, port: 0), remote: remote)
        return index(of: exact) == nil ? Path(local: .unspecified, remote: remote) : exact
    }

    /// The pair through a relay of ours.
    func path(remote: Endpoint, relay: UInt32) -> Path {
        Path(local: .unspecified, remote: remote, relay: relay)
    }
}
