internal import ArgumentParser
internal import Client
internal import Daemon
internal import Foundation
internal import Logging

/// How a command finds the client on this machine.
struct ClientOption: ParsableArguments {
    @Option(help: "The client's socket (default: /var/lib/culvert/client/culvert.sock).")
    var socket: String?

    private var client: APIClient {
        let path =
            socket ?? ProcessInfo.processInfo.environment["CULVERT_SOCKET"]
            ?? "/var/lib/culvert/client/culvert.sock"
        return APIClient(.socket(path: path))
    }

    /// The answer's value.
    ///
    /// - Throws: ``Sentence``, the daemon's own where it gave one.
    func ask<Value: Decodable>(
        _ method: String,
        _ path: String,
        as type: Value.Type
    ) async throws -> (value: Value, text: String) {
        let answer = try await client.send(method, path)
        guard answer.status == 200 else {
            let refusal = try? JSONDecoder().decode([String: String].self, from: answer.body)
            let sentence = refusal?["sentence"] ?? "The client answers HTTP \(answer.status)."
            throw Sentence(sentence, exit: answer.status == 409 ? .notConnected : .failed)
        }
        let text = String(decoding: answer.body, as: UTF8.self)
        return (try JSONDecoder().decode(Value.self, from: answer.body), text)
    }
}

/// `culvert up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Connect.",
        discussion: "EXAMPLE\n  culvert up && culvert status"
    )

    @OptionGroup var option: ClientOption

    func run() async throws {
        let status = try await option.ask("POST", "/api/v1/up", as: ClientStatus.self).value
        print("The client is up, and is \(status.state) to \(status.portal).")
    }
}

/// `culvert down`.
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Disconnect, and put the host back as it was, also after the client was killed.",
        discussion: "EXAMPLE\n  culvert down"
    )

    @OptionGroup var option: ClientOption
    @Option(help: "The client's state folder (default: /var/lib/culvert/client).")
    var state: String?

    func run() async throws {
        let folder = state ?? "/var/lib/culvert/client"
        let socket = option.socket ?? folder + "/culvert.sock"
        do {
            let asked = try await APIClient(.socket(path: socket)).send("POST", "/api/v1/down")
            guard asked.status == 200 else { throw Sentence("The client does not go down.") }
        } catch let sentence as Sentence where sentence.exit == .notConnected {
            // Nobody is there: it was killed, or never ran. Its notes say what to put back.
            let logger = Logger(label: "down") {
                StructuredLog(label: $0, format: .text, level: .warning)
            }
            ClientHost.restoreAll(folder: folder, logger: logger)
        }
        print("The client is down, and the host is as it was.")
    }
}

/// `culvert status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Who, what, through which path.",
        discussion: "EXAMPLE\n  culvert status --wait 30s"
    )

    @OptionGroup var option: ClientOption
    @Flag(help: "Print JSON.")
    var json = false
    @Flag(help: "Print again every second, until interrupted.")
    var watch = false
    @Option(help: "Return when connected, or after this time with exit code 4: 30s, 2m.")
    var wait: String?

    func run() async throws {
        if let wait {
            guard let seconds = Self.seconds(wait) else {
                throw Sentence(
                    "--wait is \(wait.debugDescription), not a time like 30s.",
                    exit: .usedWrongly
                )
            }
            return try await waitUntilConnected(seconds)
        }
        repeat {
            let (status, text) = try await option.ask(
                "GET",
                "/api/v1/status",
                as: ClientStatus.self
            )
            if watch, !json, isatty(1) == 1 { print("\u{1b}[H\u{1b}[2J", terminator: "") }
            print(json ? text : StatusText.render(status))
            if watch { try await Task.sleep(for: .seconds(1)) }
        } while watch
    }

    private func waitUntilConnected(_ seconds: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var last: (any Error)?
        while ContinuousClock.now < deadline {
            do {
                let status = try await option.ask("GET", "/api/v1/status", as: ClientStatus.self)
                if status.value.state == "connected" {
                    print(json ? status.text : StatusText.render(status.value))
                    return
                }
                if let ending = status.value.ending { throw Sentence(ending, exit: .notConnected) }
            } catch let sentence as Sentence where sentence.exit == .notConnected {
                last = sentence
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw last ?? Sentence("Not connected within \(seconds) s.", exit: .notConnected)
    }

    private static func seconds(_ text: String) -> Int? {
        switch text.last {
        case "s": Int(text.dropLast())
        case "m": Int(text.dropLast()).map { $0 * 60 }
        default: Int(text)
        }
    }
}

/// `culvert resources`.
struct ResourcesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resources",
        abstract: "What I may reach, and whether it is online.",
        discussion: "EXAMPLE\n  culvert resources"
    )

    @OptionGroup var option: ClientOption
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let status = try await option.ask("GET", "/api/v1/status", as: ClientStatus.self).value
        guard let core = status.core else {
            throw Sentence(ClientDaemon.notUp, exit: .notConnected)
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(core.resources), as: UTF8.self))
        } else {
            print(StatusText.resources(core))
        }
    }
}
