/// A router between a local network and the internet: NAT for IPv4, a stateful firewall for IPv6.
public struct Router: Sendable {
    /// How it maps a local address and port to its own (RFC 4787).
    public enum Mapping: Sendable {
        /// The source port is kept where free: endpoint-independent enough for most.
        case preserving
        /// A new random port for each destination.
        case symmetric
    }

    /// The router itself.
    public let host: LabHost

    /// - Parameters:
    ///   - host: Has both interfaces already.
    ///   - wan: The interface on the internet.
    ///   - lan: The interface towards its clients.
    ///   - mapping: How it translates IPv4.
    /// - Throws: ``LabError`` when the rules are not taken.
    public init(_ host: LabHost, wan: String, lan: String, mapping: Mapping) throws {
        self.host = host
        try host.forwards()
        let options = mapping == .symmetric ? " random,fully-random" : ""
        try host.must(
            ["nft", "-f", "-"],
            input: """
                table inet router {
                    chain forward {
                        type filter hook forward priority filter; policy drop;
                        ct state established,related accept
                        iifname "\(lan)" accept
                    }
                    chain postrouting {
                        type nat hook postrouting priority srcnat;
                        meta nfproto ipv4 oifname "\(wan)" masquerade\(options)
                    }
                }
                """
        )
    }

    /// Forgets every mapping; with `renumbers` every new one gets another port.
    public func resetMappings(renumbers: Bool) throws {
        if renumbers {
            try host.must(
                ["nft", "-f", "-"],
                input: """
                    flush chain inet router postrouting
                    add rule inet router postrouting meta nfproto ipv4 oifname != "br0" \
                    masquerade random,fully-random
                    """
            )
        }
        try host.run("conntrack", "-F")
    }
}
