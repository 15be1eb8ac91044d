import Bytes
import Foundation
import FuzzEntries
import Testing

/// What the fuzz targets found worth keeping, run in debug with all checks.
@Suite("Hostile input")
struct ReplayTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fuzz")

    static func corpus(of entry: FuzzEntry) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appending(path: "\(entry.rawValue)Fuzz/Corpus"),
            includingPropertiesForKeys: nil
        ).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test("every kept input ends in an error or in silence", arguments: FuzzEntry.allCases)
    func kept(entry: FuzzEntry) throws {
        for file in try Self.corpus(of: entry) {
            entry.run(Array(try Data(contentsOf: file)).rawSpan)
        }
    }

    @Test("every real message goes through", arguments: FuzzEntry.allCases)
    func seeds(entry: FuzzEntry) {
        let seeds = entry.seeds
        #expect(!seeds.isEmpty)
        #expect(Set(seeds.map(\.name)).count == seeds.count, "two of one name")
        for (_, bytes) in seeds {
            #expect(bytes.count <= FuzzEntry.Limits.byteCount)
            entry.run(bytes.rawSpan)
        }
    }

    @Test("a seed cut short or changed anywhere is no trap", arguments: FuzzEntry.allCases)
    func damaged(entry: FuzzEntry) {
        for (number, seed) in entry.seeds.enumerated() where !seed.bytes.isEmpty {
            // One place each, so that all together they are spread over the whole.
            let place = number * 7 % seed.bytes.count
            entry.run(seed.bytes.rawSpan.extracting(first: place))
            var changed = seed.bytes
            changed[place] ^= 1 << UInt8(number & 7)
            entry.run(changed.rawSpan)
        }
    }

    @Test("kept inputs are few and small", arguments: FuzzEntry.allCases)
    func sizes(entry: FuzzEntry) throws {
        let files = try Self.corpus(of: entry)
        #expect((1...64).contains(files.count))
        for file in files {
            let count = try Data(contentsOf: file).count
            #expect(count <= FuzzEntry.Limits.byteCount, "\(file.lastPathComponent)")
        }
    }
}
