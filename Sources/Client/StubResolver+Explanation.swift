internal import Bytes
internal import Control
public import DNS
public import IP
public import SansIO

extension StubResolver {
    /// How the cache does.
    public var cacheStatus: CacheStatus {
        CacheStatus(
            isEnabled: isCacheEnabled,
            count: cache.count,
            byteCount: cache.byteCount,
            hits: cache.hits,
            misses: cache.misses,
            staleHits: cache.staleHits,
            evictions: cache.evictions
        )
    }

    /// Says what a question would meet; asks nobody and changes nothing.
    ///
    /// - Parameters:
    ///   - name: Whose records.
    ///   - type: Which records.
    ///   - sentinel: The sentinel that is asked; nil for the first one.
    ///   - now: The time.
    /// - Returns: The rule that decides, and what it rests on.
    public func explain(
        _ name: Name,
        _ type: RecordType,
        from sentinel: IPAddress? = nil,
        at now: Instant
    ) -> QueryExplanation {
        var explanation = QueryExplanation(
            name: name.description,
            type: type.description,
            rule: .refused
        )
        explanation.sentinel = sentinel ?? sentinels.mappings.first?.sentinel
        let bytes = Message(query: Question(name, type), id: 0).wire()
        guard case .query(let query) = Query.read(bytes.rawSpan, isStream: true) else {
            return explanation
        }
        let zone = zones.zone(of: name)
        explanation.rule = rule(query, zone)
        switch explanation.rule {
        case .protected, .site, .withheld: explainProtected(name, &explanation)
        case .ownAddress:
            if let slot = name.reverseAddress.flatMap({ proxies.place(of: $0) })?.slot {
                explainSlot(slot, &explanation)
            }
        case .zone, .link:
            guard let zone else { break }
            let found = zones.zones[zone]
            explanation.zone = found.name.description
            explanation.nameservers = zones.round(zone, [], at: now).order.map { place in
                let isDown = zones.isDown(zone, place, at: now)
                return nameserver(found.upstreams[place], isDown, isHosts: found.isHosts)
            }
            explainKept(query, 0, zone, &explanation, at: now)
        case .upstream:
            guard let place = explanation.sentinel.flatMap(sentinels.place) else {
                explanation.rule = .nobody
                break
            }
            explanation.nameservers = [nameserver(sentinels.mappings[place].upstream, false)]
            explainKept(query, place, nil, &explanation, at: now)
        case .refused, .special, .privateReverse, .unserved, .nobody: break
        }
        return explanation
    }

    /// The rules in the order of ``resolve(_:from:at:)``.
    private func rule(_ query: Query, _ zone: Int?) -> QueryExplanation.Rule {
        let name = query.question.name
        if LocalNames.answer(query) != nil { return .special }
        if LocalNames.isReverse(name), let address = name.reverseAddress, isOwn(address) {
            return .ownAddress
        }
        if zone == nil, LocalNames.answerReverse(query) != nil { return .privateReverse }
        let match = findMatch(of: name)
        if match.isWithheld { return .withheld }
        guard match.resources.isEmpty else {
            return Self.isAnsweredHere(query.question.type) ? .protected : .site
        }
        if let zone { return zones.zones[zone].isHosts ? .link : .zone }
        return LocalNames.answerUnserved(query) == nil ? .upstream : .unserved
    }

    private func explainProtected(_ name: Name, _ explanation: inout QueryExplanation) {
        explanation.resources = resources(of: name)
        explanation.pattern = explanation.resources.first.flatMap { pattern(of: $0)?.text }
        if let slot = proxies.slot(of: name) { explainSlot(slot, &explanation) }
    }

    private func explainSlot(_ slot: Int, _ explanation: inout QueryExplanation) {
        explanation.proxies =
            proxies.addresses(of: slot, .ipv4) + proxies.addresses(of: slot, .ipv6)
    }

    private func explainKept(
        _ query: Query,
        _ place: Int,
        _ zone: Int?,
        _ explanation: inout QueryExplanation,
        at now: Instant
    ) {
        guard let key = cacheKey(query, place: place, zone: zone) else { return }
        // Whatever the asker says about DNSSEC: with DO, CD and AD, and without.
        for flags in 0..<8 as Range<UInt8> {
            let key = ForwardCache.Key(
                question: key.question,
                route: key.route,
                flags: flags,
                seed: hashSeed
            )
            guard let entry = cache.peek(key, at: now) else { continue }
            explanation.keptSeconds = Int(now.duration(to: entry.endsAt).components.seconds)
            return
        }
    }

    private func nameserver(
        _ upstream: Upstream,
        _ isDown: Bool,
        isHosts: Bool = false
    ) -> QueryExplanation.Nameserver {
        QueryExplanation.Nameserver(
            upstream: upstream.description,
            isInTunnel: !isHosts && tunnelUpstreams.contains(upstream),
            isDown: isDown
        )
    }
}
