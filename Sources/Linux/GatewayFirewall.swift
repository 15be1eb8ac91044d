public import IP

/// The gateway's table of nftables: what comes out of the tunnel leaves with the gateway's own
/// address: that of the interface which the route takes, or one that never changes.
///
/// Flows of the tunnel have a conntrack zone of their own in their original direction, and live no
/// shorter than the gateway's own mappings (RFC 5382, 4787). For ICMP nft has no such object: see
/// ``Forwarding``. Two counters tell whether packets get through everybody's forward hook.
public struct GatewayFirewall: Sendable, Equatable {
    enum Limits {
        /// Number of the conntrack zone of flows that begin in the first gateway's tunnel.
        static var zone: Int { 17_238 }
        /// Seconds that a TCP connection lives which was answered, also when one side is done.
        static var tcpEstablished: Int { 7_440 }
        /// Seconds that one lives which is being opened.
        static var tcpOpening: Int { 240 }
        /// Seconds that UDP flows live. The kernel takes a flow for answered only when it is older
        /// than two seconds, so both are the time of an answered one.
        static var udpUnreplied: Int { 300 }
        static var udpReplied: Int { 300 }
        /// Before and behind everybody else's chains.
        static var first: Int { -1_000_000_000 }
        static var last: Int { 1_000_000_000 }
    }

    /// Packets of the tunnel at both ends of the forward hook.
    public struct Passage: Sendable, Equatable {
        /// Those that came.
        public var entered: UInt64
        /// Those that nobody has dropped.
        public var passed: UInt64
    }

    /// Name of the table, in family inet.
    public let table: String
    let interface: String
    private let ranges: [IPPrefix]
    private let egress: [IPAddress]
    let zone: Int

    /// - Parameters:
    ///   - tunnelInterface: Name of the tunnel device.
    ///   - ranges: The account's tunnel addresses.
    ///   - egress: The address to leave with, for each family that has a fixed one; a family
    ///     without leaves with the address of the interface that the route takes.
    ///   - number: Tells gateways in one network namespace apart.
    public init(
        tunnelInterface: String,
        ranges: [IPPrefix],
        egress: [IPAddress] = [],
        number: Int = 0
    ) {
        table = Self.table(number)
        zone = Limits.zone + number
        interface = tunnelInterface
        (self.ranges, self.egress) = (ranges, egress)
    }

    private static func table(_ number: Int) -> String {
        number == 0 ? "culvert" : "culvert-\(number)"
    }

    /// Sets the table, in place of one with this name.
    public func install() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table) + script)
    }

    /// Removes the table; fine when it is not there.
    public func remove() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table))
    }

    /// Removes the table of a gateway that was killed, if there is one.
    static func remove(number: Int) throws(NftablesError) {
        guard try Nftables.list(["table", "inet", table(number)]) != nil else { return }
        try Nftables.load(Nftables.removal(of: table(number)))
    }

    /// The table as nft lists it; nil when it is not there.
    func listing() throws(NftablesError) -> String? {
        try Nftables.list(["table", "inet", table])
    }

    /// What the counters say; nil when the table is not there.
    public func passage() throws(NftablesError) -> Passage? {
        guard let path = Subprocess.find("nft") else { throw .missing }
        let words = ["list", "counters", "table", "inet", table]
        do throws(SystemError) {
            let outcome = try Subprocess.run(path, words, timeout: Nftables.Limits.time)
            return outcome.status == 0 ? Self.passage(in: outcome.output) : nil
        } catch {
            throw .system(error)
        }
    }

    /// Reads `counter entered { packets 3 bytes 252 }` and its like.
    static func passage(in listing: String) -> Passage? {
        let words = listing.split(whereSeparator: \.isWhitespace)
        func count(_ name: String) -> UInt64? {
            guard let at = words.firstIndex(of: Substring(name)), at + 3 < words.count,
                words[at + 2] == "packets"
            else { return nil }
            return UInt64(words[at + 3])
        }
        guard let entered = count("entered"), let passed = count("passed") else { return nil }
        return Passage(entered: entered, passed: passed)
    }

    /// The table as nft reads it.
    var script: String {
        let tcp = """
            syn_sent : \(Limits.tcpOpening), syn_recv : \(Limits.tcpOpening), \
            established : \(Limits.tcpEstablished), fin_wait : \(Limits.tcpEstablished), \
            close_wait : \(Limits.tcpEstablished), unack : \(Limits.tcpEstablished), \
            retrans : \(Limits.tcpEstablished)
            """
        let udp = "unreplied : \(Limits.udpUnreplied), replied : \(Limits.udpReplied)"
        return """
            table inet \(table) {
                \(timeout("tcp4", "tcp", "ip", tcp))
                \(timeout("tcp6", "tcp", "ip6", tcp))
                \(timeout("udp4", "udp", "ip", udp))
                \(timeout("udp6", "udp", "ip6", udp))
                counter entered { }
                counter passed { }
                chain zones {
                    type filter hook prerouting priority -300; policy accept;
                    iifname "\(interface)" ct original zone set \(zone)
                }
                chain timeouts {
                    type filter hook prerouting priority -150; policy accept;
                    iifname != "\(interface)" return
                    meta nfproto ipv4 meta l4proto tcp ct timeout set "tcp4"
                    meta nfproto ipv4 meta l4proto udp ct timeout set "udp4"
                    meta nfproto ipv6 meta l4proto tcp ct timeout set "tcp6"
                    meta nfproto ipv6 meta l4proto udp ct timeout set "udp6"
                }
                chain entering {
                    type filter hook forward priority \(Limits.first); policy accept;
                    iifname "\(interface)" counter name "entered"
                }
                chain passing {
                    type filter hook forward priority \(Limits.last); policy accept;
                    iifname "\(interface)" counter name "passed"
                }
                chain egress {
                    type nat hook postrouting priority 100; policy accept;
                    \(translations)
                }
            }

            """
    }

    private func timeout(_ name: String, _ transport: String, _ network: String, _ policy: String)
        -> String
    {
        "ct timeout \(name) { protocol \(transport); l3proto \(network); policy = { \(policy) }; }"
    }

    private var translations: String {
        ranges.map { range in
            let family = range.family == .ipv4 ? "ip" : "ip6"
            let fixed = egress.first { $0.family == range.family }
            let verdict = fixed.map { "snat \(family) to \($0)" } ?? "masquerade"
            return "oifname != \"\(interface)\" \(family) saddr \(range) \(verdict)"
        }
        .joined(separator: "\n        ")
    }
}
