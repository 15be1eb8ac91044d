internal import Bytes
internal import Foundation
internal import IP

/// systemd-resolved as its interface on the system bus shows it (org.freedesktop.resolve1).
struct SystemdResolved: Sendable {
    /// A nameserver.
    struct Server: Hashable, Sendable {
        /// The link that it belongs to; 0 for the configuration of the whole host.
        let interface: UInt32
        let address: IPAddress
        let port: UInt16
        /// What its certificate must say; empty when nobody wrote it.
        let name: String
    }

    /// A domain that names are completed with or that decides where they are asked.
    struct Domain: Hashable, Sendable, Codable {
        /// Lower case, without a dot at its end; `.` is everything.
        let name: String
        /// Whether names are not completed with it.
        let isRouteOnly: Bool

        /// Whether it is `other`, or lies below it.
        func isAtOrBelow(_ other: Domain) -> Bool {
            other.name == "." || name == other.name || name.hasSuffix("." + other.name)
        }
    }

    /// All that concerns the choice of a nameserver.
    struct Snapshot: Equatable, Sendable {
        /// Those of the whole host first, then link by link.
        var servers: [Server] = []
        /// Asked when there are no others.
        var fallbackServers: [Server] = []
        /// The domains of each link; key 0: of the whole host.
        var domains: [UInt32: [Domain]] = [:]
        /// Whether the whole host's servers are asked by TLS or not at all.
        var isEncrypted = false
    }

    /// How a link is asked.
    struct LinkSettings: Equatable, Sendable {
        /// Whether it is asked for names that no domain decides about.
        let isDefaultRoute: Bool
        /// Whether its servers are asked by TLS or not at all.
        let isEncrypted: Bool
    }

    let bus: SystemBus

    init(bus: SystemBus = .host) { self.bus = bus }

    /// Reads servers and domains of the host and of all links.
    func snapshot() throws(BusError) -> Snapshot {
        let values: ManagerValues = try values(Self.managerPath, "Manager")
        var snapshot = Snapshot()
        snapshot.servers = values.servers.data.compactMap(\.server)
            .enumerated()
            .sorted { ($0.element.interface, $0.offset) < ($1.element.interface, $1.offset) }
            .map(\.element)
        snapshot.isEncrypted = values.encryption?.data == "yes"
        snapshot.fallbackServers = (values.fallbackServers?.data ?? []).compactMap(\.server)
        for entry in values.domains.data {
            snapshot.domains[entry.interface, default: []].append(entry.domain)
        }
        return snapshot
    }

    /// Reads how one link is asked.
    func settings(of interface: UInt32) throws(BusError) -> LinkSettings {
        // The bus escapes the first character of a path's element where it is a digit.
        let path = "\(Self.managerPath)/link/_3\(interface)"
        let values: LinkValues = try values(path, "Link")
        return LinkSettings(
            isDefaultRoute: values.isDefaultRoute?.data ?? true,
            isEncrypted: values.encryption?.data == "yes"
        )
    }

    /// Gives a link its nameservers.
    func setServers(_ addresses: [IPAddress], of interface: UInt32) throws(BusError) {
        var words = ["ia(iayqs)", "\(interface)", "\(addresses.count)"]
        for address in addresses {
            let bytes = address.bytes
            // AF_INET, AF_INET6; port 0 is the usual one; no name.
            words += [address.isIPv4 ? "2" : "10", "\(bytes.count)"] + bytes.map(String.init)
            words += ["0", ""]
        }
        try manage("SetLinkDNSEx", words)
    }

    /// Gives a link its domains.
    func setDomains(_ domains: [Domain], of interface: UInt32) throws(BusError) {
        try manage("SetLinkDomains", Self.words(domains, interface))
    }

    /// Whether a link is asked for names that no domain decides about.
    func setDefaultRoute(_ isDefault: Bool, of interface: UInt32) throws(BusError) {
        try manage("SetLinkDefaultRoute", ["ib", "\(interface)", isDefault ? "true" : "false"])
    }

    /// Plain DNS and nothing else for a link, whatever the host says for all.
    func setPlain(_ interface: UInt32) throws(BusError) {
        for method in [
            "SetLinkDNSOverTLS", "SetLinkDNSSEC", "SetLinkLLMNR", "SetLinkMulticastDNS",
        ] {
            try manage(method, ["is", "\(interface)", "no"])
        }
    }

    /// Takes back all that was set for a link by the bus.
    func revert(_ interface: UInt32) throws(BusError) {
        try manage("RevertLink", ["i", "\(interface)"])
    }

    /// Empties the caches.
    func flushCaches() throws(BusError) { try manage("FlushCaches", []) }

