internal import ArgumentParser
internal import Daemon
internal import Foundation

/// `culvert drain`.
struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Take a gateway out of service gently, or back.",
        discussion: """
            It gets no new clients; those that it has take another gateway of the site for new
            connections at once, and leave it when their running ones end, or time is over.

            EXAMPLE
              culvert drain gateway1 --wait && ssh gateway1 systemctl stop culvert-gateway
              culvert drain gateway1 --undo
            """
    )

    @OptionGroup var option: PortalOption
    @Argument(help: "The gateway's name or id.")
    var gateway: String
    @Option(help: "Seconds that running connections may go on.")
    var within = 600.0
    @Flag(help: "Return when it has no clients any more.")
    var wait = false
    @Flag(help: "Take it back into service.")
    var undo = false

    private struct Outcome: Decodable {
        let gateway: String
        let sentence: String
    }
    private struct Gateways: Decodable {
        struct Item: Decodable {
            let id: String
            let name: String
            let isDraining: Bool
            let clients: Int
        }
        let items: [Item]
    }

    func validate() throws {
        guard within >= 0, within.isFinite else {
            throw ValidationError("--within is a number of seconds, 0 or more.")
        }
        if undo, wait { throw ValidationError("--undo has nothing to --wait for.") }
    }

    func run() async throws {
        let path = "/api/v1/gateways/\(PortalPath.escape(gateway))/drain"
        let body = try JSONEncoder().encode(["seconds": within])
        let answer = try await option.ask(
            undo ? "DELETE" : "POST",
            path,
            body: undo ? Data() : body
        )
        let outcome = try JSONDecoder().decode(Outcome.self, from: answer)
        print(outcome.sentence)
        guard wait else { return }
        while let left = try await clients(of: outcome.gateway), left > 0 {
            try await Task.sleep(for: .seconds(1))
        }
        print("\(outcome.gateway) has no clients any more.")
    }

    /// How many clients a gateway still has; nil when it is gone.
    private func clients(of name: String) async throws -> Int? {
        let path = "/api/v1/gateways?limit=1000&q=\(PortalPath.escape(name))"
        let page = try JSONDecoder().decode(Gateways.self, from: await option.ask("GET", path))
        guard let gateway = page.items.first(where: { $0.name == name }) else { return nil }
        guard gateway.isDraining else {
            throw Sentence("\(name) was taken back into service by somebody else.")
        }
        return gateway.clients
    }
}
