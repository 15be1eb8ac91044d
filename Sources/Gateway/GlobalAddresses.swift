internal import IP

/// Which addresses the internet resource may reach: those that mean the same host everywhere.
enum GlobalAddresses {
    /// Private, shared, loopback, link-local, multicast, reserved and unique local networks
    /// (RFC 6890), each only reached through a resource that names it.
    static let refused: [IPPrefix] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4",
        "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "100::/64", "fc00::/7", "fe80::/10", "fec0::/10",
        "ff00::/8",
    ].compactMap { IPPrefix($0) }

    /// RFC 6052: an IPv4 address behind the site's own translator.
    private static let translated = IPPrefix("64:ff9b::/96")

    /// Whether the internet resource covers `address`.
    static func contains(_ address: IPAddress) -> Bool {
        if translated?.contains(address) == true {
            return contains(IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low)))
        }
        return !refused.contains { $0.contains(address) }
    }
}
