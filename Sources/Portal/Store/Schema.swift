internal import GRDB

/// The tables of the store, as steps: each version adds one, none is ever edited.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            for table in version1 { try database.execute(sql: table) }
        }
        migrator.registerMigration("2") { database in
            for table in version2 { try database.execute(sql: table) }
        }
        return migrator
    }

    private static let version1 = [
        // Facts of this portal: its instance, its secret, its revision.
        """
        CREATE TABLE setting (
            name TEXT PRIMARY KEY NOT NULL,
            value TEXT NOT NULL
        ) WITHOUT ROWID
        """,
        // The audit log: what was changed, never edited.
        """
        CREATE TABLE change (
            revision INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            who TEXT NOT NULL,
            why TEXT NOT NULL,
            summary TEXT NOT NULL,
            json TEXT NOT NULL
        )
        """,
        // The configuration at one revision, as changes that make it; later ones are in the log.
        """
        CREATE TABLE snapshot (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            revision INTEGER NOT NULL,
            json TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE token (
            id TEXT PRIMARY KEY NOT NULL,
            kind TEXT NOT NULL,
            hash BLOB NOT NULL UNIQUE,
            name TEXT NOT NULL,
            createdAt REAL NOT NULL,
            createdBy TEXT NOT NULL,
            revokedAt REAL
        )
        """,
        """
        CREATE TABLE administrator (
            email TEXT PRIMARY KEY NOT NULL,
            password TEXT NOT NULL,
            createdAt REAL NOT NULL
        )
        """,
        """
        CREATE TABLE invitation (
            hash BLOB PRIMARY KEY NOT NULL,
            expiresAt REAL NOT NULL
        )
        """,
        """
        CREATE TABLE webSession (
            hash BLOB PRIMARY KEY NOT NULL,
            email TEXT NOT NULL REFERENCES administrator (email) ON DELETE CASCADE,
            formKey TEXT NOT NULL,
            expiresAt REAL NOT NULL
        )
        """,
        """
        CREATE TABLE device (
            id TEXT PRIMARY KEY NOT NULL,
            role TEXT NOT NULL,
            token TEXT NOT NULL REFERENCES token (id),
            json TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE lease (
            id TEXT PRIMARY KEY NOT NULL,
            endsAt REAL NOT NULL,
            json TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE activity (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            actor TEXT NOT NULL,
            json TEXT NOT NULL
        )
        """,
        "CREATE INDEX activityAt ON activity (at)",
    ]

    private static let version2 = [
        // Flows that ended at gateways; the oldest go.
        """
        CREATE TABLE flow (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            json TEXT NOT NULL
        )
        """,
        "CREATE INDEX flowAt ON flow (at)",
    ]
}
