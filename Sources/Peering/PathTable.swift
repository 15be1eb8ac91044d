internal import Bytes
internal import IP
internal import SansIO

/// One way to a peer: from where, to where.
struct Path: Hashable {
    /// Unspecified stands for the kernel's choice.
    var local: Endpoint
    var remote: Endpoint
}

/// The ways to one peer: pairs of candidates, what probes found out about them, and which is used.
///
/// A pair is **proven** when a probe on it was answered lately. The chosen pair is given up only
/// for a proven one that is better: of a better kind, or faster by 10 ms and a fifth.
struct PathTable {
    enum Limits {
        /// Pairs of one peer.
        static let pairs = 32
        /// Remote endpoints learnt from packets.
        static let peerReflexive = 4
        /// Probes that an answer may still come for.
        static let outstanding = 128
        /// Gaps between the first probes of a pair; then one each second.
        static let firstGaps: [Duration] = [
            .milliseconds(200), .milliseconds(300), .milliseconds(500),
        ]
        static let laterGap: Duration = .seconds(1)
        /// Probes of a pair that nobody answers.
        static let probes = 12
        /// Between probes of a proven pair: it stays warm for the day that it is needed.
        static let warmGap: Duration = .seconds(25)
        /// Between probes of the chosen pair while traffic flows.
        static let measureGap: Duration = .seconds(5)
        /// How long an answer proves a pair.
        static let proofLifetime: Duration = .seconds(60)
        /// A pair must be faster by this …
        static let hysteresis: Duration = .milliseconds(10)
        /// … and by this part of the chosen one's round trip, in percent.
        static let hysteresisPercent = 20
    }

    struct Pair {
        var path: Path
        var kind: Candidate.Kind
        /// Smoothed: half of the old, half of the new.
        var roundTrip: Duration?
        var answeredAt: Instant?
        /// Probes since the last answer.
        var unanswered = 0
        /// When the first of them was sent.
        var unansweredSince: Instant?
        /// When the next probe of the series goes out; nil when the series is over.
        var nextProbe: Instant?

        func isProven(at now: Instant) -> Bool {
            guard let answeredAt, roundTrip != nil else { return false }
            return answeredAt.duration(to: now) < Limits.proofLifetime
        }
    }

    private struct Probe {
        var number: UInt64 = 0
        var path = Path(local: .unspecified, remote: .unspecified)
        var sentAt = Instant(nanoseconds: 0)
        var isWaiting = false
    }

    private(set) var pairs: [Pair] = []
    /// When the next probe of a series is due.
    private(set) var nextProbe: Instant?
    /// The way that packets take; nil before the first.
    private(set) var chosen: Path?
    private var remotes: [Candidate] = []
    private var learnt: [Candidate] = []
    private var locals: [Endpoint] = []
    private var probes: [Probe] = []
    private var nextNumber: UInt64

    private let triesSources: Bool

    /// - Parameters:
    ///   - firstNumber: The first probe's number; random, so that no stale answer fits.
    ///   - triesSources: Whether each of several own addresses makes pairs of its own.
    init(firstNumber: UInt64, triesSources: Bool) {
        nextNumber = firstNumber
        self.triesSources = triesSources
    }

    /// The chosen pair's place in `pairs`.
    private var chosenIndex: Int? { chosen.flatMap(index(of:)) }

    private func index(of path: Path) -> Int? { pairs.firstIndex { $0.path == path } }

    /// The chosen path's kind; host when nothing is known of it.
    var chosenKind: Candidate.Kind { chosenIndex.map { pairs[$0].kind } ?? .host }

    /// The chosen path's round trip.
    var chosenRoundTrip: Duration? { chosenIndex.flatMap { pairs[$0].roundTrip } }

