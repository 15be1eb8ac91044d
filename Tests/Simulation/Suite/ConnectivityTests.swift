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

    /// With RFC 4787's words.
    @Test func netcheckTellsWhomEachNetworkLetsIn() throws {
        let words = [
            "EI": "endpoint-independent", "AD": "address-dependent",
            "APD": "address-and-port-dependent",
        ]
        let kinds = Connectivity.kinds.filter { $0.contains("/") }
        // Nine NATs of IPv4, three firewalls of IPv6.
        try #require(kinds.count == 12)
        for kind in kinds {
            let filtering = try #require(kind.split(separator: "/").last.map(String.init))
            let found = try #require(Connectivity.filtering(in: kind), "\(kind)")
            let family = kind.hasPrefix("v6") ? found.ipv6 : found.ipv4
            #expect(family == words[filtering], "\(kind)")
        }
        #expect(Connectivity.filtering(in: "public")?.ipv4 == "endpoint-independent")
        // Without UDP no relay is met: nothing is claimed.
        #expect(Connectivity.filtering(in: "no UDP")?.ipv4 == "unknown")
    }
}
