internal import CLinux
internal import Glibc
internal import IP

/// Settings of the kernel under /proc/sys, in the network namespace of the calling thread.
public enum Sysctl {
    /// The value of `name` (dots or slashes), without the line's end.
    public static func read(_ name: String) throws(SystemError) -> String {
        let bytes = try TextFile.read(path(name))
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// Sets `name` to `value`.
    public static func write(_ name: String, _ value: String) throws(SystemError) {
        let path = path(name)
        try FileDescriptor(open: path, flags: O_WRONLY).writeAll(Array(value.utf8))
    }

    /// Names of interfaces may have dots: those are written with slashes for separators.
    private static func path(_ name: String) -> String {
        let separator: Character = name.contains("/") ? "/" : "."
        return "/proc/sys/" + name.split(separator: separator).joined(separator: "/")
    }
}

/// Changes of settings, each with the value that it had before.
public struct SysctlJournal: Sendable {
    private struct Entry {
        let name: String
        let before: String
        let value: String
    }

    private var entries: [Entry] = []

    public init() {}

    /// Sets `name`, and remembers what it was; a value that it has already is no change.
    public mutating func set(_ name: String, _ value: String) throws(SystemError) {
        let before = try Sysctl.read(name)
        guard before != value else { return }
        try Sysctl.write(name, value)
        if !entries.contains(where: { $0.name == name }) {
            entries.append(Entry(name: name, before: before, value: value))
        }
    }

    /// Raises a number to at least `minimum`.
    public mutating func raise(_ name: String, to minimum: Int) throws(SystemError) {
        guard let value = Int(try Sysctl.read(name)), value < minimum else { return }
        try set(name, String(minimum))
    }

    /// Puts back what was changed, last first, where nobody has changed it since.
    public mutating func undo() {
        for entry in entries.reversed() {
            guard (try? Sysctl.read(entry.name)) == entry.value else { continue }
            try? Sysctl.write(entry.name, entry.before)
        }
        entries = []
    }
}

/// The settings that the roles need.
public enum Forwarding {
    enum Limits {
        /// Seconds that an ICMP exchange lives in the kernel; as in the gateway (RFC 5508).
        static var icmpSeconds: Int { 60 }
    }

    /// Lets the host forward packets of both families.
    ///
    /// A host that forwards IPv6 stops listening to router advertisements and would lose its own
    /// default route, so interfaces that have theirs from one are told to go on (accept_ra = 2).
    /// What concerns IPv6 is passed over where there is none.
    public static func enable(_ journal: inout SysctlJournal) throws {
        try journal.set("net.ipv4.ip_forward", "1")
        try? journal.raise("net.netfilter.nf_conntrack_icmp_timeout", to: Limits.icmpSeconds)
        try? journal.raise("net.netfilter.nf_conntrack_icmpv6_timeout", to: Limits.icmpSeconds)
        guard (try? Sysctl.read("net.ipv6.conf.all.forwarding")) != nil else { return }
        let advertised = try Netlink.routes(table: Route.mainTable).filter { route in
            route.prefix.family == .ipv6 && route.prefix.bitCount == 0
                && route.origin == Route.advertisementOrigin
        }
        let links = try Netlink.links()
        for link in links where advertised.contains(where: { $0.interface == link.index }) {
            try journal.set("net/ipv6/conf/\(link.name)/accept_ra", "2")
        }
        try journal.set("net.ipv6.conf.all.forwarding", "1")
    }

    /// Makes the reverse-path filter look at the mark of packets.
    public static func honourMarks(_ journal: inout SysctlJournal) throws(SystemError) {
        try journal.set("net.ipv4.conf.all.src_valid_mark", "1")
    }
}
