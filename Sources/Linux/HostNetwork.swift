public import IP

/// What the host's own network looks like, without us.
public enum HostNetwork {
    /// Something of the host that lies in a range of ours.
    public struct Overlap: Sendable, Equatable {
        /// Our range.
        public let range: IPPrefix
        /// The host's network or address.
        public let taken: IPPrefix
        /// The interface that has it.
        public let interface: String

        /// Whether it lies inside our range, and so stays with the host; else our range, which is
        /// narrower, is taken from it.
        public var isInside: Bool { taken.bitCount >= range.bitCount }
    }

    enum Limits {
        /// Overlaps that are told.
        static var overlaps: Int { 64 }
        /// Shorter prefixes are everything, in halves or so.
        static var shortestPrefix: Int { 7 }
    }

    /// Addresses at which a peer may reach this host: every usable one of every running interface.
    ///
    /// No loopback, no link-local, none that is unconfirmed or outdated. A temporary address comes
    /// before the permanent ones of its interface, as for any outgoing connection.
    public static func candidates(
        excluding interface: UInt32?
    ) throws(NetlinkError) -> [IPAddress] {
        let links = try Netlink.links().filter {
            $0.isRunning && !$0.isLoopback && $0.index != interface
        }
        let addresses = try Netlink.addresses()
        var all: [IPAddress] = []
        for link in links {
            let usable = addresses.filter { entry in
                entry.interface == link.index && !entry.isUnusable && isReachable(entry.address)
            }
            all += usable.filter(\.isTemporary).map(\.address)
            all += usable.filter { !$0.isTemporary }.map(\.address)
        }
        return all
    }

    /// What the host has already where our `ranges` lie: addresses of interfaces and routes, also
    /// of other programs' tables; the narrower ones of two that lie in each other are left out.
    ///
    /// - Parameters:
    ///   - ranges: Ours.
    ///   - interface: Our tunnel device.
    ///   - plan: Which tables are ours.
    /// - Returns: At most 64, by range.
    /// - Throws: ``NetlinkError`` when the kernel does not say.
    public static func overlaps(
        with ranges: [IPPrefix],
        excluding interface: UInt32?,
        plan: RoutingPlan
    ) throws(NetlinkError) -> [Overlap] {
        let names = try Netlink.links()
        var taken: [(prefix: IPPrefix, interface: UInt32)] = []
        for route in try hostRoutes(excluding: interface, plan: plan) {
            guard let index = route.interface else { continue }
            taken.append((route.prefix, index))
        }
        for entry in try Netlink.addresses() where entry.interface != interface {
            taken.append((IPPrefix(host: entry.address), entry.interface))
        }
        // The wider ones first: they stand for the narrower ones.
        taken.sort { $0.prefix.bitCount < $1.prefix.bitCount }
        var all: [Overlap] = []
        for range in ranges {
            var seen: [IPPrefix] = []
            for (prefix, index) in taken where range.overlaps(prefix) {
                let covers = prefix.bitCount < range.bitCount
                guard !seen.contains(where: { $0.contains(prefix.address) }) else { continue }
                if !covers { seen.append(prefix) }
                let name = names.first { $0.index == index }?.name ?? "interface \(index)"
                let overlap = Overlap(range: range, taken: prefix, interface: name)
                if all.count < Limits.overlaps, !all.contains(overlap) { all.append(overlap) }
            }
        }
        return all
    }

    /// Routes of the host and of other programs; none that is for everything or for halves of it,
    /// as tunnels have them that take all traffic.
    static func hostRoutes(
        excluding interface: UInt32?,
        plan: RoutingPlan
    ) throws(NetlinkError) -> [Route] {
        let others = [plan.table, plan.defaultTable, Route.localTable]
        return try Netlink.routes().filter { route in
            route.kind == .unicast && route.isAlive && !others.contains(route.table)
                && route.interface != interface && route.prefix.bitCount >= Limits.shortestPrefix
                && !route.prefix.address.isMulticast && !route.prefix.address.isLinkLocal
        }
    }

    private static func isReachable(_ address: IPAddress) -> Bool {
        if address.isIPv4 {
            return address.ipv4 >> 24 != 127 && address.ipv4 >> 16 != 0xa9fe && address.ipv4 != 0
        }
        return address.high >> 54 != 0xfe80 >> 6 && (address.high != 0 || address.low > 1)
    }
}