    /// Gives a link of systemd-networkd, which resolved leaves to that, its domains.
    func setManagedDomains(_ domains: [Domain], of interface: UInt32) throws(BusError) {
        try network("SetLinkDomains", Self.words(domains, interface))
    }

    /// Lets systemd-networkd set a link as its files say.
    func revertManaged(_ interface: UInt32) throws(BusError) {
        try network("RevertLinkDNS", ["i", "\(interface)"])
    }

    /// Whether a refusal means that the link is systemd-networkd's.
    static func isManaged(_ error: BusError) -> Bool {
        if case .refused(let words) = error { words.contains("is managed") } else { false }
    }
}

extension SystemdResolved {
    private static let managerPath = "/org/freedesktop/resolve1"

    private static func words(_ domains: [Domain], _ interface: UInt32) -> [String] {
        ["ia(sb)", "\(interface)", "\(domains.count)"]
            + domains.flatMap { [$0.name, $0.isRouteOnly ? "true" : "false"] }
    }

    private func manage(_ name: String, _ arguments: [String]) throws(BusError) {
        let method = SystemBus.Method(
            service: "org.freedesktop.resolve1",
            path: Self.managerPath,
            interface: "org.freedesktop.resolve1.Manager",
            name: name
        )
        _ = try bus.call(method, arguments)
    }

    private func network(_ name: String, _ arguments: [String]) throws(BusError) {
        let method = SystemBus.Method(
            service: "org.freedesktop.network1",
            path: "/org/freedesktop/network1",
            interface: "org.freedesktop.network1.Manager",
            name: name
        )
        _ = try bus.call(method, arguments)
    }

    /// All properties of an object.
    private func values<Values: Decodable>(
        _ path: String,
        _ interface: String
    ) throws(BusError) -> Values {
        let method = SystemBus.Method(
            service: "org.freedesktop.resolve1",
            path: path,
            interface: "org.freedesktop.DBus.Properties",
            name: "GetAll"
        )
        let text = try bus.call(method, ["s", "org.freedesktop.resolve1.\(interface)"])
        guard let reply = try? JSONDecoder().decode(Reply<Values>.self, from: Data(text.utf8)),
            let values = reply.data.first
        else { throw .unreadable(method: "GetAll") }
        return values
    }
}

// MARK: - What busctl prints

private struct Reply<Values: Decodable>: Decodable {
    let data: [Values]
}

private struct Property<Value: Decodable>: Decodable {
    let data: Value
}

private struct ManagerValues: Decodable {
    let servers: Property<[ServerEntry]>
    let fallbackServers: Property<[ServerEntry]>?
    let domains: Property<[DomainEntry]>
    let encryption: Property<String>?

    enum CodingKeys: String, CodingKey {
        case servers = "DNSEx"
        case fallbackServers = "FallbackDNSEx"
        case domains = "Domains"
        case encryption = "DNSOverTLS"
    }
}

private struct LinkValues: Decodable {
    let isDefaultRoute: Property<Bool>?
    let encryption: Property<String>?

    enum CodingKeys: String, CodingKey {
        case isDefaultRoute = "DefaultRoute"
        case encryption = "DNSOverTLS"
    }
}

/// `(iiayqs)`: link, family, address, port, name.
private struct ServerEntry: Decodable {
    /// Nil where the address has neither 4 nor 16 bytes.
    let server: SystemdResolved.Server?

    init(from decoder: any Decoder) throws {
        var entry = try decoder.unkeyedContainer()
        let interface = try entry.decode(UInt32.self)
        _ = try entry.decode(Int32.self)
        let bytes = try entry.decode([UInt8].self)
        let port = try entry.decode(UInt16.self)
        let name = try entry.decode(String.self)
        server = IPAddress(bytes: bytes.rawSpan).map {
            SystemdResolved.Server(
                interface: interface,
                address: $0,
                port: port == 0 ? 53 : port,
                name: name
            )
        }
    }
}

/// `(isb)`: link, domain, whether it is for routing only.
private struct DomainEntry: Decodable {
    let interface: UInt32
    let domain: SystemdResolved.Domain

    init(from decoder: any Decoder) throws {
        var entry = try decoder.unkeyedContainer()
        interface = try entry.decode(UInt32.self)
        let name = try entry.decode(String.self)
        domain = SystemdResolved.Domain(
            name: SystemdResolved.folded(name),
            isRouteOnly: try entry.decode(Bool.self)
        )
    }
}

extension SystemdResolved {
    /// A domain in the form in which two are compared.
    static func folded(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.count > 1 && lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }
}
