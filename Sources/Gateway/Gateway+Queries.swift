internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

/// A look-up for queries, which may be several: a client repeats what is not answered soon.
struct PendingQuery: Sendable {
    /// Who asked, and what exactly.
    struct Asker: Sendable {
        let client: ClientID
        let query: SiteQuery
    }

    let inquiry: SiteResolver.Inquiry
    var askers: [Asker]
}

// DNS at the gateway's own tunnel address: every record of the names that a client may reach, as
// the site's own nameservers have them.
extension Gateway {
    /// The port of DNS (RFC 1035 4.2).
    static var dnsPort: UInt16 { 53 }

    /// A datagram of a client to the service.
    mutating func receiveQuery(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let path = SiteQuery.Path.datagram(
            client: header.sourceEndpoint,
            gateway: header.destinationEndpoint
        )
        let bytes = packet.extracting(header.payloadOffset..<header.totalByteCount).array
        receive(
            EarlyArrivals.Query(path: path, bytes: bytes, since: now),
            slot,
            at: now,
            into: &outbox
        )
    }

    /// A query on a TCP connection of whoever has the tunnel address `client`.
    mutating func receiveStream(
        _ bytes: [UInt8],
        id: UInt64,
        from client: IPAddress,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let slot = slotByAddress[client] else {
            outputs.append(.streamAnswer(id: id, bytes: nil))
            return
        }
        let arrival = EarlyArrivals.Query(path: .stream(id: id), bytes: bytes, since: now)
        receive(arrival, slot, at: now, into: &outbox)
    }

    /// A query; one that waited for a grant comes again.
    mutating func receive(
        _ arrival: EarlyArrivals.Query,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let reading = DNS.Query.read(arrival.bytes.rawSpan, isStream: arrival.path.isStream)
        switch reading {
        case .ignore: answer(arrival.path, nil, slot, at: now, into: &outbox)
        case .answer(let bytes): answer(arrival.path, bytes, slot, at: now, into: &outbox)
        case .query(let query):
            let query = SiteQuery(path: arrival.path, query: query)
            guard arrival.since < now || clients[slot]?.queries.take(at: now) == true else {
                counters.queriesLimited += 1
                let reply = query.reply(.serverFailure, error: .tooMany)
                return answer(arrival.path, reply, slot, at: now, into: &outbox)
            }
            if let reply = serve(query, arrival, slot, at: now) {
                answer(arrival.path, reply, slot, at: now, into: &outbox)
            }
        }
    }

    /// - Returns: The answer; nil when it comes later.
    private mutating func serve(
        _ query: SiteQuery,
        _ arrival: EarlyArrivals.Query,
        _ slot: Int,
        at now: Instant
    ) -> [UInt8]? {
        let type = query.question.type
        guard query.question.recordClass == .internet else { return query.reply(.refused) }
        if type == .any { return query.reply(.noError, answers: [Self.minimal(query.question)]) }
        guard let site = clients[slot]?.grants.site(of: query.question.name) else {
            if keepEarly(arrival, slot, at: now) { return nil }
            counters.queriesRefused += 1
            return query.reply(.refused, error: .notGranted)
        }
        counters.queries += 1
        if let listed = listed(query, site.realName) { return listed }
        return lookUp(query, site.realName, slot, at: now)
    }

    /// RFC 8482 section 4.2.
    private static func minimal(_ question: DNS.Question) -> Record {
        Record(
            question.name,
            timeToLive: Limits.minimalSeconds,
            .hinfo(processor: Array("RFC8482".utf8), system: [])
        )
    }

    /// What the hosts file says, where it says anything.
    private func listed(_ query: SiteQuery, _ realName: Name) -> [UInt8]? {
        var data: [RecordData] = []
        switch query.question.type {
        case .a, .aaaa:
            guard let addresses = site.hosts.addresses(of: realName) else { return nil }
            let isIPv4 = query.question.type == .a
            data = addresses.filter { $0.isIPv4 == isIPv4 }.map { isIPv4 ? .a($0) : .aaaa($0) }
        case .ptr:
            guard let address = realName.reverseAddress else { return nil }
            data = site.hosts.names(of: address).map { .ptr($0) }
            if data.isEmpty { return nil }
        default: return nil
        }
        let records = data.map {
            Record(query.question.name, timeToLive: Limits.hostsSeconds, $0)
        }
        return query.reply(.noError, answers: records)
    }

