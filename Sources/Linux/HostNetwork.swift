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

    /// What the host has in `ranges` already: addresses of interfaces, and routes.
    public static func overlaps(
        with ranges: [IPPrefix],
        excluding interface: UInt32?
    ) throws(NetlinkError) -> [Overlap] {
        let names = try Netlink.links()
        func name(_ index: UInt32) -> String {
            names.first { $0.index == index }?.name ?? "interface \(index)"
        }
        var taken: [(IPPrefix, UInt32)] = []
        for entry in try Netlink.addresses() where entry.interface != interface {
            taken.append((IPPrefix(host: entry.address), entry.interface))
        }
        for route in try Netlink.routes(table: Route.mainTable) where route.prefix.bitCount > 0 {
            guard let index = route.interface, index != interface else { continue }
            taken.append((route.prefix, index))
        }
        var all: [Overlap] = []
        for range in ranges {
            for (prefix, index) in taken where range.overlaps(prefix) {
                let overlap = Overlap(range: range, taken: prefix, interface: name(index))
                if !all.contains(overlap) { all.append(overlap) }
            }
        }
        return all
    }

    private static func isReachable(_ address: IPAddress) -> Bool {
        if address.isIPv4 {
            return address.ipv4 >> 24 != 127 && address.ipv4 >> 16 != 0xa9fe && address.ipv4 != 0
        }
        return address.high >> 54 != 0xfe80 >> 6 && (address.high != 0 || address.low > 1)
    }
}
