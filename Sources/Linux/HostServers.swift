public import Bytes
internal import IP

/// The nameservers that a host has without us.
public struct HostServers: Sendable, Equatable {
    /// One of them.
    public struct Server: Sendable, Hashable {
        /// Address and port.
        public let endpoint: Endpoint
        /// Whether it is asked by TLS or not at all (`DNSOverTLS=yes`).
        public let isEncrypted: Bool
        /// What its certificate must say; empty when nobody wrote it.
        public let name: String

        public init(_ endpoint: Endpoint, isEncrypted: Bool = false, name: String = "") {
            (self.endpoint, self.isEncrypted, self.name) = (endpoint, isEncrypted, name)
        }
    }

    /// A domain that has servers of its own.
    public struct Zone: Sendable, Hashable {
        /// Names at or below it are asked of `servers`.
        public let domain: String
        /// In order.
        public let servers: [Server]

        public init(domain: String, servers: [Server]) {
            (self.domain, self.servers) = (domain, servers)
        }
    }

    /// For names without a zone, in order, none twice.
    public var servers: [Server] = []
    /// By domain.
    public var zones: [Zone] = []

    public init() {}

    /// Whom to ask for names of our own servers (portal, relays) in plain DNS: where the host asks
    /// by TLS only, that is its own resolver, systemd-resolved.
    public var lookupServers: [Endpoint] {
        let plain = servers.filter { !$0.isEncrypted }.map(\.endpoint)
        guard plain.isEmpty, !servers.isEmpty else { return plain }
        return [Endpoint(IPAddress(ipv4: 0x7f00_0035), port: 53)]
    }

    /// Those of a resolv.conf.
    init(_ file: ResolverFile) {
        servers = file.nameservers.map { Server(Endpoint($0, port: 53)) }
    }
}

extension HostServers {
    /// Those of systemd-resolved, chosen as it chooses: a link with the domain `.` is asked for
    /// everything; where there is none, the whole host's servers and those of links that want it.
    ///
    /// - Parameters:
    ///   - originals: The links as they are without us, ours left out.
    ///   - snapshot: Has what concerns the whole host.
    ///   - settings: How each link is asked.
    init(
        _ originals: [ResolvedConfiguration.Original],
        _ snapshot: SystemdResolved.Snapshot,
        settings: [UInt32: SystemdResolved.LinkSettings]
    ) {
        var zones: [(domain: String, servers: [Server])] = []
        let claimants = originals.filter { $0.domains.contains { $0.name == "." } }
        let general = claimants.isEmpty ? originals : claimants
        for original in originals {
            let setting = settings[original.interface]
            let isEncrypted = setting?.isEncrypted ?? snapshot.isEncrypted
            let isGeneral =
                general.contains(original)
                && (!claimants.isEmpty
                    || original.entry?.isDefaultRoute ?? setting?.isDefaultRoute ?? true)
            let asked = Self.asked(original.servers, isEncrypted)
            if isGeneral { append(asked) }
            guard original.interface > 0 else { continue }
            for domain in original.domains where domain.name != "." {
                if let index = zones.firstIndex(where: { $0.domain == domain.name }) {
                    zones[index].servers += asked
                } else {
                    zones.append((domain.name, asked))
                }
            }
        }
        if servers.isEmpty { append(Self.asked(snapshot.fallbackServers, snapshot.isEncrypted)) }
        self.zones = zones.map { Zone(domain: $0.domain, servers: $0.servers) }
    }

    private mutating func append(_ more: [Server]) {
        for server in more where !servers.contains(server) { servers.append(server) }
    }

    private static func asked(
        _ servers: [SystemdResolved.Server],
        _ isEncrypted: Bool
    ) -> [Server] {
        servers.map { server in
            let port = isEncrypted && server.port == 53 ? 853 : server.port
            let address = server.address.onLink(server.interface)
            return Server(
                Endpoint(address, port: port),
                isEncrypted: isEncrypted,
                name: server.name
            )
        }
    }
}
