internal import Control
internal import IP

/// Which resource a packet is for.
///
/// Names come before networks, networks before the internet. Within one kind a resource whose
/// filters permit the packet beats one that does not, then the more specific pattern or longer
/// prefix wins, then the lower identifier; the gateway chooses by the same rule. Which resources a
/// name belongs to is the stub resolver's knowledge.
struct Router {
    /// The resource of a packet, or why there is none.
    enum Choice: Equatable {
        /// Its filters permit the packet.
        case resource(ResourceID)
        /// The best one that covers the destination; its filters refuse the packet.
        case filtered(ResourceID)
        /// Nothing covers the destination.
        case none
    }

    private var resources: [ResourceID: ResourceForClient] = [:]
    /// All resources, by identifier.
    private(set) var ids: [ResourceID] = []
    private var prefixes = PrefixTable<[ResourceID]>()
    private var internet: [ResourceID] = []
    /// Whether traffic to everywhere goes to an internet resource, where there is one.
    var isInternetOn = true

    subscript(id: ResourceID) -> ResourceForClient? { resources[id] }

    /// Whether packets may be for it: a resource that we were told of, or one withheld from us, for
    /// which the portal says why.
    func knows(_ id: ResourceID) -> Bool { resources[id] != nil || Self.isWithheld(id) }

    static func isWithheld(_ id: ResourceID) -> Bool {
        WithheldNames.fingerprint(in: id) != nil
    }

    /// How many resources there are.
    var count: Int { ids.count }

    /// Networks that the host must send here.
    var routes: [IPPrefix] {
        let everything = ["0.0.0.0/0", "::/0"].compactMap { IPPrefix($0) }
        return prefixes.entries.map(\.prefix)
            + (isInternetOn && !internet.isEmpty ? everything : [])
    }

    /// Adds a resource, or puts it in the place of the one with its identifier.
    mutating func set(_ resource: ResourceForClient) {
        remove(resource.id)
        resources[resource.id] = resource
        Self.insert(resource.id, into: &ids)
        switch resource.address {
        case .name: break
        case .prefix(let prefix):
            var same = prefixes[prefix] ?? []
            Self.insert(resource.id, into: &same)
            prefixes[prefix] = same
        case .internet: Self.insert(resource.id, into: &internet)
        }
    }

    mutating func remove(_ id: ResourceID) {
        guard let resource = resources.removeValue(forKey: id) else { return }
        ids.removeAll { $0 == id }
        switch resource.address {
        case .name: break
        case .prefix(let prefix):
            let rest = (prefixes[prefix] ?? []).filter { $0 != id }
            prefixes[prefix] = rest.isEmpty ? nil : rest
        case .internet: internet.removeAll { $0 == id }
        }
    }

    private static func insert(_ id: ResourceID, into list: inout [ResourceID]) {
        let place = list.firstIndex { id < $0 } ?? list.endIndex
        list.insert(id, at: place)
    }
}

// MARK: - Choosing

extension Router {
    /// The resource of a packet to an address that is no proxy address.
    func choose(for header: PacketHeader) -> Choice {
        let covering = prefixes.matches(header.destination)
        if !covering.isEmpty {
            return choose(among: covering.flatMap(\.value), for: header)
        }
        guard isInternetOn, !internet.isEmpty else { return .none }
        return choose(among: internet, for: header)
    }

    /// The resource of a packet to a proxy address: one of those that its name belongs to, the best
    /// first.
    func choose(among candidates: [ResourceID], for header: PacketHeader) -> Choice {
        for id in candidates {
            if Self.isWithheld(id) { return .resource(id) }
            if let resource = resources[id], Self.permits(resource.filters, header) {
                return .resource(id)
            }
        }
        return candidates.first.map { .filtered($0) } ?? .none
    }

    /// Whether filters let the packet through: errors of flows always, later fragments with their
    /// first one, which the gateway judges.
    static func permits(_ filters: [Filter], _ header: PacketHeader) -> Bool {
        if filters.isEmpty || header.isICMPError || header.isLaterFragment { return true }
        if header.isTCP { return filters.permit(.tcp, port: header.destinationPort) }
        if header.isUDP { return filters.permit(.udp, port: header.destinationPort) }
        return header.isEcho && filters.permit(.icmp, port: 0)
    }

    /// Whether traffic to everywhere goes to an internet resource.
    var servesInternet: Bool { isInternetOn && !internet.isEmpty }

    /// Whether packets to an address go to a gateway: a network's, or that of everything else,
    /// which no private network belongs to.
    func serves(_ address: IPAddress) -> Bool {
        if !prefixes.matches(address).isEmpty { return true }
        return servesInternet && !Self.privateNetworks.contains { $0.contains(address) }
    }

    private static let privateNetworks = [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128",
    ].compactMap { IPPrefix($0) }

    /// The resources whose networks contain an address, those of the internet included.
    func covering(_ address: IPAddress) -> [ResourceID] {
        prefixes.matches(address).flatMap(\.value) + internet
    }
}
