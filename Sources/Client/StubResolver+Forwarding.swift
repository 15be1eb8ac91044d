internal import Bytes
internal import DNS
internal import SansIO

// Questions for nameservers: those of the sentinels, and those of zones.
extension StubResolver {
    /// Whom a query is sent to.
    private enum Target {
        case upstream(Upstream)
        case zone(Int)
    }

    /// Answers by what was kept, or sends the query on under an ID of its own, otherwise as it is.
    mutating func forward(
        _ query: Query,
        _ bytes: RawSpan,
        _ asker: Asker,
        _ zone: Int?,
        at now: Instant
    ) -> Outcome {
        guard let place = sentinels.place(of: asker.sentinel) else { return .drop }
        let target = zone.map { Target.zone($0) } ?? .upstream(sentinels.mappings[place].upstream)
        let key = cacheKey(query, place: place, zone: zone)
        guard let key else {
            return .forward(send(query, bytes, asker, asker.isStream, target, nil, at: now))
        }
        switch cache.lookUp(key, at: now) {
        case .fresh(let place): return .answer(kept(query, place, at: now))
        case .stale(let place, let isFirst):
            let answer = kept(query, place, at: now)
            if isFirst {
                let refresh = send(query, bytes, nil, asker.isStream, target, key, at: now)
                outgoing.append(refresh)
            }
            return .answer(answer)
        case .nothing:
            if zone == nil, join(query, asker, key, at: now) { return .wait }
            return .forward(send(query, bytes, asker, asker.isStream, target, key, at: now))
        }
    }

    /// Lets a query wait for the answer to one like it that was sent just now; false where there is
    /// none.
    private mutating func join(
        _ query: Query,
        _ asker: Asker,
        _ key: ForwardCache.Key,
        at now: Instant
    ) -> Bool {
        let isJoined = inFlight.join(key, InFlight.Follower(query: query, asker: asker)) { first in
            first.sentAt.duration(to: now) < Limits.joining && first.isStream == asker.isStream
                && first.followers.count < Limits.followers && first.asker != asker
                && Self.isAnsweredAlike(query, first.query)
        }
        guard isJoined else { return false }
        joinedCount &+= 1
        return true
    }

    /// Whether the answer to one query of a kind fits another: it has an OPT record for who sent
    /// one, no options that were meant for one of them, and the same size at most.
    private static func isAnsweredAlike(_ one: Query, _ other: Query) -> Bool {
        one.byteCountMax == other.byteCountMax && (one.edns == nil) == (other.edns == nil)
            && one.edns?.options.isEmpty ?? true && other.edns?.options.isEmpty ?? true
    }

    /// What the answer to a query is kept under; nil where it is neither kept nor looked for.
    func cacheKey(_ query: Query, place: Int, zone: Int?) -> ForwardCache.Key? {
        guard isCacheEnabled, query.isCacheable else { return nil }
        let route = zone.map { $0 + Sentinels.Limits.upstreams } ?? place
        return query.cacheKey(route: cacheEpoch << 16 | route, seed: hashSeed)
    }

    private func kept(_ query: Query, _ place: Int, at now: Instant) -> [UInt8] {
        let entry = cache[place]
        guard let answer = entry.answer else { return query.reply(.serverFailure) }
        let seconds = entry.storedAt.duration(to: now).components.seconds
        return query.reply(answer, secondsAgo: UInt32(clamping: seconds))
    }

    private mutating func send(
        _ query: Query,
        _ bytes: RawSpan,
        _ asker: Asker?,
        _ isStream: Bool,
        _ target: Target,
        _ key: ForwardCache.Key?,
        at now: Instant
    ) -> UpstreamQuery {
        let id = UInt16(truncatingIfNeeded: random.next())
        var sent = bytes.array
        sent[0] = UInt8(id >> 8)
        sent[1] = UInt8(truncatingIfNeeded: id)
        if !isStream { Self.limitSize(&sent, query) }
        let isZone = if case .zone = target { true } else { false }
        let patience = isZone ? ForwardZones.Limits.patience : Limits.upstream
        var entry = InFlight(
            query: query,
            asker: asker,
            id: id,
            isStream: isStream,
            wait: isZone ? .zone : .upstream,
            sentAt: now,
            deadline: now.advanced(by: patience),
            generation: generation,
            key: key
        )
        switch target {
        case .upstream(let upstream):
            return question(
                putInFlight(entry),
                upstream,
                isStream,
                isInTunnel: tunnelUpstreams.contains(upstream),
                sent
            )
        case .zone(let zone):
            let round = zones.round(zone, sent, at: now)
            entry.round = round
            return sendNext(putInFlight(entry), entry, round, at: now)
        }
    }

    /// What is larger than we pass on is not asked for: in fragments it would be lost more often,
    /// and be cut here in the end.
    private static func limitSize(_ bytes: inout [UInt8], _ query: Query) {
        guard let edns = query.edns, edns.udpByteCount > Message.Limits.ednsByteCount,
            let opt = try? MessageView(bytes.rawSpan).recordFrames().last(where: { $0.type == .opt }
            )
        else { return }
        // Behind the root name and the type.
        bytes[opt.start + 3] = UInt8(Message.Limits.ednsByteCount >> 8)
        bytes[opt.start + 4] = UInt8(truncatingIfNeeded: Message.Limits.ednsByteCount)
    }

    /// Asks the next nameserver of a zone.
    mutating func sendNext(
        _ token: UInt64,
        _ entry: InFlight,
        _ round: ForwardZones.Round,
        at now: Instant
    ) -> UpstreamQuery {
        var (entry, round) = (entry, round)
        let attempt = round.sent
        round.sent += 1
        entry.round = round
        entry.deadline = now.advanced(by: ForwardZones.Limits.patience)
        inFlight.update(token, entry)
        let zone = zones.zones[round.zone]
        let upstream = zone.upstreams[round.upstream(of: attempt)]
        let attemptToken = InFlightTable.token(token, attempt: attempt)
        return question(
            attemptToken,
            upstream,
            entry.isStream,
            isInTunnel: !zone.isHosts && tunnelUpstreams.contains(upstream),
            round.bytes
        )
    }

    private func question(
        _ token: UInt64,
        _ upstream: Upstream,
        _ isStream: Bool,
        isInTunnel: Bool,
        _ bytes: [UInt8]
    ) -> UpstreamQuery {
        UpstreamQuery(
            token: token,
            upstream: upstream,
            transport: isStream ? .stream : .datagram,
            isInTunnel: isInTunnel,
            bytes: bytes
        )
    }

    /// Waits for an answer.
    /// - Returns: The token that it comes with.
    mutating func putInFlight(_ entry: InFlight) -> UInt64 {
        let (token, evicted) = inFlight.insert(entry)
        if let evicted { giveUp(evicted) }
        return token
    }
}
