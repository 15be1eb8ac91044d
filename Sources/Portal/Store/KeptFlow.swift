internal import Control
internal import Foundation
internal import GRDB
internal import IP

/// One flow that is over, as a gateway told of it.
struct KeptFlow: Codable, Equatable, Sendable {
    /// When the portal heard of it, in seconds since 1970.
    let at: Double
    let gateway: String
    /// Who, and on which device.
    let person: String
    let device: String
    let resource: String
    let name: String?
    /// `tcp`, `udp` or `icmp`.
    let transport: String
    /// Where it went.
    let real: String
    let bytesOut: UInt64
    let bytesIn: UInt64
    let packetsOut: UInt64
    let packetsIn: UInt64
    /// By the gateway's clock, in seconds since 1970.
    let startedAt: Double
    let endedAt: Double
    /// Why it ended.
    let why: String

    init(_ flow: EndedFlow, at now: Date, gateway: String) {
        func cut(_ text: String) -> String {
            text.utf8.count <= EndedFlow.Limits.textByteCount
                ? text : String(text.prefix(EndedFlow.Limits.textByteCount / 4))
        }
        (at, self.gateway) = (now.timeIntervalSince1970, gateway)
        person = cut(flow.person ?? "")
        device = cut(flow.device ?? flow.client.text)
        resource = cut(flow.resourceName)
        name = flow.name.map(cut)
        (transport, real) = (cut(flow.transport), flow.real.description)
        (bytesOut, bytesIn) = (flow.bytesOut, flow.bytesIn)
        (packetsOut, packetsIn) = (flow.packetsOut, flow.packetsIn)
        startedAt = Double(flow.startMilliseconds) / 1_000
        endedAt = Double(flow.endMilliseconds) / 1_000
        why = cut(flow.why)
    }
}

extension Store {
    /// Bounds of the flows that are remembered.
    enum FlowLimits {
        /// Days that they are kept.
        static let dayCount = 7.0
        /// Flows that are kept; the oldest go first.
        static let count = 200_000
    }

    /// A page of flows, newest first, and how many there are in all.
    func flows(
        matching text: String,
        offset: Int,
        count: Int
    ) async throws(StoreError) -> (rows: [KeptFlow], total: Int) {
        let pattern = "%" + Self.escaped(text) + "%"
        let rows = try await read { database in
            let filter = text.isEmpty ? "" : "WHERE json LIKE ? ESCAPE '\\'"
            let arguments: [any DatabaseValueConvertible] = text.isEmpty ? [] : [pattern]
            let total = try Int.fetchOne(
                database,
                sql: "SELECT COUNT(*) FROM flow \(filter)",
                arguments: StatementArguments(arguments)
            )
            let texts = try String.fetchAll(
                database,
                sql: "SELECT json FROM flow \(filter) ORDER BY number DESC LIMIT ? OFFSET ?",
                arguments: StatementArguments(arguments + [count, offset])
            )
            return (texts, total ?? 0)
        }
        let decoder = JSONDecoder()
        let flows = rows.0.compactMap { try? decoder.decode(KeptFlow.self, from: Data($0.utf8)) }
        return (flows, rows.1)
    }

    /// Forgets flows that are too old, or too many.
    func pruneFlows(now: Date, keeping count: Int = FlowLimits.count) async throws(StoreError) {
        let oldest = now.timeIntervalSince1970 - FlowLimits.dayCount * 86_400
        try await write { database in
            try database.execute(
                sql: """
                    DELETE FROM flow WHERE at < ?
                    OR number <= (SELECT MAX(number) FROM flow) - ?
                    """,
                arguments: [oldest, count]
            )
        }
    }
}
