import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("DNS, complete")
    struct DNSTests {
        @Test(
            "programs of others get right answers, and no protected name leaves",
            .timeLimit(.minutes(5))
        )
        func cases() async throws {
            // Its hashes and its waiting pass beside this, and end before: else a run of this suite
            // alone would leave its networks.
            let beside = wireGuardRounds
            for line in DNSCase.tableHead { print(line) }
            let runner = DNSCaseRunner(executable: executable, isQuick: true, width: 3)
            let reports = await runner.run(DNSCase.all) { report in
                for line in report.lines { print(line) }
            }
            // Three worlds share the machine: what was too slow in the crowd must be right alone.
            let crowded = Set(reports.filter { !$0.passed }.map(\.name))
            let again = DNSCase.all.filter { crowded.contains($0.name) }
            let alone = await DNSCaseRunner(executable: executable, isQuick: true, width: 1)
                .run(again) { report in
                    for line in report.lines { print("alone: \(line)") }
                }
            _ = try? await beside.value
            for report in alone where !report.passed {
                let lines = report.lines.filter { $0.contains("WRONG") || $0.contains("no end") }
                Issue.record("\(lines.joined(separator: "\n"))\n\(report.logs)")
            }
        }
    }
}
