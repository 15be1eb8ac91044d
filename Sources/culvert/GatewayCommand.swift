internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation

/// `culvert gateway`.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Run a gateway of a site.",
        discussion: """
            EXAMPLE
              culvert token --site headquarters > gateway.token    (on the portal)
              culvert gateway --token-file gateway.token
            """
    )

    @OptionGroup var role: RoleOptions
    @Option(help: "The file with the token from `culvert token --site`.")
    var tokenFile: String?
    @Option(help: "The gateway's name (default: the host's).")
    var name: String?
    @Option(help: "Where it stands, in words of your own; relays of the same region come first.")
    var region: String?
    @Option(help: "The UDP port of its tunnels (default: 51830).")
    var port: String?
    @Option(help: "The TCP port of metrics and health on loopback; 0 for none (default: 9464).")
    var metricsPort: String?
    @Flag(help: "Leave masquerading to you.")
    var noMasquerade = false
    @Flag(help: "Leave the kernel's forwarding settings to you.")
    var noSysctls = false

    func run() async throws {
        let settings = try role.settings(
            role: "gateway",
            keys: [
                "token-file", "name", "region", "port", "metrics-port", "no-masquerade",
                "no-sysctls",
            ]
        )
        let logger = try role.logger(role: "gateway", settings)
        let number: (String) -> UInt16? = { UInt16($0) }
        let options = GatewayDaemon.Options(
            token: try TokenFile.read(
                settings.value("token-file", flag: tokenFile),
                kind: .gateway,
                role: "gateway"
            ),
            name: settings.value("name", flag: name) ?? ProcessInfo.processInfo.hostName,
            port: try settings.value("port", flag: port, expecting: "a port", number) ?? 51830,
            metricsPort: try settings.value(
                "metrics-port",
                flag: metricsPort,
                expecting: "a port",
                number
            ) ?? 9464,
            region: settings.value("region", flag: region),
            masquerades: !noMasquerade && settings.value("no-masquerade", flag: nil) != "true",
            setsSysctls: !noSysctls && settings.value("no-sysctls", flag: nil) != "true",
            statePath: role.statePath(role: "gateway", settings),
            socketPath: role.socketPath(role: "gateway", settings)
        )
        try await GatewayDaemon(options: options, logger: logger).run()
    }
}
