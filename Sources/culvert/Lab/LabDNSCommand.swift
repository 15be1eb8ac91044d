internal import ArgumentParser
internal import Daemon
internal import Foundation
internal import Lab

/// `culvert lab dns`.
struct LabDNSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns",
        abstract: "Ask names with programs that others wrote, and print what was seen.",
        discussion: DNSCase.all.map { "  \($0.name): \($0.what)" }.joined(separator: "\n")
    )

    @Argument(help: "Which cases (default: all).")
    var names: [String] = []

    @Flag(help: "Less of each: what `make test` has time for.")
    var quick = false

    @Option(help: "How many at the same time.")
    var together = 2

    func run() async throws {
        let cases = try names.isEmpty ? DNSCase.all : names.map(Self.named)
        let runner = DNSCaseRunner(
            executable: try Executable.path(),
            isQuick: quick,
            width: max(1, together)
        )
        for line in DNSCase.tableHead { LabCommand.say(line) }
        let reports = await runner.run(cases) { report in
            for line in report.lines { LabCommand.say(line) }
        }
        let failed = reports.filter { !$0.passed }
        for report in failed { LabCommand.say("\n\(report.name):\n\(report.logs)") }
        if !failed.isEmpty { throw ExitCode(1) }
    }

    private static func named(_ name: String) throws -> DNSCase {
        guard let one = DNSCase.all.first(where: { $0.name == name }) else {
            let known = DNSCase.all.map(\.name).joined(separator: ", ")
            throw Sentence("There is no case \(name); known: \(known).", exit: .usedWrongly)
        }
        return one
    }
}
