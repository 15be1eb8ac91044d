internal import CLinux
internal import Glibc
public import IP

/// Numbers that keep one role's routes and rules apart from everybody else's.
public struct RoutingPlan: Sendable, Equatable {
    /// Packets with this mark never enter the tunnel; 0: no packet is spared.
    public var mark: UInt32
    /// The bits of the mark that are ours.
    public var mask: UInt32
    /// The table of ours; the one with the next number holds default routes.
    public var table: UInt32
    /// Of the first of up to three rules.
    public var priority: UInt32

    public init(mark: UInt32, mask: UInt32, table: UInt32, priority: UInt32) {
        (self.mark, self.mask, self.table, self.priority) = (mark, mask, table, priority)
    }

    /// The client's numbers, free on a usual host.
    public static let client = RoutingPlan(
        mark: 0x0200_0000,
        mask: 0x0200_0000,
        table: 17_238,
        priority: 17_238
    )
    /// The gateway's numbers; it marks nothing, since its routes cover no peer's address.
    public static let gateway = RoutingPlan(mark: 0, mask: 0, table: 17_248, priority: 17_248)

    var defaultTable: UInt32 { table + 1 }
}

/// A network that we were asked to route and that stays with the host.
public struct KeptByHost: Sendable, Equatable {
    /// What we were asked for.
    public let prefix: IPPrefix
    /// The part of it that the host is connected to itself.
    public let kept: IPPrefix
    /// The host's interface.
    public let interface: UInt32
}

/// Addresses, routes and rules of one tunnel device.
///
/// The routes are in a table of ours, which comes before the host's: so the longer prefix wins over
/// a network that the host reaches without a router (its LANs, other tunnels) only because such a
/// network is thrown back to the host's tables; one of equal length stays with the host. Routes by
/// a router do not count: whoever runs the LAN's DHCP could else draw our traffic out of the
/// tunnel. Default routes have another table, behind the host's own routes except for its default
/// ones.
public struct Routes: ~Copyable {
    enum Limits {
        /// Networks of the host that are thrown back to it, for each of ours.
        static var keptByHost: Int { 256 }
    }

    /// What `apply` could not do.
    public struct Report: Sendable, Equatable {
        /// Networks that stay with the host, for `status`.
        public var keptByHost: [KeptByHost] = []
        /// Families that the host has not; their routes are left out.
        public var missingFamilies: [IPFamily] = []
    }

    private let interface: UInt32
    private let plan: RoutingPlan
    private var addresses: [IPAddress] = []
    private var prefixes: [IPPrefix] = []
    private var routes: [Route] = []
    private var rules: [RoutingRule] = []
    private var isAbandoned = false

    /// Removes what an earlier process has left behind.
    ///
    /// - Parameters:
    ///   - interface: The tunnel device's index.
    ///   - plan: The table, mark and priorities that are ours.
    /// - Throws: ``NetlinkError`` when something stale cannot be removed.
    public init(interface: UInt32, plan: RoutingPlan) throws(NetlinkError) {
        try Self.removeStale(plan)
        self.interface = interface
        self.plan = plan
    }

    /// Goes on where another process stopped: nothing is removed before the end.
    ///
    /// - Parameters:
    ///   - interface: The tunnel device's index.
    ///   - plan: As before.
    public init(adopting interface: UInt32, plan: RoutingPlan) {
        (self.interface, self.plan) = (interface, plan)
    }

    deinit { if !isAbandoned { try? Self.removeStale(plan) } }

    /// Leaves everything in place at the end: another process goes on with it.
    public mutating func abandon() { isAbandoned = true }

    /// Makes these, and only these, the addresses and routes of the tunnel device.
    public mutating func apply(
        addresses: [IPAddress],
        prefixes: [IPPrefix]
    ) throws(NetlinkError) -> Report {
        for address in self.addresses where !addresses.contains(address) {
            try Netlink.remove(entry(address))
        }
        (self.addresses, self.prefixes) = (addresses, prefixes)
        return try refresh()
    }

