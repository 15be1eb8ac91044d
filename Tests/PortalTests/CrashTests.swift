internal import Foundation
internal import Glibc
@testable internal import Portal
internal import Testing

/// A portal that is killed at any moment keeps every change that it acknowledged.
@Suite struct CrashTests {
    /// How often each of the portals is killed; they run side by side.
    private static let (lanes, kills) = (2, 100)

    @Test(.timeLimit(.minutes(5))) func `every acknowledged change survives SIGKILL, 200 times`()
        async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.lanes { group.addTask { try await Self.killAndLook() } }
            try await group.waitForAll()
        }
    }

    @concurrent private static func killAndLook() async throws {
        let folder = PortalUnderTest.freshFolder()
        var acknowledged: [UInt64: String] = [:]
        for turn in 0..<kills {
            // At once after the start, or after some changes; never asks the portal to stop.
            let lines = try run(folder, changes: Int.random(in: 0...6))
            for line in lines {
                let words = line.split(separator: " ")
                switch words.first {
                case "ready":
                    let revision = try #require(UInt64(words[1]))
                    let last = acknowledged.keys.max() ?? 0
                    #expect(revision >= last, "turn \(turn) came back without revision \(last)")
                case "done": acknowledged[try #require(UInt64(words[1]))] = String(words[2])
                default: Issue.record("turn \(turn): \(line)")
                }
            }
        }
        #expect(acknowledged.count > kills)
        let store = try Store(path: "\(folder)/portal.sqlite")
        let lines = try await store.audit(matching: "", offset: 0, count: 100_000).rows
        let kept = Dictionary(uniqueKeysWithValues: lines.map { ($0.revision, $0.summary) })
        for (revision, name) in acknowledged {
            #expect(kept[revision]?.contains(name) == true, "revision \(revision)")
        }
    }

    /// Starts the portal, hears of its start and of `count` changes, and kills it in the next one.
    private static func run(_ folder: String, changes count: Int) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
            .deletingLastPathComponent().appendingPathComponent("PortalCrash")
        process.arguments = [folder]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var text = ""
        while text.count(where: { $0 == "\n" }) <= count {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            text += String(decoding: data, as: UTF8.self)
        }
        kill(process.processIdentifier, SIGKILL)
        // What it said before it died was acknowledged too.
        let rest = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        text += String(decoding: rest, as: UTF8.self)
        // A line that was cut off says nothing.
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(
            String.init
        )
    }
}
