internal import ArgumentParser
internal import Daemon
internal import Foundation
internal import Lab

/// `culvert lab sites`.
struct LabSitesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sites",
        abstract: "Gateways, names and addresses that change or fail, and what was seen.",
        discussion: SiteCase.all.map { "  \($0.name): \($0.what)" }.joined(separator: "\n")
    )

    @Argument(help: "Which cases (default: all).")
    var names: [String] = []

    @Flag(help: "Less waiting: what `make test` has time for.")
    var quick = false

    func run() throws {
        let executable = try Executable.path()
        var failed: [SiteCase.Report] = []
        for one in try names.isEmpty ? SiteCase.all : names.map(Self.named) {
            LabCommand.say("\(one.name): \(one.what)")
            let report = one.run(executable: executable, network: "cvsite", isQuick: quick)
            for figure in report.figures { LabCommand.say("  \(figure)") }
            for fault in report.faults { LabCommand.say("  NOT AS IT MUST BE: \(fault)") }
            if !report.passed { failed.append(report) }
        }
        for report in failed { LabCommand.say("\n\(report.name):\n\(report.logs)") }
        if !failed.isEmpty { throw ExitCode(1) }
    }

    private static func named(_ name: String) throws -> SiteCase {
        guard let one = SiteCase.all.first(where: { $0.name == name }) else {
            let known = SiteCase.all.map(\.name).joined(separator: ", ")
            throw Sentence("There is no case \(name); known: \(known).", exit: .usedWrongly)
        }
        return one
    }
}
