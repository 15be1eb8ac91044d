internal import ArgumentParser
internal import Control
internal import Daemon
internal import Foundation

/// How a command finds the portal: the socket of this machine, or a URL with an API token.
struct PortalOption: ParsableArguments {
    @Option(help: "The portal's socket (default: /var/lib/culvert/portal/culvert.sock).")
    var socket: String?
    @Option(help: "The portal's URL; then CULVERT_API_TOKEN proves who asks.")
    var portal: String?

    private func client() throws -> APIClient {
        let environment = ProcessInfo.processInfo.environment
        guard let portal else {
            return APIClient(
                .socket(
                    path: socket ?? environment["CULVERT_SOCKET"]
                        ?? "/var/lib/culvert/portal/culvert.sock"
                )
            )
        }
        guard let url = PortalURL(portal) else {
            throw Sentence(
                "\(portal) is not a URL like https://portal.example.com:8443.",
                exit: .usedWrongly
            )
        }
        guard let text = environment["CULVERT_API_TOKEN"] else {
            throw Sentence(
                "--portal needs an API token in CULVERT_API_TOKEN; `culvert token --api NAME` on the "
                    + "portal makes one.",
                exit: .usedWrongly
            )
        }
        let token: Token
        do { token = try Token(parsing: text) } catch {
            throw Sentence("CULVERT_API_TOKEN: \(error.sentence)", exit: .usedWrongly)
        }
        return APIClient(.portal(url, token))
    }

    /// Asks the portal once.
    ///
    /// - Parameters:
    ///   - method: The HTTP method.
    ///   - path: The path with its query, percent-encoded.
    ///   - body: What is sent.
    ///   - contentType: What `body` is.
    /// - Returns: The body of the answer.
    /// - Throws: ``Sentence`` with the portal's words, a line for each problem.
    func ask(
        _ method: String,
        _ path: String,
        body: Data = Data(),
        contentType: String = "application/json"
    ) async throws -> Data {
        let answer = try await client().send(method, path, body: body, contentType: contentType)
        guard !(200..<300).contains(answer.status) else { return answer.body }
        guard let refusal = try? JSONDecoder().decode(PortalRefusal.self, from: answer.body) else {
            throw Sentence("The portal answers HTTP \(answer.status).")
        }
        let exit: Sentence.Exit =
            switch answer.status {
            case 401, 403: .denied
            case 400, 404, 409, 422: .usedWrongly
            default: .failed
            }
        throw Sentence(refusal.text, exit: exit)
    }
}

/// The body of a refusal.
struct PortalRefusal: Decodable {
    struct Problem: Decodable {
        var file: String?
        var line: Int?
        var column: Int?
        var field: String?
        var sentence: String

        var text: String {
            guard let file, let line, let column else { return sentence }
            return "\(file):\(line):\(column): \(sentence)"
        }
    }

    var sentence: String
    var problems: [Problem]?

    var text: String {
        guard let problems, !problems.isEmpty else { return sentence }
        return problems.map(\.text).joined(separator: "\n")
    }
}

