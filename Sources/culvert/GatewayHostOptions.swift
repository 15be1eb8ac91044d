internal import ArgumentParser
internal import Daemon
internal import IP

/// What a gateway may change on its host.
struct GatewayHostOptions: ParsableArguments {
    @Flag(help: "Leave masquerading to you.")
    var noMasquerade = false
    @Flag(help: "Leave the kernel's settings (forwarding, conntrack) to you.")
    var noSysctls = false
    @Flag(help: "Leave other firewalls that drop forwarded packets to you.")
    var noForwardRules = false
    @Option(
        help: """
            The address that clients' packets leave with, one of this host's, or two of both \
            families: A,B (default: that of the interface which the route takes).
            """
    )
    var egressAddress: String?
    @Option(help: "How many flows the kernel must be able to remember (default: 262144).")
    var sessions: String?

    static let keys = [
        "no-masquerade", "no-sysctls", "no-forward-rules", "egress-address", "sessions",
    ]

    private static let sessionsDefault = 262_144
    private static let sessionsMax = 1 << 24

    func options(_ settings: Settings) throws -> GatewayHost.Options {
        let isRefused = { (key: String, flag: Bool) in
            flag || settings.value(key, flag: nil) == "true"
        }
        return GatewayHost.Options(
            masquerades: !isRefused("no-masquerade", noMasquerade),
            setsSysctls: !isRefused("no-sysctls", noSysctls),
            opensFirewalls: !isRefused("no-forward-rules", noForwardRules),
            egress: try settings.value(
                "egress-address",
                flag: egressAddress,
                expecting: "an address, or one of each family with a comma between",
                Self.addresses
            ) ?? [],
            sessions: try settings.value(
                "sessions",
                flag: sessions,
                expecting: "a number up to \(Self.sessionsMax)"
            ) { Int($0).flatMap { (1...Self.sessionsMax).contains($0) ? $0 : nil } }
                ?? Self.sessionsDefault
        )
    }

    private static func addresses(_ text: String) -> [IPAddress]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let addresses = parts.compactMap { part in
            IPAddress(String(part.filter { !$0.isWhitespace }))
        }
        let families = addresses.map(\.family)
        guard addresses.count == parts.count, (1...2).contains(parts.count),
            families.count == 1 || families[0] != families[1]
        else { return nil }
        return addresses
    }
}
