public import IP

/// The gateway's table of nftables: what comes out of the tunnel leaves with the gateway's own
/// address, whichever interface the route takes.
///
/// Flows of the tunnel have a conntrack zone of their own in their original direction, and live no
/// shorter than the gateway's own mappings: TCP 2 h 4 min (RFC 5382), UDP 5 min once answered and
/// 2 min else (RFC 4787). For ICMP nft has no such object: see ``Forwarding``.
public struct GatewayFirewall: Sendable {
    enum Limits {
        /// Number of the conntrack zone of flows that begin in the tunnel.
        static var zone: Int { 17_238 }
        /// Seconds that flows live in the kernel, no shorter than in the gateway.
        static var tcpEstablished: Int { 7_440 }
        static var udpUnreplied: Int { 120 }
        static var udpReplied: Int { 300 }
    }

    /// Name of the table, in family inet.
    public let table: String
    private let interface: String
    private let ranges: [IPPrefix]

    /// - Parameters:
    ///   - tunnelInterface: Name of the tunnel device.
    ///   - ranges: The account's tunnel addresses.
    ///   - suffix: Tells two gateways in one network namespace apart.
    public init(tunnelInterface: String, ranges: [IPPrefix], suffix: String = "") {
        table = "culvert" + suffix
        interface = tunnelInterface
        self.ranges = ranges
    }

    /// Sets the table, in place of one with this name.
    public func install() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table) + script)
    }

    /// Removes the table; fine when it is not there.
    public func remove() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table))
    }

    private var script: String {
        let tcp = "established : \(Limits.tcpEstablished)"
        let udp = "unreplied : \(Limits.udpUnreplied), replied : \(Limits.udpReplied)"
        return """
            table inet \(table) {
                \(timeout("tcp4", "tcp", "ip", tcp))
                \(timeout("tcp6", "tcp", "ip6", tcp))
                \(timeout("udp4", "udp", "ip", udp))
                \(timeout("udp6", "udp", "ip6", udp))
                chain zones {
                    type filter hook prerouting priority -300; policy accept;
                    iifname "\(interface)" ct original zone set \(Limits.zone)
                }
                chain timeouts {
                    type filter hook prerouting priority -150; policy accept;
                    iifname != "\(interface)" return
                    meta nfproto ipv4 meta l4proto tcp ct timeout set "tcp4"
                    meta nfproto ipv4 meta l4proto udp ct timeout set "udp4"
                    meta nfproto ipv6 meta l4proto tcp ct timeout set "tcp6"
                    meta nfproto ipv6 meta l4proto udp ct timeout set "udp6"
                }
                chain egress {
                    type nat hook postrouting priority 100; policy accept;
                    \(masquerades)
                }
            }

            """
    }

    private func timeout(_ name: String, _ transport: String, _ network: String, _ policy: String)
        -> String
    {
        "ct timeout \(name) { protocol \(transport); l3proto \(network); policy = { \(policy) }; }"
    }

    private var masquerades: String {
        ranges.map { range in
            let family = range.family == .ipv4 ? "ip" : "ip6"
            return "oifname != \"\(interface)\" \(family) saddr \(range) masquerade"
        }
        .joined(separator: "\n        ")
    }
}
