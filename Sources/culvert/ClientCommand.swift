internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation
internal import Linux

/// `culvert client`.
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Run the client daemon.",
        discussion: """
            EXAMPLE
              culvert token --client ada@example.com > client.token    (on the portal)
              culvert client --token-file client.token
              culvert status --wait 30s
            """
    )

    @OptionGroup var role: RoleOptions
    @Option(help: "The file with the token from `culvert token --client`.")
    var tokenFile: String?
    @Option(help: "The device's name (default: the host's).")
    var name: String?
    @Option(help: "Where it stands, in words of your own; relays of the same region come first.")
    var region: String?
    @Option(
        help: """
            How the host learns of our resolver: resolved, resolv.conf or off (default: as its \
            programs ask now).
            """
    )
    var dns: String?

    func run() async throws {
        let settings = try role.settings(
            role: "client",
            keys: ["token-file", "name", "region", "dns"]
        )
        let logger = try role.logger(role: "client", settings)
        let options = ClientOptions(
            token: try TokenFile.read(
                settings.value("token-file", flag: tokenFile),
                kind: .client,
                role: "client"
            ),
            name: settings.value("name", flag: name) ?? ProcessInfo.processInfo.hostName,
            region: settings.value("region", flag: region),
            resolverMode: try settings.value(
                "dns",
                flag: dns,
                expecting: "resolved, resolv.conf or off",
                HostResolver.Mode.init(rawValue:)
            ) ?? .automatic,
            statePath: role.statePath(role: "client", settings),
            socketPath: role.socketPath(role: "client", settings)
        )
        try await ClientDaemon(options: options, logger: logger).run()
    }
}

/// What the command line decided for a client.
struct ClientOptions: Sendable {
    let token: Token
    let name: String
    let region: String?
    /// How the host learns of the client's resolver.
    let resolverMode: HostResolver.Mode
    let statePath: String
    let socketPath: String
}
