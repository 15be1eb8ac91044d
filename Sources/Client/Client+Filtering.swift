internal import Bytes
internal import IP
public import RelayUse
internal import SansIO
internal import STUN

/// Whom the network lets in, by family, as far as two relays could tell.
public struct Filterings: Hashable, Sendable {
    /// nil: not checked, or under way.
    public internal(set) var ipv4: FilteringCheck.Filtering?
    public internal(set) var ipv6: FilteringCheck.Filtering?

    public init() {}
}

/// The checks under way, on two ports of their own.
struct FilteringChecks {
    let probe: UInt16
    let carrier: UInt16
    var openCount = 0
    var checks: [(family: IPFamily, check: FilteringCheck)] = []

    func port(_ port: UInt16) -> FilteringCheck.Port? {
        if port == probe { return .probe }
        return port == carrier ? .carrier : nil
    }

    func number(of port: FilteringCheck.Port) -> UInt16 {
        switch port {
        case .probe: probe
        case .carrier: carrier
        }
    }

    var nextDeadline: Instant? { checks.compactMap(\.check.nextDeadline).min() }
}

// Whom the network lets in is found out when somebody asks, on ports that nothing else uses.
extension Client {
    /// Below the ports that a Linux kernel gives away by itself.
    private static var filteringPorts: ClosedRange<UInt16> { 20_000...32_000 }

    /// Whether a check is under way.
    public var isCheckingFiltering: Bool { filteringChecks != nil }

    /// Begins a check, unless one is under way.
    mutating func checkFiltering() {
        guard filteringChecks == nil, !isShutDown else { return }
        filterings = Filterings()
        let probe = UInt16.random(in: Self.filteringPorts, using: &random)
        var carrier = probe
        while carrier == probe {
            carrier = UInt16.random(in: Self.filteringPorts, using: &random)
        }
        filteringChecks = FilteringChecks(probe: probe, carrier: carrier)
        for port in [probe, carrier] { output(.port(.open(port, ipv4: true, ipv6: true))) }
    }

    /// The host opened one of the ports, or could not.
    mutating func noteFilteringPort(
        _ isOpen: Bool,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard filteringChecks != nil else { return }
        guard isOpen else { return endFiltering() }
        filteringChecks?.openCount += 1
        guard filteringChecks?.openCount == 2 else { return }
        for family in IPFamily.allCases {
            if let check = filteringCheck(family, at: now) {
                filteringChecks?.checks.append((family, check))
            }
        }
        sendFiltering(into: &outbox)
    }

    /// The best relay sends, the next one sees.
    private mutating func filteringCheck(
        _ family: IPFamily,
        at now: Instant
    ) -> FilteringCheck? {
        let reachable = relays.list.compactMap {
            relay -> (server: TURNServer, endpoint: Endpoint)? in
            var server = TURNServer(relay)
            server.endpoints.removeAll { $0.address.family != family }
            return server.endpoints.first.map { (server, $0) }
        }
        guard let best = reachable.first,
            let other = reachable.first(where: { $0.endpoint.address != best.endpoint.address })
        else { return nil }
        return FilteringCheck(
            first: other.endpoint,
            second: best.server,
            random: random.fork(),
            at: now
        )
    }

    /// - Returns: False when the datagram is no check's.
    mutating func receiveFiltering(
        _ bytes: RawSpan,
        _ info: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        guard let port = filteringChecks?.port(info.local.port) else { return false }
        let family = info.remote.address.family
        if let place = filteringChecks?.checks.firstIndex(where: { $0.family == family }) {
            filteringChecks?.checks[place].check
                .receive(bytes, from: info.remote, on: port, at: now)
            sendFiltering(into: &outbox)
        }
        return true
    }

    mutating func advanceFiltering(to now: Instant, into outbox: inout Outbox) {
        guard let due = filteringChecks?.nextDeadline, due <= now else { return }
        for place in filteringChecks?.checks.indices ?? 0..<0 {
            filteringChecks?.checks[place].check.advance(to: now)
        }
        sendFiltering(into: &outbox)
    }

    private mutating func sendFiltering(into outbox: inout Outbox) {
        guard let places = filteringChecks?.checks.indices else { return }
        for place in places {
            while let datagram = filteringChecks?.checks[place].check.popDatagram(),
                let port = filteringChecks?.number(of: datagram.port)
            {
                send(datagram, from: port, into: &outbox)
            }
        }
        guard filteringChecks?.checks.allSatisfy({ $0.check.result != nil }) ?? true else { return }
        for (family, check) in filteringChecks?.checks ?? [] {
            switch family {
            case .ipv4: filterings.ipv4 = check.result
            case .ipv6: filterings.ipv6 = check.result
            }
        }
        endFiltering()
    }

    private func send(
        _ datagram: FilteringCheck.Datagram,
        from port: UInt16,
        into outbox: inout Outbox
    ) {
        guard outbox.hasNetworkRoom(datagrams: 1, byteCount: datagram.bytes.count) else { return }
        let any = IPAddress(high: 0, low: 0)
        var room = outbox.reserve(datagram.bytes.count)
        guard room.byteCount == datagram.bytes.count else { return }
        room.write(datagram.bytes.rawSpan, at: 0)
        outbox.commit(to: datagram.remote, from: Endpoint(any, port: port))
    }

    private mutating func endFiltering() {
        guard let checks = filteringChecks else { return }
        filteringChecks = nil
        for port in [checks.probe, checks.carrier] { output(.port(.close(port))) }
    }
}
