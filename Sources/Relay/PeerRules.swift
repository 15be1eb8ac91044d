internal import IP

/// Whom the relay may send to: nobody shall reach through it what he cannot reach himself.
///
/// The most specific network decides, so that allowing a private network does not open the
/// metadata service inside it; of equal ones what the configuration allows.
struct PeerRules: Sendable {
    private var table = PrefixTable<Bool>()

    /// No hosts (RFC 6890), those of one link or of the protocols themselves, and the services that
    /// a cloud's machine asks about itself, whose addresses are partly public.
    private static let special = [
        "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/96", "ff00::/8",
        "169.254.0.0/16", "192.0.0.0/24", "fe80::/10", "fec0::/10", "64:ff9b:1::/48", "100::/64",
        "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128",
        "fd20:ce::254/128",
    ]
    /// Private (RFC 1918), shared (RFC 6598), benchmarks (RFC 2544), unique local (RFC 4193).
    private static let privateUse = [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15",
        "fc00::/7",
    ]
    private static let loopback = ["127.0.0.0/8", "::1/128"]

    /// Private networks are permitted to a relay whose own public address is in one, loopback to
    /// one of loopback. The relay's own addresses are refused, unless allowed by name.
    init(_ configuration: Relay.Configuration) {
        let lent = [configuration.ipv4, configuration.ipv6].compactMap { $0 }
        let own = lent.map(\.publicAddress)
        func isIn(_ networks: [String]) -> Bool {
            Self.prefixes(networks).contains { network in own.contains { network.contains($0) } }
        }
        let isLoopback = isIn(Self.loopback)
        let isPrivate = isLoopback || isIn(Self.privateUse)
        set(["0.0.0.0/0", "::/0"], true)
        set(Self.loopback, isLoopback)
        set(Self.privateUse, isPrivate)
        set(Self.special, false)
        for address in own + lent.compactMap(\.localAddress) {
            table[IPPrefix(host: address)] = false
        }
        for prefix in configuration.allowedPeers { table[prefix] = true }
    }

    /// Whether a peer may have this address.
    func permits(_ address: IPAddress) -> Bool {
        guard table.value(for: address) == true else { return false }
        return Self.embedded(in: address).map { permits($0) } ?? true
    }

    private mutating func set(_ networks: [String], _ value: Bool) {
        for prefix in Self.prefixes(networks) { table[prefix] = value }
    }

    private static func prefixes(_ networks: [String]) -> [IPPrefix] {
        networks.compactMap { IPPrefix($0) }
    }

    /// The IPv4 host that a translator or a tunnel makes of an IPv6 address: RFC 6052, RFC 3056.
    private static func embedded(in address: IPAddress) -> IPAddress? {
        if address.high == 0x0064_ff9b_0000_0000, address.low >> 32 == 0 {
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low))
        }
        if address.high >> 48 == 0x2002 {
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.high >> 16))
        }
        return nil
    }
}
