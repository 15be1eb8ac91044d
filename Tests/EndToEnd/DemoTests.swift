import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Demo")
    struct DemoTests {
        @Test("shows every step, ends with 0 and leaves nothing behind", .timeLimit(.minutes(5)))
        func everyStep() throws {
            let outcome = try Lab.run([executable, "lab", "demo", "--exit"], seconds: 240)
            #expect(outcome.code == 0, "\(outcome.output)")
            #expect(outcome.output.contains("Every step was seen."))
            #expect(!(try Lab.run(["ip", "netns", "list"]).output.contains("cvdemo")))
        }
    }
}