    private mutating func lookUp(
        _ query: SiteQuery,
        _ realName: Name,
        _ slot: Int,
        at now: Instant
    ) -> [UInt8]? {
        guard let client = clients[slot], client.queryCount < ClientOnGateway.Limits.queriesAtOnce,
            pendingQueries.count < Limits.queries
        else {
            counters.queriesLimited += 1
            return query.reply(.serverFailure, error: .tooMany)
        }
        var inquiry = SiteResolver.Inquiry(
            DNS.Question(realName, query.question.type),
            patience: Limits.queryPatience
        )
        inquiry.isDNSSECWanted = query.query.edns?.isDNSSECWanted ?? false
        inquiry.isCheckingDisabled = query.query.header.isCheckingDisabled
        let asker = PendingQuery.Asker(client: client.id, query: query)
        if let number = queryNumbers[inquiry] {
            pendingQueries[number]?.askers.append(asker)
        } else {
            lastQuery += 1
            guard site.begin(inquiry, for: .query(lastQuery), at: now) else {
                counters.queriesUnanswered += 1
                return query.reply(.serverFailure, error: .noNameserver)
            }
            queryNumbers[inquiry] = lastQuery
            pendingQueries[lastQuery] = PendingQuery(inquiry: inquiry, askers: [asker])
        }
        client.queryCount += 1
        return nil
    }
}

// MARK: - Answers

extension Gateway {
    /// Hands out what the site's nameservers said.
    mutating func takeFindings(at now: Instant, into outbox: inout Outbox) {
        while outbox.hasNetworkRoom(datagrams: 1, byteCount: Limits.sealedByteCount),
            let finding = site.pollFinding()
        {
            switch finding.purpose {
            case .addresses(let name, let family):
                resolver.take(finding.outcome, of: name, family, at: now)
            case .query(let number):
                guard let pending = pendingQueries.removeValue(forKey: number) else { break }
                queryNumbers[pending.inquiry] = nil
                for asker in pending.askers {
                    finish(asker, finding.outcome, at: now, into: &outbox)
                }
            }
        }
    }

    private mutating func finish(
        _ asker: PendingQuery.Asker,
        _ outcome: SiteResolver.Outcome,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let query = asker.query
        guard let slot = slotByClient[asker.client], let client = clients[slot] else {
            return close(query.path)
        }
        client.queryCount = max(0, client.queryCount - 1)
        let reply: [UInt8]
        // The permission may have ended meanwhile.
        if let site = client.grants.site(of: query.question.name) {
            reply = self.reply(to: query, outcome, site.alias)
        } else {
            counters.queriesRefused += 1
            reply = query.reply(.refused, error: .notGranted)
        }
        answer(query.path, reply, slot, at: now, into: &outbox)
    }

    private mutating func reply(
        to query: SiteQuery,
        _ outcome: SiteResolver.Outcome,
        _ alias: NameAlias
    ) -> [UInt8] {
        switch outcome {
        case .answer(let message, let name): return query.reply(message, about: name, alias)
        case .failure(let message):
            counters.queriesUnanswered += 1
            let said = message?.edns?.extendedErrors.first
            let why: ExtendedError = message.map { .failed($0.responseCode) } ?? .silence
            return query.reply(.serverFailure, error: said ?? why)
        }
    }

    /// Sends an answer back the way that its question came; without one, a connection ends.
    private mutating func answer(
        _ path: SiteQuery.Path,
        _ bytes: [UInt8]?,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch path {
        case .stream(let id): outputs.append(.streamAnswer(id: id, bytes: bytes))
        case .datagram(let client, let gateway):
            // The client may have got other addresses since.
            guard let bytes, let peer = clients[slot]?.peer,
                clients[slot]?.tunnel.contains(client.address) == true
            else { return }
            let packet = UDPHeader.packet(from: gateway, to: client, payload: bytes)
            _ = pool.send(packet.rawSpan, .none, to: peer, at: now, into: &outbox)
        }
    }

    /// Nobody is there any more to be answered.
    mutating func close(_ path: SiteQuery.Path) {
        guard case .stream(let id) = path else { return }
        outputs.append(.streamAnswer(id: id, bytes: nil))
    }
}

extension ExtendedError {
    fileprivate static let notGranted = ExtendedError(
        code: prohibited.code,
        text: "No live permission for this name at this gateway."
    )
    fileprivate static let tooMany = ExtendedError(
        code: networkError.code,
        text: "Too many queries at once for this gateway; ask again later."
    )
    fileprivate static let noNameserver = ExtendedError(
        code: noReachableAuthority.code,
        text: "The gateway has no nameserver, or is too busy; see its resolv.conf and its log."
    )
    fileprivate static let silence = ExtendedError(
        code: noReachableAuthority.code,
        text: "No nameserver of the gateway's resolv.conf answered."
    )

    fileprivate static func failed(_ code: ResponseCode) -> ExtendedError {
        ExtendedError(
            code: noReachableAuthority.code,
            text: "The site's nameservers answered \(code)."
        )
    }
}
