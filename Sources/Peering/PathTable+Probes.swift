internal import Bytes
internal import SansIO

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
        if probes.isEmpty {
            let count = triesSources ? Limits.outstanding : Limits.gatewayOutstanding
            probes = Array(repeating: Probe(), count: count)
        }
        probes[Int(number % UInt64(probes.count))] = Probe(
            number: number,
            path: path,
            sentAt: now,
            isWaiting: true
        )
        if let index = index(of: path) {
            pairs[index].noteProbe(at: now)
        }
        return number
    }

    /// A pair whose series wants a probe now; its next one is set. While traffic flows the chosen
    /// pair is measured more often.
    mutating func popDue(at now: Instant, isActive: Bool) -> Path? {
        guard let index = pairs.firstIndex(where: { $0.nextProbe.map { $0 <= now } ?? false })
        else { return nil }
        pairs[index].nextProbe = turn(after: index, at: now, isActive: isActive)
        setNextProbe()
        return pairs[index].path
    }

    /// When a pair that is probed now has its next turn; nil: its series is over.
    private mutating func turn(after index: Int, at now: Instant, isActive: Bool) -> Instant? {
        let sent = pairs[index].unanswered
        let isChosen = pairs[index].path == chosen
        if pairs[index].isProven(at: now), sent < 3 {
            if !pairs[index].isTrusted { return now.advanced(by: Limits.laterGap) }
            if isChosen, isActive {
                return now.advanced(by: sent == 0 ? Limits.measureGap : Limits.recheckGap)
            }
            let isKept = isChosen || isWarm(index, at: now) || isRetried(index)
            return isKept ? nextBeat(after: now) : nil
        }
        if sent + 1 >= Limits.probes {
            if !isChosen { pairs[index].answeredAt = nil }
            return isChosen || isRetried(index) ? nextBeat(after: now) : nil
        }
        let gap = sent < Limits.firstGaps.count ? Limits.firstGaps[sent] : Limits.laterGap
        return now.advanced(by: gap)
    }

    /// When what is not urgent is done: together, and about once in a warm gap.
    private mutating func nextBeat(after now: Instant) -> Instant {
        let latest = now.advanced(by: Limits.warmGap)
        if let beat, beat > now.advanced(by: Limits.warmGap / 2), beat <= latest { return beat }
        beat = latest
        return latest
    }

    /// Whether it is among the few best besides the chosen one.
    private func isWarm(_ index: Int, at now: Instant) -> Bool {
        let pair = pairs[index]
        var better = 0
        for (place, other) in pairs.enumerated()
        where other.path != chosen && place != index && other.isProven(at: now) {
            let isEqual = !Self.isBetter(pair, than: other, margin: .zero)
            if Self.isBetter(other, than: pair, margin: .zero) || (isEqual && place < index) {
                better += 1
            }
        }
        return better < Limits.warmPairs
    }

    /// Whether it is asked now and then though it is silent, as it would be better: it served
    /// before, or it is direct and the chosen one is not.
    private func isRetried(_ index: Int) -> Bool {
        guard triesSources, pairs[index].path != chosen else { return false }
        if pairs[index].answersSinceDeath != nil { return true }
        return chosenKind == .relayed && pairs[index].kind != .relayed
    }

    /// Probe `number` was answered: the pair is proven.
    ///
    /// - Parameters:
    ///   - number: The probe's number.
    ///   - source: Where the answer came from.
    ///   - now: The time.
    /// - Returns: The pair's path; nil for an answer that nothing waits for.
    mutating func answered(_ number: UInt64, from source: Source, at now: Instant) -> Path? {
        guard !probes.isEmpty else { return nil }
        let slot = Int(number % UInt64(probes.count))
        guard probes[slot].isWaiting, probes[slot].number == number else { return nil }
        probes[slot].isWaiting = false
        let path = probes[slot].path
        guard let index = index(of: path) else { return nil }
        let sample = probes[slot].sentAt.duration(to: now)
        pairs[index].roundTrip = pairs[index].roundTrip.map { ($0 + sample) / 2 } ?? sample
        pairs[index].answeredAt = now
        let isFromThere = source.endpoint == path.remote && source.relay == path.relay
        pairs[index].answersFrom = isFromThere ? nil : source
        (pairs[index].unanswered, pairs[index].burst) = (0, nil)
        if let answers = pairs[index].answersSinceDeath {
            pairs[index].answersSinceDeath = answers + 1
            if !pairs[index].isTrusted { bring(index, to: now.advanced(by: Limits.laterGap)) }
        }
        if triesSources, pairs[index].nextProbe == nil,
            path == chosen || isWarm(index, at: now) || isRetried(index)
        {
            bring(index, to: nextBeat(after: now))
        }
        return path
    }

    /// Sets the next probe of a pair, unless an earlier one is due.
    private mutating func bring(_ index: Int, to deadline: Instant) {
        if let next = pairs[index].nextProbe, next <= deadline { return }
        pairs[index].nextProbe = deadline
        setNextProbe()
    }

    /// Whether the chosen path lets probes go unanswered.
    func isChosenDead(at now: Instant) -> Bool {
        guard let index = chosenIndex, let burst = pairs[index].burst, burst.count >= 2 else {
            return false
        }
        return burst.since.duration(to: now) >= Liveness.patience(pairs[index].roundTrip)
    }
}

