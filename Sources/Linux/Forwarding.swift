internal import IP

/// The settings that the roles need of the kernel.
public enum Forwarding {
    enum Limits {
        /// Seconds that an ICMP exchange lives in the kernel; as in the gateway (RFC 5508). nft has
        /// no object for ICMP's time, so that it takes a setting.
        static var icmpSeconds: Int { 60 }
    }

    /// A setting that a gateway needs.
    public struct Need: Sendable, Equatable, CustomStringConvertible {
        /// As under /proc/sys, with dots or slashes.
        public let name: String
        /// What it must be, or must be at least.
        public let value: Int
        /// Whether more is fine.
        let isMinimum: Bool

        /// As an argument of `sysctl -w`.
        public var description: String { "\(name)=\(value)" }

        /// Whether it is met; one that this kernel does not have is.
        var isMet: Bool {
            guard let now = (try? Sysctl.read(name)).flatMap({ Int($0) }) else { return true }
            return isMinimum ? now >= value : now == value
        }
    }

    /// Lets the host forward packets of both families.
    ///
    /// A host that forwards IPv6 stops listening to router advertisements and would lose its own
    /// default route, so interfaces that have theirs from one are told to go on (accept_ra = 2).
    /// What concerns IPv6 is passed over where there is none.
    public static func enable(_ journal: inout SysctlJournal) throws {
        let links = try Netlink.links()
        for need in try needs(links) where !need.isMet {
            let isIPv4 = need.name == "net.ipv4.ip_forward"
            let isSwitch = isIPv4 || need.name == "net.ipv6.conf.all.forwarding"
            // The kernel sets each interface along with the switch.
            let others = ["default"] + links.map(\.name)
            let family = isIPv4 ? "ipv4" : "ipv6"
            var disturbed = isSwitch ? others.map { "net/\(family)/conf/\($0)/forwarding" } : []
            if isIPv4 { disturbed.append("net.ipv4.conf.all.accept_redirects") }
            try journal.set(need.name, String(need.value), disturbing: disturbed)
        }
    }

    /// Makes the kernel remember as many flows as the gateway, and ICMP as long; takes a table with
    /// translation, since the kernel has these settings only while it tracks connections.
    ///
    /// - Parameters:
    ///   - sessions: Flows of the gateway.
    ///   - journal: Notes what was before.
    /// - Returns: What this kernel does not let us set, as in a container.
    public static func track(sessions: Int, _ journal: inout SysctlJournal) -> [Need] {
        for need in tracking(sessions: sessions) where !need.isMet {
            try? journal.set(need.name, String(need.value))
        }
        return tracking(sessions: sessions).filter { !$0.isMet }
    }

    /// What a gateway needs and this host does not have.
    public static func missing(sessions: Int) throws -> [Need] {
        try (needs(Netlink.links()) + tracking(sessions: sessions)).filter { !$0.isMet }
    }

    /// Makes the reverse-path filter look at the mark of packets.
    public static func honourMarks(_ journal: inout SysctlJournal) throws(SystemError) {
        try journal.set("net.ipv4.conf.all.src_valid_mark", "1")
    }

    /// What forwarding takes, in the order in which it is set.
    private static func needs(_ links: [Link]) throws -> [Need] {
        var needs = [Need(name: "net.ipv4.ip_forward", value: 1, isMinimum: false)]
        let all = "net.ipv6.conf.all.forwarding"
        guard (try? Sysctl.read(all)) != nil else { return needs }
        let advertised = try Netlink.routes(table: Route.mainTable).filter { route in
            route.prefix.family == .ipv6 && route.prefix.bitCount == 0
                && route.origin == Route.advertisementOrigin
        }
        for link in links where advertised.contains(where: { $0.interface == link.index }) {
            let name = "net/ipv6/conf/\(link.name)/accept_ra"
            needs.append(Need(name: name, value: 2, isMinimum: false))
        }
        needs.append(Need(name: all, value: 1, isMinimum: false))
        return needs
    }

    private static func tracking(sessions: Int) -> [Need] {
        let family = "net.netfilter.nf_conntrack_"
        return [
            Need(name: family + "icmp_timeout", value: Limits.icmpSeconds, isMinimum: true),
            Need(name: family + "icmpv6_timeout", value: Limits.icmpSeconds, isMinimum: true),
            Need(name: family + "max", value: sessions, isMinimum: true),
        ]
    }
}
