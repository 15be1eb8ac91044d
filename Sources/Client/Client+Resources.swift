internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

// What may be reached, and what the host must set up for it.
extension Client {
    /// Takes over a resource. What its leases rest on being other than before, they end.
    mutating func set(
        _ resource: ResourceForClient,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let old = router[resource.id]
        guard old != resource else { return }
        if let old,
            old.address != resource.address || old.site != resource.site
                || old.alias != resource.alias
        {
            remove(resource.id, at: now, into: &outbox)
        }
        router.set(resource)
        if let lease = authorizations[resource.id]?.lease {
            stirConnections(by: lease.gateway, at: now)
        }
        if let name = Self.protectedName(resource) {
            if stub?.setResource(name) ?? false { configuration.flushesCaches = true }
        }
        forgetDenial(resource.id)
        changed()
    }

    /// A resource is gone: its leases end, its names are anybody's, what waits is refused.
    mutating func remove(
        _ id: ResourceID,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        router.remove(id)
        if stub?.removeResource(id) ?? false { configuration.flushesCaches = true }
        let held = authorizations[id]?.held.takeAll() ?? []
        if let lease = authorizations[id]?.lease { stirConnections(by: lease.gateway, at: now) }
        endFormer(id, at: now)
        authorizations[id] = nil
        authorized.removeAll { $0 == id }
        names = names.filter { $0.value.resource != id }
        toldNames.removeAll { names[$0] == nil }
        changed()
        proceedQuestions(of: id, at: now, into: &outbox)
        for packet in held where outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom) {
            guard let header = try? PacketHeader(packet.bytes.rawSpan) else { continue }
            refuse(.prohibited, packet.bytes.rawSpan, header, into: &outbox)
        }
        forgetUnused(at: now, into: &outbox)
    }

    /// Puts out what the host must set up, when it is other than before.
    mutating func configure(flushesCaches: Bool = false) {
        if setNameservers() { configuration.flushesCaches = true }
        guard let identity else { return }
        var next = HostConfiguration()
        next.tunnel = identity.tunnel
        next.routes = plan.all + router.routes
        next.ranges = plan.all
        switch stub {
        case .some(let stub): next.sentinels = stub.sentinels.addresses
        case .none: break
        }
        next.search = dns.search
        next.domains = domains
        next.flushesCaches = flushesCaches || configuration.flushesCaches
        configuration.flushesCaches = false
        guard next != configuration else { return }
        configuration = next
        configuration.flushesCaches = false
        output(.configure(next))
    }

    /// The fixed tails of all patterns, and the zones that have nameservers of their own, without
    /// those below another one.
    private var domains: [String] {
        let tails = router.ids.compactMap { id in
            router[id].flatMap(Self.protectedName)?.pattern.literalSuffix
        }
        // By labels from the right, so that what lies below a name follows it at once.
        let suffixes = (tails + forwardZones.map(\.name)).map { name in
            (key: name.sortKey, name: name)
        }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        var covering: [Name] = []
        for (_, suffix) in suffixes where !(covering.last.map(suffix.isAtOrBelow) ?? false) {
            covering.append(suffix)
        }
        return covering.map(\.description)
    }

    static func protectedName(_ resource: ResourceForClient) -> ProtectedName? {
        // A pattern that this version cannot read protects nothing.
        guard let text = resource.pattern, let pattern = try? NamePattern(text) else { return nil }
        return ProtectedName(id: resource.id, pattern: pattern, families: resource.family)
    }
}
