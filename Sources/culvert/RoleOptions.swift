internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation
internal import Logging

/// What every role takes.
struct RoleOptions: ParsableArguments {
    @Option(help: "The folder for what outlives the process (default: /var/lib/culvert/<role>).")
    var state: String?
    @Option(help: "Where commands of the same machine are answered (default: culvert.sock in it).")
    var socket: String?
    @Option(help: "A settings file (default: /etc/culvert/<role>.yaml).")
    var config: String?
    @Option(help: "trace, debug, info, notice, warning, error (default: info).")
    var logLevel: String?
    @Option(help: "text or json (default: text).")
    var logFormat: String?

    static let keys = ["state", "socket", "log-level", "log-format"]

    /// The role's settings: flags over environment over file.
    func settings(role: String, keys: [String]) throws -> Settings {
        try Settings(role: role, keys: Self.keys + keys, path: config)
    }

    /// The state folder's path.
    func statePath(role: String, _ settings: Settings) -> String {
        settings.value("state", flag: state) ?? "/var/lib/culvert/\(role)"
    }

    /// The local socket's path.
    func socketPath(role: String, _ settings: Settings) -> String {
        settings.value("socket", flag: socket)
            ?? statePath(role: role, settings) + "/culvert.sock"
    }

    /// The role's log, on standard error.
    func logger(role: String, _ settings: Settings) throws -> Logger {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        let level = try settings.value(
            "log-level",
            flag: logLevel,
            expecting: "one of \(levels)",
            Logger.Level.init(rawValue:)
        )
        let format = try format(settings)
        return Logger(label: role) { label in
            StructuredLog(label: label, format: format, level: level ?? .info)
        }
    }

    /// How lines of the log look.
    func format(_ settings: Settings) throws -> StructuredLog.Format {
        try settings.value(
            "log-format",
            flag: logFormat,
            expecting: "text or json",
            StructuredLog.Format.init(rawValue:)
        ) ?? .text
    }
}

/// Reads the token that a role starts from.
enum TokenFile {
    /// - Throws: ``Sentence`` that names the file, or that the token is for another role.
    static func read(_ path: String?, kind: Token.Kind, role: String) throws -> Token {
        let text: String
        let origin: String
        if let path {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Sentence(
                    "The token file \(path) cannot be read; make a token with `culvert token` and "
                        + "name its file with --token-file.",
                    exit: .usedWrongly
                )
            }
            (text, origin) = (String(decoding: data, as: UTF8.self), path)
        } else if let value = ProcessInfo.processInfo.environment["CULVERT_TOKEN"] {
            (text, origin) = (value, "CULVERT_TOKEN")
        } else {
            throw Sentence(
                "A \(role) starts from a token: make one with `culvert token` on the portal and "
                    + "name its file with --token-file.",
                exit: .usedWrongly
            )
        }
        let token: Token
        do { token = try Token(parsing: text) } catch {
            throw Sentence("\(origin): \(error.sentence)", exit: .usedWrongly)
        }
        guard token.kind == kind else {
            throw Sentence(
                "\(origin) is a \(token.kind) token, and a \(role) needs one made for a \(role).",
                exit: .usedWrongly
            )
        }
        return token
    }
}
