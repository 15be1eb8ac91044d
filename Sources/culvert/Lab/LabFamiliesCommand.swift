internal import ArgumentParser
internal import Daemon
internal import Foundation
internal import Lab

/// `culvert lab families`.
struct LabFamiliesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "families",
        abstract: "Reach IPv4 servers by IPv6 and the reverse, and print what was seen."
    )

    @Flag(help: "Less of each: what `make test` has time for.")
    var quick = false

    func run() throws {
        try LabCommand.inWords {
            let check = FamilyCheck(executable: try Executable.path(), isQuick: quick)
            for line in FamilyCheck.tableHead { LabCommand.say(line) }
            let (findings, logs) = try check.run(network: "cvfam") { LabCommand.say($0.line) }
            guard findings.allSatisfy(\.isRight) else {
                LabCommand.say(logs)
                throw ExitCode(1)
            }
        }
    }
}
