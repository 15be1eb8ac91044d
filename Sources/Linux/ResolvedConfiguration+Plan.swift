internal import IP

extension ResolvedConfiguration {
    /// Which domains our link gets, and what is taken from the others.
    struct Plan: Equatable, Sendable {
        /// Ours, in order.
        private(set) var domains: [Domain] = []
        /// What changes on other links; `isDefaultRoute` is still unknown.
        private(set) var entries: [Entry] = []
        /// What each of those links claims.
        private(set) var claims: [UInt32: [Claim]] = [:]
        /// Claims that no link has and nobody can take over.
        private(set) var hostClaims: [Claim] = []
        /// Domains of ours for which there is no room.
        private(set) var leftOut = 0

        init(
            _ wanted: Wanted,
            _ snapshot: SystemdResolved.Snapshot,
            _ journal: [Entry],
            interface: UInt32,
            names: [UInt32: String]
        ) {
            let protected = wanted.domains.map {
                Domain(name: SystemdResolved.folded($0), isRouteOnly: true)
            }
            let others = ResolvedConfiguration.originals(snapshot, journal).filter {
                $0.interface != interface
            }
            var search = wanted.search.map {
                Domain(name: SystemdResolved.folded($0), isRouteOnly: false)
            }
            for other in others {
                let inside = other.domains.filter { domain in
                    protected.contains(where: domain.isAtOrBelow)
                }
                guard !inside.isEmpty else { continue }
                let name = names[other.interface]
                let claims = inside.map { Claim(domain: $0.name, link: name) }
                guard other.interface > 0, let name else {
                    hostClaims += claims
                    continue
                }
                self.claims[other.interface] = claims
                entries.append(
                    Entry(
                        interface: other.interface,
                        name: name,
                        before: other.domains,
                        after: other.domains.filter { !inside.contains($0) },
                        isDefaultRoute: true
                    )
                )
                search += inside.filter { !$0.isRouteOnly }
            }
            choose(search, protected, besides: others.flatMap(\.domains))
        }

        /// The domains of ours: as many as there is room for, those first that another link's
        /// domain competes with; `.` decides about the rest.
        private mutating func choose(
            _ search: [Domain],
            _ protected: [Domain],
            besides others: [Domain]
        ) {
            func isDisputed(_ domain: Domain) -> Bool {
                others.contains { domain.isAtOrBelow($0) || $0.isAtOrBelow(domain) }
            }
            let disputed = protected.filter(isDisputed)
            let everything = Domain(name: ".", isRouteOnly: true)
            let all = search + [everything] + disputed + protected.filter { !isDisputed($0) }
            var seen: Set<String> = []
            let distinct = all.filter { seen.insert($0.name).inserted }
            domains = Array(distinct.prefix(Limits.domains))
            let dropped = distinct.dropFirst(Limits.domains)
            leftOut = dropped.count { disputed.contains($0) }
        }
    }

    /// A link that is asked, with its domains as they are without us.
    struct Original: Equatable, Sendable {
        let interface: UInt32
        let domains: [Domain]
        let servers: [SystemdResolved.Server]
        /// What the journal has about it.
        let entry: Entry?
    }

    /// All links that have servers, the whole host's configuration (0) first.
    static func originals(
        _ snapshot: SystemdResolved.Snapshot,
        _ journal: [Entry]
    ) -> [Original] {
        var interfaces: [UInt32] = []
        for server in snapshot.servers where !interfaces.contains(server.interface) {
            interfaces.append(server.interface)
        }
        return interfaces.map { interface in
            let current = snapshot.domains[interface] ?? []
            let entry = journal.first { $0.interface == interface && $0.after == current }
            return Original(
                interface: interface,
                domains: entry?.before ?? current,
                servers: snapshot.servers.filter { $0.interface == interface },
                entry: entry
            )
        }
    }
}
