import Foundation
import SimulatedWorld
import Testing

/// Pairs of networks, and the page that says how they reach each other. All 225 pairs are compared
/// by `culvert-simulate --connectivity --check docs/connectivity.md`, which `make simulate` runs.
@Suite struct ConnectivityTests {
    private static let page = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/connectivity.md")

    /// The table of the page: cells by client, then by gateway.
    private static func table() throws -> [[String]] {
        let lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
        return lines.filter { $0.hasPrefix("|") }.dropFirst(2).map { line in
            line.split(separator: "|").dropFirst().map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    /// Each kind with two others, so that every row and every column of the table is met twice.
    @Test func pairsConnectAsTheoryAndThePageSay() throws {
        let (kinds, table) = (Connectivity.kinds, try Self.table())
        try #require(table.count == kinds.count)
        for (row, client) in kinds.enumerated() {
            for step in [0, 4] {
                let column = (2 * row + step) % kinds.count
                let cell = try #require(Connectivity.cell(client: client, gateway: kinds[column]))
                #expect(cell.problem == nil)
                #expect(table[row][column] == cell.text, "\(client) with \(kinds[column])")
            }
        }
    }
}