    /// Sets everything right again after the host's network has changed.
    public mutating func refresh() throws(NetlinkError) -> Report {
        var report = Report()
        let interface = interface
        for address in addresses {
            let entry = entry(address)
            try attempt(address.family, &report) { () throws(NetlinkError) in
                try Netlink.add(entry)
            }
        }
        let connected = try HostNetwork.hostRoutes(excluding: interface, plan: plan)
            .filter { $0.gateway == nil }
            .sorted { $0.prefix.bitCount < $1.prefix.bitCount }
        let wanted = wantedRoutes(connected, &report)
        for route in wanted {
            try attempt(route.prefix.family, &report) { () throws(NetlinkError) in
                try Netlink.add(route)
            }
        }
        for route in routes where !wanted.contains(route) { try Netlink.remove(route) }
        routes = wanted
        let wantedRules = wantedRules()
        for rule in wantedRules {
            try attempt(rule.family, &report) { () throws(NetlinkError) in try Netlink.add(rule) }
        }
        for rule in rules where !wantedRules.contains(rule) { try Netlink.remove(rule) }
        rules = wantedRules
        return report
    }

    /// Removes rules, routes and addresses.
    public mutating func remove() throws(NetlinkError) {
        for address in addresses { try Netlink.remove(entry(address)) }
        (addresses, prefixes, routes, rules) = ([], [], [], [])
        try Self.removeStale(plan)
    }

    /// Removes what a process with this plan has left behind.
    public static func removeStale(_ plan: RoutingPlan) throws(NetlinkError) {
        let tables = [plan.table, plan.defaultTable]
        let priorities = plan.priority...plan.priority + 2
        for rule in try Netlink.rules() {
            let isOurs = rule.origin == Route.ownOrigin && priorities.contains(rule.priority)
            if isOurs || tables.contains(rule.table) { try Netlink.remove(rule) }
        }
        for table in tables {
            for route in try Netlink.routes(table: table) { try Netlink.remove(route) }
        }
    }

    private func entry(_ address: IPAddress) -> InterfaceAddress {
        InterfaceAddress(
            interface: interface,
            address: address,
            bitCount: address.family.bitCount
        )
    }

    /// Does something for one family; where the host lacks IPv6 that is reported, not thrown.
    private func attempt(
        _ family: IPFamily,
        _ report: inout Report,
        _ body: () throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        guard !report.missingFamilies.contains(family) else { return }
        do throws(NetlinkError) {
            try body()
        } catch {
            guard family == .ipv6, Netlink.isFamilyMissing(error.code) else { throw error }
            report.missingFamilies.append(family)
        }
    }

    private func wantedRoutes(_ connected: [Route], _ report: inout Report) -> [Route] {
        var wanted: [Route] = []
        for prefix in prefixes {
            if prefix.bitCount == 0 {
                wanted.append(Route(prefix, table: plan.defaultTable, interface: interface))
                continue
            }
            var isKept = false
            var kept: [IPPrefix] = []
            for host in connected
            where host.prefix.bitCount >= prefix.bitCount && prefix.overlaps(host.prefix) {
                guard let index = host.interface, kept.count < Limits.keptByHost,
                    !kept.contains(where: { $0.contains(host.prefix.address) })
                else { continue }
                kept.append(host.prefix)
                report.keptByHost.append(
                    KeptByHost(prefix: prefix, kept: host.prefix, interface: index)
                )
                isKept = isKept || host.prefix == prefix
                let route = Route(host.prefix, kind: .throw, table: plan.table)
                if !wanted.contains(route) { wanted.append(route) }
            }
            if !isKept {
                wanted.append(Route(prefix, table: plan.table, interface: interface))
            }
        }
        return wanted
    }

    private func wantedRules() -> [RoutingRule] {
        let (mark, mask) = plan.mark == 0 ? (nil, nil) : (plan.mark, plan.mask)
        func rule(_ family: IPFamily, _ offset: UInt32, _ table: UInt32) -> RoutingRule {
            RoutingRule(
                family,
                priority: plan.priority + offset,
                table: table,
                mark: mark,
                mask: mask,
                isInverted: mark != nil
            )
        }
        var rules: [RoutingRule] = []
        for family in IPFamily.allCases {
            let own = prefixes.filter { $0.family == family }
            if own.contains(where: { $0.bitCount > 0 }) {
                rules.append(rule(family, 0, plan.table))
            }
            guard own.contains(where: { $0.bitCount == 0 }) else { continue }
            rules.append(
                RoutingRule(
                    family,
                    priority: plan.priority + 1,
                    table: Route.mainTable,
                    suppressedPrefixLength: 0
                )
            )
            rules.append(rule(family, 2, plan.defaultTable))
        }
        return rules
    }
}
