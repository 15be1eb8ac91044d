internal import Control
internal import DNS
internal import IP
internal import SansIO

/// What may become of a probe.
struct Expectation: OptionSet, Hashable {
    let rawValue: Int

    static let roundTrip = Expectation(rawValue: 1)
    /// An ICMP error: a rule forbids it.
    static let prohibited = Expectation(rawValue: 2)
    /// An ICMP error: host or network unreachable.
    static let unreachable = Expectation(rawValue: 4)
    /// An ICMP error of the server, or its reset: nobody listens there.
    static let closedPort = Expectation(rawValue: 8)
    /// Silence.
    static let nothing = Expectation(rawValue: 16)
    static let anything: Expectation = [
        .roundTrip, .prohibited, .unreachable, .closedPort, .nothing,
    ]
    static let refusals: Expectation = [.prohibited, .unreachable]
}

/// What a probe is for.
struct Target: Hashable {
    enum Place: Hashable {
        case name(Name)
        case address(IPAddress)
    }

    var place: Place
    var family: IPFamily
    var transport: TransportProtocol
    /// 0 for a ping.
    var port: UInt16
}

/// What must happen by rights: computed from the directory, the records and who is reachable, by
/// other code than the product's.
final class Model {
    unowned let scene: Scene
    /// Every address that a name ever had, and when it was taken away; nil: it still has it.
    private var history: [(name: Name, address: IPAddress, goneAt: Instant?)] = []
    /// Resources, and when what they permitted was made less; obeyed a while after.
    private var lastPermitted: [(resource: ResourceID, filters: [Filter], until: Instant)] = []

    private var changes: [(name: Name, at: Instant)] = []
    /// When something of a resource came back last.
    private var lastServed: [(resource: ResourceID, at: Instant)] = []

    init(_ scene: Scene) { self.scene = scene }

    private var portal: PortalHost { scene.portal }

    static func permits(_ filters: [Filter], _ target: Target) -> Bool {
        permits(filters, target.transport, target.port)
    }

    static func permits(
        _ filters: [Filter],
        _ transport: TransportProtocol,
        _ port: UInt16
    ) -> Bool {
        guard !filters.isEmpty else { return true }
        return filters.contains { filter -> Bool in
            switch (filter.transport, transport) {
            case (.tcp, .tcp), (.udp, .udp): filter.ports.contains(port)
            case (.icmp, .icmp), (.icmp, .icmpv6): true
            default: false
            }
        }
    }

    /// The resource that a probe belongs to (behaviour 5.4), and whether its filters permit it.
    func resource(of target: Target) -> (id: ResourceID, isPermitted: Bool)? {
        let covering = portal.visible.filter { resource in
            switch (target.place, resource.address) {
            case (.name(let name), .name): Plan.covers(resource.id, name)
            case (.address(let address), .prefix(let prefix)): prefix.contains(address)
            default: false
            }
        }
        // Exact patterns have later identifiers here than the wildcard that covers them.
        let ranked = covering.sorted { $0.id > $1.id }
        if let first = ranked.first(where: { Self.permits($0.filters, target) }) {
            return (first.id, true)
        }
        return ranked.first.map { ($0.id, false) }
    }

    /// Whether a name is protected.
    func isProtected(_ name: Name) -> Bool {
        portal.visible.contains { Plan.covers($0.id, name) }
    }

    /// What must become of a probe that is sent now, if nothing changes.
    func expectation(of target: Target) -> Expectation {
        guard let (id, isPermitted) = resource(of: target) else { return .unreachable }
        guard isPermitted else { return .prohibited }
        guard portal.isAllowed(id) else {
            return portal.clientChannel.isOpen ? .prohibited : .refusals
        }
        // Without the portal its packets wait until the client gives up.
        guard portal.isAtGateways(id) else {
            return canAuthorize ? .unreachable : [.unreachable, .nothing]
        }
        if !canAuthorize || portal.mayBelieveDenied(id) {
            guard holdsLease(id) else {
                // A gateway that hears of no grant refuses after a while, when the client may have
                // gone to another one, and believes only that one.
                let isUnheard = portal.gateways.contains { !$0.channel.isOpen || $0.channel.isCut }
                let isSilent = isUnheard && portal.gateways.count > 1
                return served(target).union(.refusals).union(isSilent ? .nothing : [])
            }
        } else if !portal.isAnyGatewayOnline {
            // Leases go on as long as their gateways run.
            let isRunning = scene.gateways.contains(where: \.isRunning)
            return isRunning ? served(target).union(.unreachable) : .unreachable
        }
        return served(target)
    }

