public import Bytes
public import Control
internal import IP
public import RelayUse

/// What the network around a client does to it, as far as its relays tell: for `culvert netcheck`.
///
/// Each relay says which address and port it saw our packets come from. Two relays at different
/// addresses are what RFC 5780 section 4.3 asks for to tell how a NAT maps.
public struct NetworkCheck: Hashable, Sendable, Codable {
    /// Whether datagrams get through.
    public enum Reach: String, Hashable, Sendable, Codable {
        case works, blocked, unknown
    }

    /// How the NAT gives ports to us (RFC 4787 section 4.1).
    public enum Mapping: String, Hashable, Sendable, Codable {
        /// Our own address is what others see.
        case none
        /// One outer port for everything that one inner port sends.
        case endpointIndependent = "endpoint-independent"
        /// Another outer port for each address that is sent to.
        case addressDependent = "address-dependent"
        /// Another outer port for each address and port that is sent to.
        case addressAndPortDependent = "address-and-port-dependent"
        /// Another one for other destinations; what it depends on cannot be told.
        case dependent
        /// Too few relays answered.
        case unknown
    }

    /// What one relay saw.
    public struct Sight: Hashable, Sendable {
        /// The relay's own address and port.
        public var server: Endpoint
        /// Ours, as it saw them.
        public var mapped: Endpoint

        public init(server: Endpoint, mapped: Endpoint) {
            (self.server, self.mapped) = (server, mapped)
        }
    }

    /// Whether datagrams get through to any relay.
    public var udp: Reach
    /// Whether others see us by IPv4, and by IPv6.
    public var ipv4: Reach
    public var ipv6: Reach
    public var mappingIPv4: Mapping
    public var mappingIPv6: Mapping
    /// Whom NAT or firewall let in (RFC 4787 section 5); nil: not checked.
    public var filteringIPv4: FilteringCheck.Filtering?
    public var filteringIPv6: FilteringCheck.Filtering?
    /// Our addresses as relays see them.
    public var mapped: [Endpoint]
    public var relays: [Client.RelayState]
    public var candidates: [Control.Candidate]
    /// What it comes to, for people.
    public var sentences: [String]

    /// From what the client knows now, and what its last check of filters found.
    public init(_ status: Client.Status, _ filterings: Filterings = Filterings()) {
        (filteringIPv4, filteringIPv6) = (filterings.ipv4, filterings.ipv6)
        relays = status.relays
        candidates = status.candidates
        let sights = status.relays.flatMap { relay -> [Sight] in
            guard !relay.isStream, let text = relay.server, let server = Endpoint(text) else {
                return []
            }
            return relay.mapped.map { Sight(server: server, mapped: $0) }
        }
        var all: [Endpoint] = []
        for sight in sights where !all.contains(sight.mapped) { all.append(sight.mapped) }
        mapped = all
        let hosts = status.candidates.filter { $0.kind == .host }.map(\.endpoint)
        udp = Self.reach(of: status.relays)
        let seen: (Bool) -> [Sight] = { isIPv4 in
            sights.filter { $0.mapped.address.isIPv4 == isIPv4 }
        }
        ipv4 = Self.reach(seen(true), udp, hosts.contains { $0.address.isIPv4 })
        ipv6 = Self.reach(seen(false), udp, hosts.contains { !$0.address.isIPv4 })
        mappingIPv4 = Self.mapping(seen(true), hosts: hosts)
        mappingIPv6 = Self.mapping(seen(false), hosts: hosts)
        sentences = []
        sentences = words
    }
}

// MARK: - Finding out

extension NetworkCheck {
    private static func reach(of relays: [Client.RelayState]) -> Reach {
        if relays.contains(where: { !$0.isStream && (!$0.mapped.isEmpty || $0.isUsable) }) {
            return .works
        }
        return relays.contains { $0.isStream } ? .blocked : .unknown
    }

    private static func reach(_ sights: [Sight], _ udp: Reach, _ hasAddress: Bool) -> Reach {
        if !sights.isEmpty { return .works }
        return !hasAddress || udp == .blocked ? .blocked : .unknown
    }

    /// How ports are given, from what relays saw of one family.
    public static func mapping(_ sights: [Sight], hosts: [Endpoint]) -> Mapping {
        guard let first = sights.first else { return .unknown }
        if sights.allSatisfy({ hosts.contains($0.mapped) }) { return .none }
        let others = sights.dropFirst().filter { $0.server != first.server }
        guard !others.isEmpty else { return .unknown }
        let elsewhere = others.filter { $0.server.address != first.server.address }
        if sights.allSatisfy({ $0.mapped == first.mapped }) {
            return elsewhere.isEmpty ? .unknown : .endpointIndependent
        }
        // Relays at one address and different ports tell what is left to tell.
        for one in sights {
            for other in sights
            where other.server.address == one.server.address && other.server != one.server {
                return other.mapped == one.mapped ? .addressDependent : .addressAndPortDependent
            }
        }
        return .dependent
    }
}

// MARK: - In words

extension NetworkCheck {
    private var words: [String] {
        var words: [String] = []
        if relays.isEmpty {
            words.append(
                "The portal deals no relays; peers behind other NATs are reached only by chance."
            )
        }
        switch udp {
        case .works: words.append("UDP gets through.")
        case .blocked:
            words.append("UDP is blocked: everything goes through a relay over TCP or TLS.")
        case .unknown: words.append("No relay has answered yet: whether UDP passes is not known.")
        }
        words += silentRelays
        words += Self.words(mappingIPv4, "IPv4") + Self.words(mappingIPv6, "IPv6")
        words += Self.words(filteringIPv4, mappingIPv4, "IPv4")
        words += Self.words(filteringIPv6, mappingIPv6, "IPv6")
        switch ipv6 {
        case .works: words.append("IPv6 works.")
        case .blocked: words.append("There is no IPv6 here.")
        case .unknown: words.append("No relay was reached by IPv6.")
        }
        return words
    }

    /// While others answer, one that does not is its own affair, or that of the way to it.
    private var silentRelays: [String] {
        guard udp == .works else { return [] }
        return relays.filter { !$0.isUsable && $0.mapped.isEmpty }.map { relay in
            "The relay \(relay.id)\(relay.server.map { " at \($0)" } ?? "") does not answer; whoever"
                + " runs it should look whether it is up and its UDP port open."
        }
    }

    private static func words(
        _ filtering: FilteringCheck.Filtering?,
        _ mapping: Mapping,
        _ family: String
    ) -> [String] {
        let what = mapping == .none ? "firewall" : "NAT"
        switch filtering {
        case .endpointIndependent:
            return [
                mapping == .none
                    ? "Nothing keeps \(family) packets of strangers out."
                    : "The \(family) NAT lets in whoever knows the outer port."
            ]
        case .addressDependent:
            return ["The \(family) \(what) lets in only addresses that were sent to."]
        case .addressAndPortDependent:
            return ["The \(family) \(what) lets in only addresses and ports that were sent to."]
        case .unknown, nil: return []
        }
    }

    private static func words(_ mapping: Mapping, _ family: String) -> [String] {
        switch mapping {
        case .none: ["There is no NAT for \(family)."]
        case .endpointIndependent:
            ["The \(family) NAT keeps one outer port for all peers: direct paths work."]
        case .addressDependent, .addressAndPortDependent, .dependent:
            [
                "The \(family) NAT takes another outer port for each peer (“symmetric”): direct paths"
                    + " work only to peers whose NAT is more open, all others are relayed."
            ]
        case .unknown: []
        }
    }
}
