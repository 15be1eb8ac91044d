import Foundation
import Testing

@Suite struct DNSScenarioTests {
    /// The scenario files about names, in order.
    static let files: [String] = {
        let folder = scenarios.path
        let all = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return all.filter { $0.hasPrefix("dns-") && $0.hasSuffix(".scenario") }.sorted()
    }()

    private static let scenarios = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Scenarios")

    @Test(arguments: files)
    func `a scenario comes out as it says`(file: String) throws {
        let text = try String(contentsOf: Self.scenarios.appending(path: file), encoding: .utf8)
        do {
            try DNSScenario.run(text)
        } catch {
            Issue.record("\(file): \(error)")
        }
    }

    @Test func `the scenarios are found`() {
        #expect(Self.files.count > 10)
    }

    @Test(arguments: [
        "expect NOERROR", "query example.org A\nexpect NXDOMAIN", "upstream NOERROR", "nonsense",
        "resource r a.x\nquery a.x A\nexpect NOERROR count=3",
        "resource r a.x\nquery a.x A\nexpect NOERROR A=100.96.0.9 count=4",
        "resource r a.x\nquery a.x A\nexpect NOERROR tc count=4",
        "query x A\nexpect forward 192.0.2.54:53 udp",
        "query x A\nexpect forward 192.0.2.53:53 tcp",
    ])
    func `a scenario that does not come out fails`(text: String) {
        #expect(throws: (any Error).self) { try DNSScenario.run(text) }
    }
}