    /// What must become of a question for other records of a protected name, which its site answers
    /// whatever the port filters say.
    func siteExpectation(of name: Name) -> Expectation {
        // Exact patterns have later identifiers here than the wildcard that covers them.
        let covering = portal.visible.map(\.id).filter { Plan.covers($0, name) }
        guard let id = covering.max() else { return .anything }
        guard portal.isAllowed(id), portal.isAtGateways(id) else { return .refusals }
        if !canAuthorize || portal.mayBelieveDenied(id), !holdsLease(id) {
            return .refusals.union(.roundTrip)
        }
        guard portal.isAnyGatewayOnline else {
            let isRunning = scene.gateways.contains(where: \.isRunning)
            return isRunning ? .refusals.union(.roundTrip) : .refusals
        }
        return .roundTrip
    }

    private var canAuthorize: Bool {
        portal.clientChannel.isOpen && !portal.clientChannel.isCut
            && portal.gateways.allSatisfy { $0.channel.isOpen && !$0.channel.isCut }
    }

    /// Something of a resource came back.
    func served(_ id: ResourceID) {
        lastServed.removeAll { $0.resource == id }
        lastServed.append((id, scene.world.now))
    }

    /// A client that starts anew holds nothing.
    func clientForgets() { lastServed = [] }

    /// Whether the client surely has a lease for a while, with nobody to extend it: it used it, and
    /// nothing happened since that ends leases.
    private func holdsLease(_ id: ResourceID) -> Bool {
        guard let lease = portal.leases.last(where: { $0.resource == id }),
            let servedAt = lastServed.first(where: { $0.resource == id })?.at,
            !scene.calm.mayHaveEnded(id, since: servedAt)
        else { return false }
        let margin = Duration.seconds(10)
        return scene.world.now.advanced(by: margin) < lease.endsAt
            && scene.portalGoneFor + margin < scene.absenceLimit
    }

    /// What the resource itself does.
    private func served(_ target: Target) -> Expectation {
        var addresses: [IPAddress]
        switch target.place {
        case .address(let address): addresses = [address]
        case .name(let name):
            let all = scene.siteNames[name].compactMap(\.address)
            if all.isEmpty { return .unreachable }
            addresses = all.filter { $0.family == target.family }
            // A family that the name lacks is served by the other one.
            if addresses.isEmpty { addresses = all }
        }
        guard let first = addresses.first, let server = scene.server(at: first) else {
            return [.nothing, .unreachable]
        }
        return server.isOpen(target.transport, target.port) ? .roundTrip : .closedPort
    }
}

// MARK: - What the gateway may forward

extension Model {
    /// A name's addresses are others from now on.
    func recordsChanged(_ name: Name, to addresses: [IPAddress]) {
        changes.append((name, scene.world.now))
        for place in history.indices where history[place].name == name {
            if history[place].goneAt == nil, !addresses.contains(history[place].address) {
                history[place].goneAt = scene.world.now
            }
        }
        for address in addresses
        where !history.contains(where: {
            $0.name == name && $0.address == address && $0.goneAt == nil
        }) {
            history.append((name, address, nil))
        }
    }

    /// What a resource permitted until now stays permitted for a moment.
    func permissionEnds(_ resource: ResourceID, filters: [Filter], after grace: Duration) {
        lastPermitted.append((resource, filters, scene.world.now.advanced(by: grace)))
    }

    /// Whether some policy lets the client reach this.
    func mayForward(_ header: PacketHeader) -> Bool {
        if header.isICMPError { return true }
        let (address, port) = (header.destination, header.isEcho ? 0 : header.destinationPort)
        lastPermitted.removeAll { $0.until < scene.world.now }
        for resource in portal.visible
        where portal.isAllowed(resource.id) && portal.isAtGateways(resource.id) {
            if leads(resource.id, to: address),
                Self.permits(resource.filters, header.transportProtocol, port)
            {
                return true
            }
        }
        return lastPermitted.contains {
            leads($0.resource, to: address)
                && Self.permits($0.filters, header.transportProtocol, port)
        }
    }

    private func leads(_ resource: ResourceID, to address: IPAddress) -> Bool {
        if resource == Plan.network { return IPPrefix("10.20.0.0/24")?.contains(address) ?? false }
        return history.contains { $0.address == address && Plan.covers(resource, $0.name) }
    }

    /// Whether a new flow to a name may still go to this address: its record is there, or was until
    /// a moment ago.
    func mayStandFor(_ name: Name, _ address: IPAddress, staleFor allowed: Duration) -> Bool {
        history.contains { entry in
            entry.name == name && entry.address == address
                && (entry.goneAt.map { $0.duration(to: scene.world.now) <= allowed } ?? true)
        }
    }
}

extension Model {
    /// Whether a name's addresses were others lately.
    func hasChanged(_ name: Name, within memory: Duration) -> Bool {
        changes.contains { $0.name == name && $0.at.duration(to: scene.world.now) <= memory }
    }
}
