import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Translation")
    struct TranslationTests {
        @Test(
            "what differs from tayga has a verdict, and its row in docs/translation.md",
            .timeLimit(.minutes(2))
        )
        func tayga() throws {
            let outcome = try Lab.run([executable, "lab", "translate"], seconds: 90)
            print(outcome.output)
            #expect(outcome.code == 0)
            let folder = URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
            let page = try String(
                contentsOf: folder.appending(path: "docs/translation.md"),
                encoding: .utf8
            )
            let rows = outcome.output.split(separator: "\n").filter { $0.hasPrefix("| ") }
                .dropFirst()
            #expect(rows.count > 20)
            for row in rows {
                let words = row.dropFirst(2).drop { $0 != "|" }
                #expect(page.contains(words), "docs/translation.md has no row \(words)")
            }
        }
    }
}
