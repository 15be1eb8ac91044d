internal import Foundation
internal import GRDB

/// One answer to somebody who wanted to reach something.
struct Activity: Codable, Equatable, Sendable {
    let at: Double
    /// Who: an e-mail address or a service account's name.
    let actor: String
    /// Which device.
    let client: String
    /// The resource's name.
    let resource: String
    /// The name that was asked for, if any.
    let name: String?
    /// Where the device was seen.
    let remote: String?
    let isAllowed: Bool
    /// The gateway's name, when allowed.
    let gateway: String?
    /// Why not, when denied.
    let sentence: String?
}

extension Store {
    /// Bounds of what is remembered.
    enum ActivityLimits {
        /// Days that activity is kept.
        static let dayCount = 30.0
    }

    /// A page of activity, newest first, and how many there are in all.
    func activity(
        matching text: String,
        offset: Int,
        count: Int
    ) async throws(StoreError) -> (rows: [Activity], total: Int) {
        let pattern = "%" + Self.escaped(text) + "%"
        let rows = try await read { database in
            let total = try Int.fetchOne(
                database,
                sql: "SELECT COUNT(*) FROM activity WHERE json LIKE ? ESCAPE '\\'",
                arguments: [pattern]
            )
            let texts = try String.fetchAll(
                database,
                sql: """
                    SELECT json FROM activity WHERE json LIKE ? ESCAPE '\\'
                    ORDER BY number DESC LIMIT ? OFFSET ?
                    """,
                arguments: [pattern, count, offset]
            )
            return (texts, total ?? 0)
        }
        let decoder = JSONDecoder()
        let activities = rows.0.compactMap {
            try? decoder.decode(Activity.self, from: Data($0.utf8))
        }
        return (activities, rows.1)
    }

    /// Forgets what is too old.
    func pruneActivity(now: Date) async throws(StoreError) {
        let oldest = now.timeIntervalSince1970 - ActivityLimits.dayCount * 86_400
        try await write { database in
            try database.execute(sql: "DELETE FROM activity WHERE at < ?", arguments: [oldest])
        }
    }

    /// A text in which SQL's LIKE finds nothing special.
    static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
    }
}
