import Foundation
import Testing

@Suite("Banned calls")
struct BannedCallTests {
    static let pureModules: Set<String> = [
        "Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control", "Policy",
        "Client", "Gateway",
    ]

    @Test(
        "cores and protocols read no hidden input",
        arguments: [
            ("ContinuousClock", "the `at now:` parameter"),
            ("SuspendingClock", "the `at now:` parameter"),
            ("SystemRandomNumberGenerator", "a `RandomSource`"),
            (".random(in: ", "`using:` a `RandomSource`"),
            ("try!", "a typed error"),
            ("fatalError(", "a typed error or a counted drop"),
            (" print(", "an output"),
        ]
    )
    func pure(call: String, replacement: String) throws {
        for file in try Repository.swiftFiles(under: "Sources")
        where Self.pureModules.contains(file.module) {
            for (index, line) in file.lines.enumerated()
            where line.contains(call) && !line.contains("using:")
                && !line.trimmingCharacters(in: .whitespaces).hasPrefix("//")
            {
                Issue.record("\(file.path):\(index + 1): \(call) is banned, use \(replacement)")
            }
        }
    }

    @Test("`unsafe` is spelt in the modules that touch memory and the kernel only")
    func unsafe() throws {
        let may: Set<String> = [
            "Bytes", "Ciphers", "IDNA", "Linux", "Daemon", "Lab", "Portal", "culvert",
        ]
        for file in try Repository.swiftFiles(under: "Sources") where !may.contains(file.module) {
            for (index, line) in file.lines.enumerated()
            where line.contains("unsafe ")
                && !line.trimmingCharacters(in: .whitespaces).hasPrefix("//")
            {
                Issue.record("\(file.path):\(index + 1): `unsafe` outside its modules")
            }
        }
    }

    @Test("tests wait for events with a bound, never for time")
    func sleeps() throws {
        for file in try Repository.swiftFiles(under: "Tests") where file.module != "TidyTests" {
            for (index, line) in file.lines.enumerated()
            where ["Task.sleep(", "usleep(", "nanosleep(", "Thread.sleep("].contains(
                where: line.contains
            ) {
                Issue.record("\(file.path):\(index + 1): a test that sleeps")
            }
        }
    }

    @Test("nothing is left for later")
    func unfinished() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.swiftFiles(under: folder) where file.module != "TidyTests" {
                for (index, line) in file.lines.enumerated() {
                    for word in ["TODO", "FIXME", "XXX:"] where line.contains(word) {
                        Issue.record("\(file.path):\(index + 1): \(word)")
                    }
                }
            }
        }
    }

    @Test("every module opens with a page that says what it does")
    func modulePages() throws {
        let files = try Repository.swiftFiles(under: "Sources")
        for module in Set(files.map(\.module)).sorted() where module != "culvert" {
            let page = files.first { $0.path == "Sources/\(module)/\(module).swift" }
            let hasDoc = page?.lines.prefix(12).contains {
                $0.hasPrefix("// # ") || $0.hasPrefix("///")
            }
            #expect(
                hasDoc == true
                    || module.hasPrefix("C") && page == nil
                        && module.dropFirst().first?.isUppercase == true,
                "Sources/\(module)/\(module).swift says what the module is for"
            )
        }
    }
}
