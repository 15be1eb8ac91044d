public import IP

/// Where an account's own addresses lie, in both families.
public struct AddressPlan: Hashable, Sendable, Codable {
    /// Tunnel addresses of clients and gateways.
    public var tunnel: [IPPrefix]
    /// Proxy addresses, with which the stub resolver answers for protected names.
    public var proxies: [IPPrefix]
    /// Sentinels: what a host is given as its nameservers; never handed out as proxies.
    public var sentinels: [IPPrefix]

    public init(tunnel: [IPPrefix], proxies: [IPPrefix], sentinels: [IPPrefix]) {
        (self.tunnel, self.proxies, self.sentinels) = (tunnel, proxies, sentinels)
    }

    /// The ranges of an account that chose none.
    public static let standard = AddressPlan(
        tunnel: ["100.64.0.0/11", "fd00:2021:1111::/107"].compactMap { IPPrefix($0) },
        proxies: ["100.96.0.0/11", "fd00:2021:1111:8000::/107"].compactMap { IPPrefix($0) },
        sentinels: ["100.100.111.0/24", "fd00:2021:1111:8000:100:100:111:0/120"]
            .compactMap { IPPrefix($0) }
    )

    /// All ranges, for telling whether an address is the account's own.
    public var all: [IPPrefix] { tunnel + proxies + sentinels }
}
