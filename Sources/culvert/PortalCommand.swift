internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation
internal import IP
internal import Logging
internal import Portal

/// `culvert portal`.
struct PortalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "portal",
        abstract: "Run the portal.",
        discussion: """
            EXAMPLE
              culvert portal --listen [::]:8443 --url https://portal.example.com:8443
            """
    )

    @OptionGroup var role: RoleOptions
    @Option(help: "Where to listen, several with commas (default: [::]:8443).")
    var listen: String?
    @Option(help: "How everybody reaches it: https://portal.example.com:8443.")
    var url: String?
    @Option(help: "A folder for the database (default: the state folder).")
    var database: String?
    @Option(help: "A certificate chain as PEM (default: the portal's own authority makes one).")
    var certificate: String?
    @Option(help: "The certificate's private key as PEM.")
    var key: String?
    @Option(help: "Networks of reverse proxies whose X-Forwarded-For is believed, with commas.")
    var behindProxy: String?

    func run() async throws {
        let settings = try role.settings(
            role: "portal",
            keys: ["listen", "url", "database", "certificate", "key", "behind-proxy"]
        )
        let parsed = try settings.value(
            "url",
            flag: url,
            expecting: "a URL like https://portal.example.com:8443",
            { PortalURL($0) }
        )
        guard let parsed else {
            throw Sentence(
                "A portal must know how it is reached: give --url https://portal.example.com:8443.",
                exit: .usedWrongly
            )
        }
        var configuration = PortalConfiguration(
            url: parsed,
            stateFolder: role.statePath(role: "portal", settings)
        )
        if let listen = settings.value("listen", flag: listen) {
            configuration.listen = Self.words(listen)
        }
        configuration.database = settings.value("database", flag: database)
        configuration.certificate = settings.value("certificate", flag: certificate)
        configuration.key = settings.value("key", flag: key)
        configuration.socket = role.socketPath(role: "portal", settings)
        configuration.behindProxy =
            try settings.value(
                "behind-proxy",
                flag: behindProxy,
                expecting: "networks in CIDR notation"
            ) { text in
                let prefixes = Self.words(text).map { IPPrefix($0) }
                return prefixes.contains(nil) ? nil : prefixes.compactMap { $0 }
            } ?? []
        // For the portal's part of it: the messages of a first packet.
        try Rehearsal.run()
        try await serve(configuration, try role.logger(role: "portal", settings))
    }

    private func serve(_ configuration: PortalConfiguration, _ logger: Logger) async throws {
        let server = PortalServer(configuration: configuration, logger: logger) { ready in
            let ports = ready.ports.map(String.init).joined(separator: ", ")
            logger.info("serving", metadata: ["url": "\(configuration.url)", "ports": "\(ports)"])
            guard let link = ready.firstLink else { return }
            let text = "Set the first administrator's password, once, at:\n  \(link)\n"
            FileHandle.standardOutput.write(Data(text.utf8))
        }
        do {
            try await RunningService.run(server, logger: logger)
        } catch let error as PortalStartError {
            throw Sentence(error.sentence, exit: error.isWrongUse ? .usedWrongly : .failed)
        }
    }

    private static func words(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

extension PortalStartError {
    /// Whether what was typed can never work, here or elsewhere.
    fileprivate var isWrongUse: Bool {
        switch self {
        case .badListenAddress, .onlyOneOfCertificateAndKey, .databaseNotSupported: true
        default: false
        }
    }
}
