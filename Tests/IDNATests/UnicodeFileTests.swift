import Foundation
import IDNA
import Testing

/// Unicode's own test file for UTS #46, which Debian ships with `librust-idna-dev`.
enum UnicodeFile {
    static let path: String? = {
        let folder = "/usr/share/cargo/registry"
        let named = ProcessInfo.processInfo.environment["IDNA_TEST_FILE"].map { [$0] } ?? []
        let packaged = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasPrefix("idna-") }.sorted()
            .map { "\(folder)/\($0)/tests/IdnaTestV2.txt" }
        return (named + packaged).first { FileManager.default.fileExists(atPath: $0) }
    }()

    /// One row: what toASCII, non-transitional, makes of a name.
    struct Row {
        let source: String
        /// What comes out; where there is a status it does not count.
        let ascii: String
        /// The steps of UTS #46 that find fault; empty: none does.
        let status: [String]
    }

    static func rows() throws -> [Row] {
        let text = try String(contentsOfFile: path ?? "", encoding: .utf8)
        // By scalars: a combining mark behind a semicolon would hide it.
        return text.unicodeScalars.split(separator: "\n").compactMap { line in
            let fields = line.prefix { $0 != "#" }
                .split(separator: ";", omittingEmptySubsequences: false)
                .map { String($0).trimmingCharacters(in: .whitespaces) }
            guard fields.count >= 5 else { return nil }
            let source = unescaped(fields[0])
            let unicode = fields[1].isEmpty ? source : unescaped(fields[1])
            let status = fields[4].isEmpty ? fields[2] : fields[4]
            return Row(
                source: source,
                ascii: fields[3].isEmpty ? unicode : unescaped(fields[3]),
                status: status.split { "[], ".contains($0) }.map(String.init)
            )
        }
    }

    /// `\uXXXX` and `\x{XXXX}`; surrogates, which no text has, become U+FFFD.
    private static func unescaped(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "\\", let kind = rest.popFirst() else {
                result.append(scalar)
                continue
            }
            let digits: Substring.UnicodeScalarView
            if kind == "x" {
                digits = rest.dropFirst().prefix { $0 != "}" }
                rest = rest.dropFirst(digits.count + 2)
            } else {
                digits = rest.prefix(4)
                rest = rest.dropFirst(4)
            }
            let value = UInt32(String(digits), radix: 16).flatMap { Unicode.Scalar($0) }
            result.append(value ?? "\u{fffd}")
        }
        return String(result)
    }
}

@Suite("Unicode's own test file for UTS #46")
struct UnicodeFileTests {
    @Test(
        "what is a name by UTS #46 is turned as the file says, or refused by IDNA2008; nothing else",
        .enabled(
            if: UnicodeFile.path != nil,
            "needs IdnaTestV2.txt: install librust-idna-dev or name it by IDNA_TEST_FILE"
        )
    )
    func file() throws {
        var (same, refused, left) = (0, 0, 0)
        var stricter: [IDNAError.Reason: [String]] = [:]
        var laxer: [[String]: [String]] = [:]
        let rows = try UnicodeFile.rows()
        for row in rows {
            if Self.isLeftAlone(row.source) {
                left += 1
                continue
            }
            switch Result(catching: { try IDNA.ascii(row.source).lowercased() }) {
            case .success(let ascii) where row.status.isEmpty:
                #expect(ascii == row.ascii, "\(row.source)")
                same += 1
            case .success: laxer[row.status, default: []].append(row.source)
            case .failure(let error) where row.status.isEmpty:
                let reason = (error as? IDNAError)?.reason ?? .other(0)
                stricter[reason, default: []].append(row.source)
            case .failure: refused += 1
            }
        }
        #expect(same > 200 && refused > 3_000, "the file is the one that is meant")
        #expect(left < rows.count / 2)
        // UTS #46 takes symbols and other characters that IDNA2008 has no names with.
        #expect(Set(stricter.keys) == [.disallowed])
        #expect(stricter[.disallowed, default: []].count < 50)
        // Length and empty labels (A4) are the pattern's own affair; labels in ASCII pass, so also
        // their hyphens (V2, V3) and their part in the rules for both directions, which hold for
        // a name as a whole and are looked at here label by label (B1, B6). libidn2 does not know
        // that European and Arabic digits exclude each other (B4).
        let expected: Set<String> = ["A4_1", "A4_2", "V2", "V3", "B1", "B4", "B6"]
        for (status, names) in laxer {
            #expect(expected.isSuperset(of: status), "\(names.prefix(3))")
        }
    }

    /// Whether it has a label that is an A-label already, or none that is international: these
    /// pass as they are written.
    private static func isLeftAlone(_ name: String) -> Bool {
        let labels = name.unicodeScalars.split {
            [0x2e, 0x3002, 0xff0e, 0xff61].contains($0.value)
        }
        return labels.allSatisfy { $0.allSatisfy(\.isASCII) }
            || labels.contains { String($0).lowercased().hasPrefix("xn--") }
    }
}
