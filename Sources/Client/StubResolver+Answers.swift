internal import Bytes
internal import DNS
public import SansIO

// What comes back from nameservers and sites, and what does not.
extension StubResolver {
    /// An exchange, or a question for a site, ended: with an answer, or (nil) it failed at once.
    /// - Returns: What goes back; nil for nothing.
    public mutating func finish(_ token: UInt64, with bytes: [UInt8]?, at now: Instant) -> Reply? {
        switch inFlight.wait(of: token) {
        case nil: return nil
        case .site:
            guard let entry = inFlight.remove(token) else { return nil }
            let answer = bytes.flatMap { entry.query.relayedFromSite($0, sentAs: entry.id) }
            return answer.flatMap { Self.reply(entry, $0) } ?? Self.failure(entry, .networkError)
        case .upstream:
            guard let entry = inFlight.remove(token) else { return nil }
            let reply = finishUpstream(entry, bytes, at: now)
            for follower in entry.followers {
                let other = finishUpstream(entry.following(follower), bytes, at: now)
                if let other { replies.append(other) }
            }
            return reply
        case .zone:
            guard let entry = inFlight.content(of: token) else { return nil }
            return finishZone(token, entry, bytes, at: now)
        }
    }

    private mutating func finishUpstream(
        _ entry: InFlight,
        _ bytes: [UInt8]?,
        at now: Instant
    ) -> Reply? {
        guard let bytes else { return Self.failure(entry, .networkError) }
        if let reply = relay(entry, bytes, at: now) { return reply.reply }
        // An answer to something else: over UDP perhaps a stranger's, so the asker may ask again.
        return entry.isStream ? Self.failure(entry, .networkError) : nil
    }

    /// Time ran out for a query.
    mutating func giveUp(_ token: UInt64, at now: Instant) {
        guard let entry = inFlight.content(of: token) else { return }
        if let round = entry.round {
            zones.note(round, attempt: round.sent - 1, isAlive: false, at: now)
            if isTakenOver(entry) {
                _ = inFlight.remove(token)
                if let reply = answerTakenOver(entry, at: now) { replies.append(reply) }
                return
            }
            if round.epoch == zones.epoch, round.sent < ForwardZones.Limits.attempts {
                outgoing.append(sendNext(token, entry, round, at: now))
                return
            }
        }
        _ = inFlight.remove(token)
        giveUp(entry)
    }

    /// Over UDP the silence of a sentinel's nameserver is the answer: the host then takes its next
    /// server. A zone's nameservers and a site are silent behind every sentinel.
    mutating func giveUp(_ entry: InFlight) {
        for follower in entry.followers { giveUp(entry.following(follower)) }
        let reply: Reply? =
            switch entry.wait {
            case .site, .zone: Self.failure(entry, .noReachableAuthority)
            case .upstream: entry.isStream ? Self.failure(entry, .networkError) : nil
            }
        if let reply { replies.append(reply) }
    }

    static func failure(_ entry: InFlight, _ error: ExtendedError) -> Reply? {
        reply(entry, entry.query.reply(.serverFailure, error: error))
    }

    private static func reply(_ entry: InFlight, _ bytes: [UInt8]) -> Reply? {
        entry.asker.map { Reply(asker: $0, bytes: bytes) }
    }
}

// MARK: - Nameservers

extension StubResolver {
    /// An answer was taken; who waits, if anybody does, gets this.
    private struct Relayed {
        let reply: Reply?
    }

    /// Takes an answer, keeps it where that is allowed, and passes it on; nil where it is none.
    private mutating func relay(
        _ entry: InFlight,
        _ bytes: [UInt8],
        at now: Instant
    ) -> Relayed? {
        let bytes = softened(bytes, entry.query)
        guard let answer = entry.query.relayed(bytes, sentAs: entry.id) else { return nil }
        if isTakenOver(entry) {
            return Relayed(reply: answerTakenOver(entry, at: now))
        }
        if let key = entry.key, key.route >> 16 == cacheEpoch,
            let kept = ForwardedAnswer(bytes, to: entry.query.question)
        {
            cache.store(kept, for: key, at: now)
        }
        return Relayed(reply: Self.reply(entry, answer))
    }

    /// Whether a resource took the name over while nameservers were asked: no other one may hear
    /// of it.
    private func isTakenOver(_ entry: InFlight) -> Bool {
        entry.generation != generation && !resources(of: entry.query.question.name).isEmpty
    }

    /// What who waits for a name that was taken over gets.
    private mutating func answerTakenOver(_ entry: InFlight, at now: Instant) -> Reply? {
        guard let asker = entry.asker else { return nil }
        switch resolveProtected(entry.query, asker, at: now) {
        case .answer(let answer): return Self.reply(entry, answer)
        case .askSite(let question):
            return refuse(question.token, error: .noReachableAuthority, at: now)
        case .wait: return nil
        case .forward, .drop, nil: return Self.failure(entry, .networkError)
        }
    }

    /// The absence of a name, as a nameserver says, but not of those below it: there are names
    /// below that resources have, and who hears that there is none would not ask for them (RFC
    /// 8020). Who checks signatures hears what was signed.
    private func softened(_ bytes: [UInt8], _ query: Query) -> [UInt8] {
        guard bytes.count >= Header.byteCount, bytes[3] & 15 == 3,
            !(query.edns?.isDNSSECWanted ?? false),
            index.hasPattern(below: query.question.name)
        else { return bytes }
        var bytes = bytes
        bytes[3] &= 0xf0
        return bytes
    }
}

// MARK: - Zones

extension StubResolver {
    /// A nameserver of a zone answered, or cannot be asked; where that is no help the next one is
    /// asked.
    private mutating func finishZone(
        _ token: UInt64,
        _ entry: InFlight,
        _ bytes: [UInt8]?,
        at now: Instant
    ) -> Reply? {
        guard var round = entry.round else { return nil }
        let attempt = InFlightTable.attempt(of: token)
        let header = bytes.flatMap { entry.query.isAnswered(by: $0, sentAs: entry.id) }
        if bytes == nil || header != nil {
            zones.note(round, attempt: attempt, isAlive: bytes != nil, at: now)
        }
        if let bytes, let header, !Self.isNoHelp(header) {
            _ = inFlight.remove(token)
            return relay(entry, bytes, at: now)?.reply
        }
        round.failed |= 1 << UInt8(attempt & 7)
        if isTakenOver(entry) {
            _ = inFlight.remove(token)
            return answerTakenOver(entry, at: now)
        }
        if round.sent < round.order.count, round.epoch == zones.epoch {
            outgoing.append(sendNext(token, entry, round, at: now))
            return nil
        }
        guard !round.isWaiting else {
            inFlight.note(token, round)
            return nil
        }
        _ = inFlight.remove(token)
        guard let bytes, header != nil else { return Self.failure(entry, .networkError) }
        return relay(entry, bytes, at: now)?.reply
    }

    /// Whether another nameserver may know more.
    private static func isNoHelp(_ header: Header) -> Bool {
        let codes: [ResponseCode] = [.serverFailure, .refused, .notImplemented]
        return codes.contains(header.responseCode(with: nil))
    }
}
