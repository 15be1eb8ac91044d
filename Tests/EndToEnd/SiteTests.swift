import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Gateways, names and addresses that change or fail")
    struct SiteTests {
        @Test("each case of `culvert lab sites`", .timeLimit(.minutes(5)), arguments: SiteCase.all)
        func sites(_ one: SiteCase) {
            let report = one.run(executable: executable, network: "cvsites", isQuick: true)
            print("\(report.name): \(report.figures.joined(separator: "; "))")
            #expect(report.passed, "\(report.faults)\n\(report.logs)")
        }

        @Test(
            "a download at full speed ends within 100 ms of the change that forbids it",
            .timeLimit(.minutes(3))
        )
        func revocation() throws {
            let bench = RevocationBench(executable: executable, runs: 5, leases: 0)
            #expect(try bench.run { print($0) } < RevocationBench.goal)
        }
    }
}
