internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation
internal import IP

/// `culvert relay`.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Run a relay for those who cannot reach each other directly.",
        discussion: """
            EXAMPLE
              culvert token --relay frankfurt > relay.token    (on the portal)
              culvert relay --token-file relay.token --region eu
              culvert relay --secret-file secret.txt           (without a portal)
            """
    )

    @OptionGroup var role: RoleOptions
    @Option(help: "The file with the token from `culvert token --relay`.")
    var tokenFile: String?
    @Option(help: "Without a portal: the file with the secret of TURN's passwords, one a line.")
    var secretFile: String?
    @Option(help: "Without a portal: the realm of the passwords (default: culvert).")
    var realm: String?
    @Option(help: "The relay's name (default: the host's).")
    var name: String?
    @Option(help: "Where it stands, in your own words.")
    var region: String?
    @Option(help: "Where it listens for UDP and TCP, [ADDRESS]:PORT; repeatable (default: :3478).")
    var listen: [String] = []
    @Option(help: "Where it listens for TLS, repeatable, or off (default: :443).")
    var tlsListen: [String] = []
    @Option(help: "The certificate for TLS, as PEM (default: one made at start).")
    var certificate: String?
    @Option(help: "The certificate's key, as PEM.")
    var key: String?
    @Option(help: "The name that the certificate speaks for.")
    var tlsName: String?
    @Option(help: "The address that it lends, one a family; repeatable (default: the host's).")
    var publicAddress: [String] = []
    @Option(help: "The UDP ports that it lends, FIRST-LAST (default: 49152-65535).")
    var ports: String?
    @Option(help: "A private network that it may relay to, as CIDR; repeatable.")
    var allow: [String] = []
    @Option(help: "How many relayed addresses one client or gateway may have (default: 16).")
    var quota: String?
    @Option(help: "The TCP port of metrics and health on loopback; 0 for none (default: 9465).")
    var metricsPort: String?

    private static let keys = [
        "token-file", "secret-file", "realm", "name", "region", "listen", "tls-listen",
        "certificate", "key", "tls-name", "public-address", "ports", "allow", "quota",
        "metrics-port",
    ]

    func run() async throws {
        let settings = try role.settings(role: "relay", keys: Self.keys)
        let logger = try role.logger(role: "relay", settings)
        let options = RelayDaemon.Options(
            authority: try authority(settings),
            name: settings.value("name", flag: name) ?? ProcessInfo.processInfo.hostName,
            region: settings.value("region", flag: region),
            listen: try listening("listen", listen, settings) ?? .init(addresses: [], port: 3_478),
            tls: try transportSecurity(settings),
            publicAddresses: try list(
                "public-address",
                publicAddress,
                settings,
                "an address"
            ) { IPAddress($0) },
            ports: try settings.value(
                "ports",
                flag: ports,
                expecting: "a range of ports such as 49152-65535",
                Self.range
            ) ?? 49_152...65_535,
            allowed: try list("allow", allow, settings, "a network as CIDR") { IPPrefix($0) },
            allocationQuota: try settings.value(
                "quota",
                flag: quota,
                expecting: "a number of addresses"
            ) { UInt16($0).flatMap { $0 > 0 ? Int($0) : nil } } ?? 16,
            metricsPort: try settings.value(
                "metrics-port",
                flag: metricsPort,
                expecting: "a port"
            ) { UInt16($0) } ?? 9_465,
            statePath: role.statePath(role: "relay", settings),
            socketPath: role.socketPath(role: "relay", settings)
        )
        try await RelayDaemon(options: options, logger: logger).run()
    }

    /// Who deals the passwords: a portal, or a file.
    private func authority(_ settings: Settings) throws -> RelayDaemon.Authority {
        let tokenPath = settings.value("token-file", flag: tokenFile)
        guard let path = settings.value("secret-file", flag: secretFile) else {
            return .portal(try TokenFile.read(tokenPath, kind: .relay, role: "relay"))
        }
        guard tokenPath == nil else {
            throw Sentence(
                "A relay gets its secrets from a portal (--token-file) or from a file "
                    + "(--secret-file), not from both; leave one out.",
                exit: .usedWrongly
            )
        }
        let data = FileManager.default.contents(atPath: path)
        let secrets = String(decoding: data ?? Data(), as: UTF8.self)
            .split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
        guard !secrets.isEmpty else {
            throw Sentence(
                "The secret file \(path) \(data == nil ? "cannot be read" : "is empty"); write a "
                    + "long random line to it, the same that your TURN clients' passwords are made "
                    + "with.",
                exit: .usedWrongly
            )
        }
        return .file(
            secrets: secrets,
            realm: settings.value("realm", flag: realm) ?? "culvert"
        )
    }

    /// Where and with what certificate TLS is spoken; nil when it is switched off.
    private func transportSecurity(
        _ settings: Settings
    ) throws -> RelayDaemon.TransportSecurity? {
        guard settings.value("tls-listen", flag: tlsListen.first) != "off" else { return nil }
        let files = (
            settings.value("certificate", flag: certificate), settings.value("key", flag: key)
        )
        let made: StreamCertificate
        switch files {
        case (let certificate?, let key?):
            made = try StreamCertificate(certificateFile: certificate, keyFile: key)
        case (nil, nil): made = try StreamCertificate()
        default:
            throw Sentence(
                "A certificate needs its key: give both --certificate and --key, or none.",
                exit: .usedWrongly
            )
        }
        return RelayDaemon.TransportSecurity(
            listen: try listening("tls-listen", tlsListen, settings)
                ?? .init(addresses: [], port: 443),
            certificate: made,
            name: settings.value("tls-name", flag: tlsName)
        )
    }

    /// A setting of several values: the flag again and again, else one text with commas.
    private func list<Value>(
        _ key: String,
        _ flags: [String],
        _ settings: Settings,
        _ what: String,
        _ parse: (String) -> Value?
    ) throws -> [Value] {
        let text = flags.isEmpty ? nil : flags.joined(separator: ",")
        return try settings.value(key, flag: text, expecting: what) { text in
            let values = text.split(separator: ",").map {
                parse($0.trimmingCharacters(in: .whitespaces))
            }
            return values.contains { $0 == nil } ? nil : values.compactMap { $0 }
        } ?? []
    }

    private func listening(
        _ key: String,
        _ flags: [String],
        _ settings: Settings
    ) throws -> RelayDaemon.Listening? {
        let what = "[ADDRESS]:PORT, with one port for all addresses"
        let text = flags.isEmpty ? nil : flags.joined(separator: ",")
        return try settings.value(key, flag: text, expecting: what, RelayDaemon.Listening.init)
    }

    private static func range(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], 1_024 <= first,
            first <= last
        else { return nil }
        return first...last
    }
}
