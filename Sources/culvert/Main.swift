internal import ArgumentParser
internal import Daemon
internal import Foundation

/// `culvert`, all roles and commands in one executable.
@main
struct Main {
    static func main() async {
        do {
            var command = try Culvert.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let sentence as Sentence {
            complain(sentence.description)
            exit(sentence.exit.rawValue)
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            // Help and version were asked for; everything else is wrong use (exit code 2).
            let text = Culvert.fullMessage(for: error)
            guard Culvert.exitCode(for: error) != .success else {
                print(text)
                exit(0)
            }
            complain(text)
            let isUse = Culvert.exitCode(for: error) == .validationFailure
            exit(isUse ? Sentence.Exit.usedWrongly.rawValue : Sentence.Exit.failed.rawValue)
        }
    }

    private static func complain(_ text: String) {
        let line = text.hasSuffix("\n") ? text : text + "\n"
        FileHandle.standardError.write(Data(line.utf8))
    }
}

/// The root of all commands.
struct Culvert: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert",
        abstract: "Zero-trust access to internal services and SaaS by their ordinary names.",
        discussion: """
            EXAMPLE
              culvert portal --url https://portal.example.com:8443
              culvert token --site headquarters > gateway.token
              culvert gateway --token-file gateway.token
              culvert client --token-file client.token
              culvert status
            """,
        version: Software.version,
        groupedSubcommands: [
            CommandGroup(
                name: "Roles",
                subcommands: [
                    PortalCommand.self, GatewayCommand.self, RelayCommand.self, ClientCommand.self,
                ]
            ),
            CommandGroup(
                name: "On a client",
                subcommands: [
                    UpCommand.self, DownCommand.self, StatusCommand.self, ResourcesCommand.self,
                    ExplainCommand.self, NetcheckCommand.self, DNSCommand.self,
                ]
            ),
            CommandGroup(
                name: "On a portal",
                subcommands: [
                    TokenCommand.self, ApplyCommand.self, ExportCommand.self, DrainCommand.self,
                ]
            ),
            CommandGroup(name: "Proof", subcommands: [LabCommand.self]),
        ]
    )
}

/// What this executable says of itself.
enum Software {
    static let version = "0.1.0"
}
