internal import ArgumentParser
internal import Client
internal import Daemon
internal import Foundation

/// `culvert explain`.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Why a name or address[:port] does or does not work.",
        discussion: """
            One sentence; --all tells the whole chain. With --as it asks the portal's policy engine
            for somebody else, from the portal's own machine or with an API token.

            EXAMPLE
              culvert explain git.corp.example:443
              culvert explain git.corp.example:443 --as ada@example.com --from 203.0.113.9
            """
    )

    @Argument(help: "A name or an address, with a port or without.")
    var what: String
    @Option(help: "Ask the portal for this person.")
    var `as`: String?
    @Option(help: "With --as: the address that the person comes from.")
    var from: String?
    @Option(help: "With --as: the time, as 2026-06-01T09:00:00+02:00.")
    var at: String?
    @Option(help: "The client's or (with --as) portal's socket.")
    var socket: String?
    @Option(help: "With --as: the portal's URL.")
    var portal: String?
    @Flag(help: "Every link of the chain.")
    var all = false
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        if let person = `as` { try await askPortal(person) } else { try await askClient() }
    }

    private func askClient() async throws {
        var option = ClientOption()
        option.socket = socket
        let path = "/api/v1/explain?what=\(PortalPath.escape(what))"
        let (explanation, text) = try await option.ask(
            "GET",
            path,
            as: Client::Client.Explanation.self
        )
        if json {
            print(text)
        } else {
            let sentences = all ? explanation.sentences : explanation.sentences.suffix(1)
            for sentence in sentences { print(sentence) }
        }
        switch explanation.verdict {
        case .works, .ready, .notProtected: break
        case .denied: throw ExitCode(Sentence.Exit.denied.rawValue)
        case .unreachable: throw ExitCode(Sentence.Exit.notConnected.rawValue)
        case .unreadable: throw ExitCode(Sentence.Exit.usedWrongly.rawValue)
        }
    }

    private struct Decision: Decodable {
        let allowed: Bool
        let sentence: String
    }

    private func askPortal(_ person: String) async throws {
        var option = PortalOption()
        (option.socket, option.portal) = (socket, portal)
        var path =
            "/api/v1/decisions?who=\(PortalPath.escape(person))"
            + "&reach=\(PortalPath.escape(what))"
        if let from { path += "&from=\(PortalPath.escape(from))" }
        if let at { path += "&at=\(PortalPath.escape(at))" }
        let body = try await option.ask("GET", path)
        let decision = try JSONDecoder().decode(Decision.self, from: body)
        print(json ? String(decoding: body, as: UTF8.self) : decision.sentence)
        if !decision.allowed { throw ExitCode(Sentence.Exit.denied.rawValue) }
    }
}