/// `culvert token`.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make, list and revoke tokens.",
        discussion: """
            What a role starts from. It is printed once, alone, and stored hashed.

            EXAMPLE
              culvert token --site headquarters > gateway.token
              culvert token --client ada@example.com > client.token
              culvert token --relay amsterdam > relay.token
              culvert token --list
              culvert token --revoke t_1a2b
            """
    )

    @OptionGroup var option: PortalOption
    @Option(help: "A token for a gateway of this site.")
    var site: String?
    @Option(help: "A token for a client of this person or service.")
    var client: String?
    @Option(help: "A token for a relay, under this name.")
    var relay: String?
    @Option(help: "A token for the API, under this name.")
    var api: String?
    @Flag(help: "A link with which an administrator sets a password.")
    var admin = false
    @Flag(help: "List all tokens.")
    var list = false
    @Option(help: "Revoke the token with this id; its connections end at once.")
    var revoke: String?
    @Flag(help: "Print JSON.")
    var json = false

    private struct Made: Decodable { let token: String }
    private struct Link: Decodable { let link: String }
    private struct Listed: Decodable {
        struct Item: Decodable {
            let id: String
            let kind: String
            let name: String
            let createdAt: String
            let revokedAt: String?
        }
        let items: [Item]
    }

    func validate() throws {
        let chosen = [
            site != nil, client != nil, relay != nil, api != nil, admin, list, revoke != nil,
        ]
        guard chosen.count(where: { $0 }) == 1 else {
            throw ValidationError(
                "Say one of --site NAME, --client EMAIL, --relay NAME, --api NAME, --admin, "
                    + "--list, --revoke ID."
            )
        }
    }

    func run() async throws {
        if let site { try await make("gateway", site) }
        if let client { try await make("client", client) }
        if let relay { try await make("relay", relay) }
        if let api { try await make("api", api) }
        if admin {
            let body = try await option.ask("POST", "/api/v1/administrators/link")
            print(json ? Self.text(body) : try JSONDecoder().decode(Link.self, from: body).link)
        }
        if let revoke {
            _ = try await option.ask("DELETE", "/api/v1/tokens/\(PortalPath.escape(revoke))")
            print("Revoked.")
        }
        if list {
            let body = try await option.ask("GET", "/api/v1/tokens")
            guard !json else { return print(Self.text(body)) }
            for item in try JSONDecoder().decode(Listed.self, from: body).items {
                let state = item.revokedAt.map { "revoked \($0)" } ?? "valid"
                print(
                    [item.id, item.kind, item.name, item.createdAt, state].joined(separator: "  ")
                )
            }
        }
    }

    private func make(_ kind: String, _ name: String) async throws {
        let body = try JSONEncoder().encode(["kind": kind, "name": name])
        let made = try await option.ask("POST", "/api/v1/tokens", body: body)
        print(json ? Self.text(made) : try JSONDecoder().decode(Made.self, from: made).token)
    }

    private static func text(_ data: Data) -> String { String(decoding: data, as: UTF8.self) }
}

/// `culvert apply`.
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make the portal match files.",
        discussion: """
            Prints what it does (+ new, ~ changed, - gone, ! take care), in one transaction.

            EXAMPLE
              culvert apply -f account.yaml --dry-run
            """
    )

    @OptionGroup var option: PortalOption
    @Option(name: [.customShort("f"), .customLong("file")], help: "A file, or a folder of *.yaml.")
    var file: String
    @Flag(help: "Print the plan and change nothing.")
    var dryRun = false
    @Option(help: "Why, for the record of changes.")
    var why: String?

    private struct File: Encodable {
        let name: String
        let text: String
    }
    private struct Applied: Decodable {
        struct Line: Decodable {
            let sign: String
            let subject: String
            let details: String?
        }
        let applied: Bool
        let plan: [Line]
    }

    func run() async throws {
        let body = try JSONEncoder().encode(["files": try files()])
        var path = "/api/v1/configuration?dry-run=\(dryRun)"
        if let why { path += "&why=\(PortalPath.escape(why))" }
        let answer = try await option.ask("POST", path, body: body)
        let applied = try JSONDecoder().decode(Applied.self, from: answer)
        for line in applied.plan {
            let details = line.details ?? ""
            print("\(line.sign) \(line.subject)\(details.isEmpty ? "" : ": ")\(details)")
        }
        if applied.plan.allSatisfy({ $0.sign == "!" }) { print("Nothing to change.") }
    }

    private func files() throws -> [File] {
        var isFolder = ObjCBool(false)
        guard unsafe FileManager.default.fileExists(atPath: file, isDirectory: &isFolder) else {
            throw Sentence(
                "\(file) is not there; name a file or folder with -f.",
                exit: .usedWrongly
            )
        }
        let names =
            isFolder.boolValue
            ? try FileManager.default.contentsOfDirectory(atPath: file)
                .filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
                .map { file + "/" + $0 }
            : [file]
        return try names.map { name in
            guard let data = FileManager.default.contents(atPath: name) else {
                throw Sentence("\(name) cannot be read.", exit: .usedWrongly)
            }
            return File(name: name, text: String(decoding: data, as: UTF8.self))
        }
    }
}

/// `culvert export`.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Print the portal's configuration, as `apply` takes it.",
        discussion: "EXAMPLE\n  culvert export > account.yaml"
    )

    @OptionGroup var option: PortalOption

    func run() async throws {
        let body = try await option.ask("GET", "/api/v1/configuration")
        print(String(decoding: body, as: UTF8.self), terminator: "")
    }
}

/// Text in paths and queries.
enum PortalPath {
    static func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text
    }
}
