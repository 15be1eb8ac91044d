internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation
internal import Logging

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
    @Option(help: "Write a line for each flow that ended to a file, the “journal” or the “portal”.")
    var flowLog: String?
    @OptionGroup var host: GatewayHostOptions
    @Flag(help: "Take over from the gateway that runs with the same state folder.")
    var takeover = false
    @Flag(help: "Remove what a gateway that was killed has left on this host, and end.")
    var restore = false

    func run() async throws {
        if restore {
            let logger = Logger(label: "gateway") {
                StructuredLog(label: $0, format: .text, level: .warning)
            }
            return GatewayHost.restoreAll(logger)
        }
        let settings = try role.settings(
            role: "gateway",
            keys: [
                "token-file", "name", "region", "port", "metrics-port", "flow-log",
            ] + GatewayHostOptions.keys
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
            host: try host.options(settings),
            flowLog: try settings.value("flow-log", flag: flowLog)
                .map { try FlowLog($0, format: role.format(settings)) },
            statePath: role.statePath(role: "gateway", settings),
            socketPath: role.socketPath(role: "gateway", settings),
            takesOver: takeover
        )
        try await GatewayDaemon(options: options, logger: logger).run()
    }
}
