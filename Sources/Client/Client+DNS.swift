internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

extension Client {
    /// The port of DNS (RFC 1035 4.2).
    static var dnsPort: UInt16 { 53 }

    static func name(_ text: String) -> Name? { Name(text) }

    /// A packet to a sentinel: a query over UDP, or something that nobody serves.
    mutating func receiveQuery(
        _ bytes: RawSpan,
        _ header: PacketHeader,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard header.isUDP, header.destinationPort == Self.dnsPort, !header.isFragment else {
            refuse(header.isTCP ? .reset : .portUnreachable, bytes, header, into: &outbox)
            return
        }
        let query = bytes.extracting(header.payloadOffset..<header.totalByteCount)
        let asker = Asker(
            sentinel: header.destination,
            path: .datagram(source: header.sourceEndpoint)
        )
        resolve(query, from: asker, at: now, into: &outbox)
    }

    mutating func resolve(
        _ query: RawSpan,
        from asker: Asker,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        // A sentinel that is not in use is as silent as a dead server.
        guard stub?.sentinels.place(of: asker.sentinel) != nil,
            let outcome = stub?.resolve(query, from: asker, at: now)
        else {
            if case .stream(let id) = asker.path { output(.streamAnswer(id: id, bytes: nil)) }
            return
        }
        switch outcome {
        case .answer(let bytes):
            answer(asker, bytes, into: &outbox)
            if let slot = stub?.askedSlot { retryName(slot) }
        case .forward(let query): forward(query)
        case .askSite(let question): askSite(question, at: now, into: &outbox)
        case .wait: break
        case .drop:
            if case .stream(let id) = asker.path { output(.streamAnswer(id: id, bytes: nil)) }
        }
    }

    /// Sends an answer back the way that its question came.
    mutating func answer(_ asker: Asker, _ bytes: [UInt8], into outbox: inout Outbox) {
        // What the answer rests on is on disk before the answer leaves.
        persistNames()
        switch asker.path {
        case .stream(let id): output(.streamAnswer(id: id, bytes: bytes))
        case .datagram(let source):
            Self.write(
                bytes,
                from: Endpoint(asker.sentinel, port: Self.dnsPort),
                to: source,
                &outbox
            )
        }
    }

    /// Writes a datagram to the host, its checksum left to the kernel, which need not make one for
    /// itself, and may take several to one socket at once.
    private static func write(
        _ payload: [UInt8],
        from source: Endpoint,
        to destination: Endpoint,
        _ outbox: inout Outbox
    ) {
        let ip = IPHeader(
            from: source.address,
            to: destination.address,
            transportProtocol: .udp,
            hopLimit: IP.Refusal.Limits.hopLimit
        )
        let start = ip.byteCount
        let udpByteCount = 8 + payload.count
        var packet = outbox.reserveTunnel(start + udpByteCount)
        guard packet.byteCount == start + udpByteCount,
            ip.write(into: &packet, payloadByteCount: udpByteCount)
        else { return }
        packet.store(source.port, at: start)
        packet.store(destination.port, at: start + 2)
        packet.store(UInt16(udpByteCount), at: start + 4)
        let sum = Checksum(
            pseudoHeaderOf: .udp,
            source: source.address,
            destination: destination.address,
            byteCount: udpByteCount
        )
        packet.store(sum.folded, at: start + 6)
        packet.write(payload.rawSpan, at: start + 8)
        var offload = Offload.none
        (offload.needsChecksum, offload.checksumStart, offload.checksumOffset) = (true, start, 6)
        outbox.commitTunnel(byteCount: start + udpByteCount, offload: offload)
    }

    /// Puts out what the names log must hold.
    mutating func persistNames() {
        for _ in 0..<Limits.records {
            guard let record = stub?.proxies.popRecord() else { return }
            output(.persist(record))
        }
    }

    /// Sends the answers that became ready by themselves.
    mutating func sendReplies(into outbox: inout Outbox) {
        while outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom),
            let reply = stub?.popReply()
        {
            answer(reply.asker, reply.bytes, into: &outbox)
        }
        while let query = stub?.popQuery() { forward(query) }
        persistNames()
    }

    /// Asks a nameserver: the loop itself sends what is one datagram around the tunnel.
    private mutating func forward(_ query: UpstreamQuery) {
        guard !query.isInTunnel, query.transport == .datagram, query.upstream.transport == .plain,
            let server = query.upstream.endpoint
        else { return output(.forward(query)) }
        output(.exchange(Exchange(token: query.token, server: server, bytes: query.bytes)))
    }

    mutating func finishExchange(
        _ token: UInt64,
        with bytes: [UInt8]?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard !SiteQuestions.isAttempt(token) else {
            return finishQuestion(token, with: bytes, at: now, into: &outbox)
        }
        guard let reply = stub?.finish(token, with: bytes, at: now) else { return }
        answer(reply.asker, reply.bytes, into: &outbox)
    }

}

// MARK: - Whom to ask

extension Client {
    /// The nameservers that sentinels stand for: the admin's where there are any, else the host's.
    var upstreams: [Upstream] {
        let configured = configuredUpstreams
        return configured.isEmpty ? hostUpstreams : configured
    }

    private var configuredUpstreams: [Upstream] { dns.upstreams.compactMap { Upstream($0) } }

    /// The zones that the admin gave nameservers of their own.
    var forwardZones: [ForwardZone] {
        dns.zones.compactMap { zone in
            Name(zone.name).map {
                ForwardZone(name: $0, upstreams: zone.upstreams.compactMap { Upstream($0) })
            }
        }
    }

    /// The zones that links of the host have nameservers for.
    private var zonesOfLinks: [ForwardZone] {
        hostZones.compactMap { zone in
            Name(zone.domain).map { name in
                ForwardZone(name: name, upstreams: zone.upstreams, isHosts: true)
            }
        }
    }

    mutating func setHostUpstreams(_ upstreams: [Upstream]) {
        hostUpstreams = upstreams
        configure()
    }

    mutating func setHostZones(_ zones: [HostZone]) {
        hostZones = zones
        configure()
    }

    /// What the host has already inside our ranges is not handed out.
    mutating func setConflicts(_ networks: [IPPrefix]) {
        conflicts = networks
        stub?.setConflicts(networks)
    }

    /// Takes over whom the stub resolver asks, and which way.
    /// - Returns: Whether the host's caches must be emptied.
    mutating func setNameservers() -> Bool {
        let (upstreams, zones) = (upstreams, forwardZones)
        let allZones = zones + zonesOfLinks
        let areSentinelsOther = stub?.setUpstreams(upstreams) ?? false
        let areZonesOther = stub?.setZones(allZones) ?? false
        // The host's own nameservers are asked around the tunnel, the admin's by where they lie.
        var inTunnel: Set<Upstream> = []
        for upstream in configuredUpstreams + zones.flatMap(\.upstreams)
        where isInTunnel(upstream) { inTunnel.insert(upstream) }
        stub?.setTunnelUpstreams(inTunnel)
        return areSentinelsOther || areZonesOther
    }

    /// Whether a nameserver lies in a resource.
    private func isInTunnel(_ upstream: Upstream) -> Bool {
        // Where one lies that is known by its name is found out by who asks it: if at all, then in
        // the resource of everything.
        guard let address = upstream.address else { return router.servesInternet }
        return router.serves(address)
    }

    mutating func setCache(_ isOn: Bool) {
        isCacheEnabled = isOn
        stub?.isCacheEnabled = isOn
    }

    /// Empties the cache of nameservers' answers, and the host's.
    mutating func flushNames() {
        stub?.flushCache()
        configure(flushesCaches: true)
    }
}
