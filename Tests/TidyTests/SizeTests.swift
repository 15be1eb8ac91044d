import Foundation
import Testing

@Suite("Sizes (CONTRIBUTING.md)")
struct SizeTests {
    /// A function ends at the first `}` indented like its first line; the formatter guarantees it.
    static func functions(in file: Repository.SourceFile) -> [(start: Int, count: Int)] {
        file.lines.indices.compactMap { start in
            let line = file.lines[start]
            let opens = line.contains("func ") || line.contains("init(") || line.contains("init?(")
            guard opens, line.hasSuffix("{"), !line.contains("//") else { return nil }
            let indent = line.prefix { $0 == " " }
            let end = file.lines[start...].firstIndex { $0 == indent + "}" }
            return end.map { (start, $0 - start + 1) }
        }
    }

    @Test("no function is longer than 70 lines")
    func functionLength() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.swiftFiles(under: folder) {
                for (start, count) in Self.functions(in: file) {
                    #expect(count <= 70, "\(file.path):\(start + 1): function of \(count) lines")
                }
            }
        }
    }

    @Test("no file is longer than 600 lines")
    func fileLength() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.swiftFiles(under: folder) {
                #expect(file.lines.count <= 600, "\(file.path): \(file.lines.count) lines")
            }
        }
    }

    @Test("no line is longer than 100 columns, but for a literal that cannot be cut")
    func lineLength() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.swiftFiles(under: folder) {
                for (index, line) in file.lines.enumerated()
                where line.count > 100 && !line.contains("\"") && !line.contains("http") {
                    Issue.record("\(file.path):\(index + 1): \(line.count) columns")
                }
            }
        }
    }
}
