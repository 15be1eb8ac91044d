import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Families")
    struct FamilyTests {
        @Test("IPv4 reaches IPv6-only servers and the reverse", .timeLimit(.minutes(4)))
        func families() throws {
            let check = FamilyCheck(executable: executable, isQuick: true)
            let (findings, logs) = try check.run(network: "cvfam") { print($0.line) }
            for finding in findings where !finding.isRight { Issue.record("\(finding.line)") }
            #expect(logs.isEmpty)
        }
    }
}
