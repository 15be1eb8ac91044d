internal import Foundation
internal import GRDB
internal import Policy

/// One entry of the audit log: what was changed together.
struct LoggedChange: Equatable, Sendable {
    let revision: UInt64
    let at: Date
    let who: String
    let why: String
    let changes: [Change]
}

/// The configuration on disk: a snapshot, and every change since the first.
///
/// A snapshot is itself a list of changes that makes the directory, so there is one way to load.
/// The log is kept for the audit; what is older than the snapshot is not replayed.
extension Store {
    /// Bounds of the log.
    enum LogLimits {
        /// Revisions after which a new snapshot is worth its writing.
        static let snapshotInterval: UInt64 = 256
    }

    /// What makes the directory: all changes in order, and the revision that they lead to.
    func loadChanges() async throws(StoreError) -> (
        changes: [Change], revision: UInt64, snapshot: UInt64
    ) {
        try await read { database in
            let decoder = JSONDecoder()
            func decode(_ text: String) throws -> [Change] {
                try decoder.decode([Change].self, from: Data(text.utf8))
            }
            var changes: [Change] = []
            var base: UInt64 = 0
            if let row = try Row.fetchOne(database, sql: "SELECT revision, json FROM snapshot") {
                base = row["revision"]
                changes = try decode(row["json"])
            }
            var revision = base
            let rows = try Row.fetchCursor(
                database,
                sql: "SELECT revision, json FROM change WHERE revision > ? ORDER BY revision",
                arguments: [base]
            )
            while let row = try rows.next() {
                revision = row["revision"]
                changes += try decode(row["json"])
            }
            return (changes, revision, base)
        }
    }

    /// Commits changes as one revision, and what `also` writes with them; when this returns they
    /// survive anything.
    func append(
        _ entry: LoggedChange,
        summary: String,
        also: (@Sendable (Database) throws -> Void)? = nil
    ) async throws(StoreError) {
        try await write { database in
            try also?(database)
            try database.execute(
                sql:
                    "INSERT INTO change (revision, at, who, why, summary, json) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    entry.revision, entry.at.timeIntervalSince1970, entry.who, entry.why, summary,
                    try Self.json(entry.changes),
                ]
            )
        }
    }

    /// Replaces the snapshot.
    func saveSnapshot(_ changes: [Change], revision: UInt64) async throws(StoreError) {
        try await write { database in
            try database.execute(
                sql: """
                    INSERT INTO snapshot (only, revision, json) VALUES (1, ?, ?)
                    ON CONFLICT (only) DO UPDATE
                    SET revision = excluded.revision, json = excluded.json
                    WHERE excluded.revision > snapshot.revision
                    """,
                arguments: [revision, try Self.json(changes)]
            )
        }
    }

    /// One line of the audit log, for people.
    struct AuditLine: Equatable, Sendable {
        let revision: UInt64
        let at: Date
        let who: String
        let why: String
        let summary: String
    }

    /// A page of the audit log, newest first, and how many there are in all.
    func audit(
        matching text: String,
        offset: Int,
        count: Int
    ) async throws(StoreError) -> (rows: [AuditLine], total: Int) {
        let pattern = "%" + Self.escaped(text) + "%"
        let filter =
            "WHERE who LIKE ?1 ESCAPE '\\' OR why LIKE ?1 ESCAPE '\\' OR summary LIKE ?1 ESCAPE '\\'"
        return try await read { database in
            let total = try Int.fetchOne(
                database,
                sql: "SELECT COUNT(*) FROM change \(filter)",
                arguments: [pattern]
            )
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT revision, at, who, why, summary FROM change \(filter)
                    ORDER BY revision DESC LIMIT ?2 OFFSET ?3
                    """,
                arguments: [pattern, count, offset]
            )
            let lines = rows.map { row in
                AuditLine(
                    revision: row["revision"],
                    at: Date(timeIntervalSince1970: row["at"]),
                    who: row["who"],
                    why: row["why"],
                    summary: row["summary"]
                )
            }
            return (lines, total ?? 0)
        }
    }
}