    private mutating func setNextProbe() {
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
    /// kernel's choice.
    mutating func setLocals(_ endpoints: [Endpoint], at now: Instant) {
        locals = endpoints
        if let path = chosen, path.local != .unspecified,
            !locals.contains(where: { $0.address == path.local.address })
        {
            choose(Path(local: .unspecified, remote: path.remote), at: now)
        }
        rebuild()
    }

    /// The peer's candidates; those that are gone lose their pairs, unless in use.
    mutating func setRemotes(_ candidates: [Candidate]) {
        remotes = candidates
        rebuild()
    }

    /// An authentic packet came from an endpoint that nobody announced.
    ///
    /// - Returns: Whether it is new.
    mutating func learn(_ remote: Endpoint) -> Bool {
        guard !remotes.contains(where: { $0.endpoint == remote }),
            !learnt.contains(where: { $0.endpoint == remote })
        else { return false }
        if learnt.count >= Limits.peerReflexive {
            let oldest = learnt.firstIndex { $0.endpoint != chosen?.remote } ?? 0
            learnt.remove(at: oldest)
        }
        learnt.append(Candidate(.peerReflexive, remote))
        rebuild()
        return true
    }

    private mutating func rebuild() {
        var next: [Pair] = []
        func add(_ path: Path, _ kind: Candidate.Kind) {
            guard next.count < Limits.pairs, !next.contains(where: { $0.path == path }) else {
                return
            }
            var pair = index(of: path).map { pairs[$0] } ?? Pair(path: path, kind: kind)
            pair.kind = kind
            next.append(pair)
        }
        if let index = chosenIndex { add(pairs[index].path, pairs[index].kind) }
        for remote in learnt + remotes {
            add(Path(local: .unspecified, remote: remote.endpoint), remote.kind)
        }
        for remote in learnt + remotes {
            for local in sources(for: remote.endpoint) {
                add(Path(local: local, remote: remote.endpoint), remote.kind)
            }
        }
        pairs = next
        setNextProbe()
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
}

// MARK: - Probes

extension PathTable {
    /// Begins a series of probes on every pair, the first at once.
    mutating func probeAll(at now: Instant) {
        for index in pairs.indices { pairs[index].nextProbe = now }
        setNextProbe()
    }

    /// Begins a series on the pairs to `remote`.
    mutating func probe(remote: Endpoint, at now: Instant) {
        for index in pairs.indices where pairs[index].path.remote == remote {
            pairs[index].nextProbe = now
        }
        setNextProbe()
    }

    /// The number of a probe that goes out on `path` now.
    mutating func sendProbe(on path: Path, at now: Instant) -> UInt64 {
        let number = nextNumber
        nextNumber &+= 1
        if probes.isEmpty { probes = Array(repeating: Probe(), count: Limits.outstanding) }
        probes[Int(number % UInt64(Limits.outstanding))] = Probe(
            number: number,
            path: path,
            sentAt: now,
            isWaiting: true
        )
        if let index = index(of: path) {
            if pairs[index].unanswered == 0 { pairs[index].unansweredSince = now }
            pairs[index].unanswered += 1
        }
        return number
    }

    /// A pair whose series wants a probe now; its next one is set. While traffic flows the chosen
    /// pair is measured more often.
    mutating func popDue(at now: Instant, isActive: Bool) -> Path? {
        guard let index = pairs.firstIndex(where: { $0.nextProbe.map { $0 <= now } ?? false })
        else { return nil }
        defer { setNextProbe() }
        let sent = pairs[index].unanswered
        let isChosen = pairs[index].path == chosen
        if pairs[index].isProven(at: now), sent < 3 {
            let gap = isChosen && isActive ? Limits.measureGap : Limits.warmGap
            pairs[index].nextProbe = now.advanced(by: gap)
        } else if sent + 1 >= Limits.probes {
            pairs[index].nextProbe = nil
            if !isChosen { pairs[index].answeredAt = nil }
        } else {
            let gap = sent < Limits.firstGaps.count ? Limits.firstGaps[sent] : Limits.laterGap
            pairs[index].nextProbe = now.advanced(by: gap)
        }
        return pairs[index].path
    }

    /// Probe `number` was answered: the pair is proven.
    ///
    /// - Returns: The pair's path; nil for an answer that nothing waits for.
    mutating func answered(_ number: UInt64, at now: Instant) -> Path? {
        guard !probes.isEmpty else { return nil }
        let slot = Int(number % UInt64(Limits.outstanding))
        guard probes[slot].isWaiting, probes[slot].number == number else { return nil }
        probes[slot].isWaiting = false
        let path = probes[slot].path
        guard let index = index(of: path) else { return nil }
        let sample = probes[slot].sentAt.duration(to: now)
        pairs[index].roundTrip = pairs[index].roundTrip.map { ($0 + sample) / 2 } ?? sample
        pairs[index].answeredAt = now
        (pairs[index].unanswered, pairs[index].unansweredSince) = (0, nil)
        if triesSources, pairs[index].nextProbe == nil {
            pairs[index].nextProbe = now.advanced(by: Limits.warmGap)
            setNextProbe()
        }
        return path
    }

    /// Whether the chosen path lets probes go unanswered.
    func isChosenDead(at now: Instant) -> Bool {
        guard let index = chosenIndex, pairs[index].unanswered >= 2,
            let since = pairs[index].unansweredSince
        else { return false }
        return since.duration(to: now) >= Liveness.patience(pairs[index].roundTrip)
    }
}

// MARK: - Choice

extension PathTable {
    /// From now on packets take `path`.
    mutating func choose(_ path: Path, at now: Instant) {
        guard path != chosen else { return }
        chosen = path
        if index(of: path) == nil {
            if pairs.count >= Limits.pairs { pairs.removeLast() }
            let known = (remotes + learnt).first { $0.endpoint == path.remote }
            pairs.append(Pair(path: path, kind: known?.kind ?? .peerReflexive))
        }
        // A gateway measures no paths: a series of its own would never end.
        if triesSources, let index = chosenIndex, pairs[index].nextProbe == nil {
            pairs[index].nextProbe = now
        }
        setNextProbe()
    }

    /// A proven pair that is better than the chosen one; nil when there is none. Where the chosen
    /// one is dead, every pair that answered since is better.
    func better(at now: Instant, isChosenDead: Bool) -> Path? {
        var best: Pair?
        for pair in pairs where pair.path != chosen && pair.isProven(at: now) {
            if pair.unanswered > (isChosenDead ? 0 : 1) { continue }
            if best.map({ Self.isBetter(pair, than: $0, margin: .zero) }) ?? true { best = pair }
        }
        guard let best else { return nil }
        guard !isChosenDead, let index = chosenIndex, pairs[index].isProven(at: now),
            let roundTrip = pairs[index].roundTrip
        else { return best.path }
        let margin = max(Limits.hysteresis, roundTrip * Limits.hysteresisPercent / 100)
        return Self.isBetter(best, than: pairs[index], margin: margin) ? best.path : nil
    }

    /// Direct before relayed, then by round trip.
    private static func isBetter(_ pair: Pair, than other: Pair, margin: Duration) -> Bool {
        let (isRelayed, isOtherRelayed) = (pair.kind == .relayed, other.kind == .relayed)
        guard isRelayed == isOtherRelayed else { return isOtherRelayed }
        guard let roundTrip = pair.roundTrip, let otherRoundTrip = other.roundTrip else {
            return pair.roundTrip != nil
        }
        return roundTrip + margin < otherRoundTrip
    }
}
