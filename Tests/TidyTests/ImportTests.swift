import Foundation
import Testing

@Suite("Imports point one way (docs/modules.txt)")
struct ImportTests {
    static let allowed: [String: Set<String>] = {
        let text = (try? Repository.text("docs/modules.txt")) ?? ""
        let pairs = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            let imports = parts.count > 1 ? parts[1].split(separator: " ").map(String.init) : []
            return (String(parts[0]), Set(imports))
        }
        return Dictionary(uniqueKeysWithValues: pairs)
    }()

    static func imports(of file: Repository.SourceFile) -> [String] {
        file.lines.compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index <= 2, words.count > index + 1,
                words[..<index].allSatisfy({ ["public", "internal", "@testable"].contains($0) })
            else { return nil }
            let last = words[words.count - 1]
            return String(last.split(separator: ".")[0])
        }
    }

    @Test("every module imports only what stands below it")
    func directions() throws {
        for file in try Repository.swiftFiles(under: "Sources") {
            let below = try #require(
                Self.allowed[file.module],
                "docs/modules.txt does not know \(file.module)"
            )
            for name in Self.imports(of: file)
            where Self.allowed[name] != nil && name != file.module {
                #expect(below.contains(name), "\(file.path) imports \(name)")
            }
        }
    }

    @Test("docs/modules.txt lists modules in order of dependency")
    func order() throws {
        var seen: Set<String> = ["CCrypto", "CIDN2", "CLinux"]
        for line in try Repository.text("docs/modules.txt").split(separator: "\n")
        where !line.hasPrefix("#") {
            let name = String(line.split(separator: ":")[0])
            let missing = (Self.allowed[name] ?? []).subtracting(seen)
            #expect(missing.isEmpty, "\(name) stands above \(missing.sorted())")
            seen.insert(name)
        }
    }

    static let edges: Set<String> = [
        "Linux", "Daemon", "Portal", "Lab", "culvert", "culvert-simulate",
    ]

    @Test("cores and protocols import no input and output")
    func pure() throws {
        let banned: Set<String> = [
            "Foundation", "FoundationEssentials", "Glibc", "Dispatch", "NIO",
            "NIOCore", "NIOPosix", "Synchronization", "Logging",
        ]
        for file in try Repository.swiftFiles(under: "Sources")
        where !Self.edges.contains(file.module) {
            for name in Self.imports(of: file) {
                #expect(!banned.contains(name), "\(file.path) imports \(name)")
            }
        }
    }
}