extension PathTable.Pair {
    /// A probe goes out.
    fileprivate mutating func noteProbe(at now: Instant) {
        unanswered += 1
        if var burst, burst.last.duration(to: now) <= PathTable.Limits.burstGap {
            burst.count += 1
            burst.last = now
            self.burst = burst
        } else {
            burst = PathTable.Burst(since: now, last: now)
        }
    }
}

// MARK: - Choice

extension PathTable {
    /// From now on packets take `path`.
    mutating func choose(_ path: Path, at now: Instant) {
        guard path != chosen else { return }
        chosen = path
        if index(of: path) == nil { append(path) }
        // A gateway measures no paths: a series of its own would never end.
        if triesSources {
            if let index = chosenIndex, pairs[index].nextProbe == nil {
                pairs[index].nextProbe = now
            }
            for index in pairs.indices where pairs[index].nextProbe == nil && isRetried(index) {
                pairs[index].nextProbe = nextBeat(after: now)
            }
        }
        setNextProbe()
    }

    private mutating func append(_ path: Path) {
        if pairs.count >= Limits.pairs { pairs.removeLast() }
        let known = pairs.first { !$0.path.isRelayed && $0.path.remote == path.remote }
        let kind = path.isRelayed ? .relayed : known?.kind ?? .peerReflexive
        pairs.append(Pair(path: path, kind: kind))
    }

    /// The chosen path died: it owes some answers before it is chosen for its kind or speed.
    mutating func noteDeath() {
        if let index = chosenIndex { pairs[index].answersSinceDeath = 0 }
    }

    /// The best that is known, proven or not, where the chosen path is gone.
    func fallback(at now: Instant) -> Path? {
        var best: Pair?
        for pair in pairs {
            guard let other = best else {
                best = pair
                continue
            }
            let (isProven, isOtherProven) = (pair.isProven(at: now), other.isProven(at: now))
            if isProven != isOtherProven {
                if isProven { best = pair }
            } else if Self.isBetter(pair, than: other, margin: .zero) {
                best = pair
            }
        }
        return best?.path
    }

    /// A proven pair that is better than the chosen one; nil when there is none. Where the chosen
    /// one is dead, every pair that answered since is better; where it is being given up, every
    /// proven one is that stays.
    func better(at now: Instant, isChosenDead: Bool) -> Path? {
        let chosenPair = chosenIndex.map { pairs[$0] }
        let isLeaving = chosenPair?.isLeaving ?? false
        var best: Pair?
        for pair in pairs where pair.path != chosen && pair.isProven(at: now) {
            if pair.unanswered > (isChosenDead ? 0 : 1) || pair.isLeaving { continue }
            // What killed the chosen one may have killed those that were not asked since.
            if isChosenDead, let diedAt = chosenPair?.burst?.since,
                let answeredAt = pair.answeredAt, answeredAt < diedAt
            {
                continue
            }
            if !isChosenDead, !isLeaving, !pair.isTrusted { continue }
            if best.map({ Self.isBetter(pair, than: $0, margin: .zero) }) ?? true { best = pair }
        }
        guard let best else { return nil }
        guard !isChosenDead, !isLeaving, let chosenPair, chosenPair.isProven(at: now),
            let roundTrip = chosenPair.roundTrip
        else { return best.path }
        let margin = max(Limits.hysteresis, roundTrip * Limits.hysteresisPercent / 100)
        return Self.isBetter(best, than: chosenPair, margin: margin) ? best.path : nil
    }

    /// By rank, then by round trip.
    private static func isBetter(_ pair: Pair, than other: Pair, margin: Duration) -> Bool {
        guard pair.rank == other.rank else { return pair.rank < other.rank }
        guard let roundTrip = pair.roundTrip, let otherRoundTrip = other.roundTrip else {
            return pair.roundTrip != nil && other.roundTrip == nil
        }
        return roundTrip + margin < otherRoundTrip
    }
}
