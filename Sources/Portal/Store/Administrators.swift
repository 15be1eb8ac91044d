internal import Foundation
internal import GRDB

/// A signed-in browser.
struct WebSession: Equatable, Sendable {
    let email: String
    /// What every form must carry, against requests forged by other pages.
    let formKey: String
}

/// Administrators, their one-time links and their sessions; only hashes of what they hold are kept.
extension Store {
    /// Bounds of signing in.
    enum SignInLimits {
        /// How long a one-time link works, in seconds.
        static let invitationLifetime = 86_400.0
        /// How long a session lives without being used, in seconds.
        static let sessionLifetime = 43_200.0
    }

    /// Whether anybody can sign in yet.
    func administratorCount() async throws(StoreError) -> Int {
        try await read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM administrator") ?? 0 }
    }

    /// Makes a one-time link's secret.
    func invite(now: Date) async throws(StoreError) -> String {
        let secret = Secrets.randomText()
        let hash = Secrets.hash(secret.utf8)
        let expiry = now.timeIntervalSince1970 + SignInLimits.invitationLifetime
        try await write { database in
            try database.execute(
                sql: "DELETE FROM invitation WHERE expiresAt < ?",
                arguments: [now.timeIntervalSince1970]
            )
            try database.execute(
                sql: "INSERT INTO invitation (hash, expiresAt) VALUES (?, ?)",
                arguments: [hash, expiry]
            )
        }
        return secret
    }

    /// Whether a one-time link still works.
    func isInvitation(_ secret: String, now: Date) async throws(StoreError) -> Bool {
        let hash = Secrets.hash(secret.utf8)
        return try await read { database in
            try Bool.fetchOne(
                database,
                sql: "SELECT EXISTS (SELECT 1 FROM invitation WHERE hash = ? AND expiresAt >= ?)",
                arguments: [hash, now.timeIntervalSince1970]
            ) ?? false
        }
    }

    /// Uses a one-time link up: sets the password, ends the person's sessions; false when it was
    /// used before.
    func accept(
        _ secret: String,
        email: String,
        passwordHash: String,
        now: Date
    ) async throws(StoreError) -> Bool {
        let hash = Secrets.hash(secret.utf8)
        return try await write { database in
            try database.execute(
                sql: "DELETE FROM invitation WHERE hash = ? AND expiresAt >= ?",
                arguments: [hash, now.timeIntervalSince1970]
            )
            guard database.changesCount == 1 else { return false }
            try database.execute(
                sql: """
                    INSERT INTO administrator (email, password, createdAt) VALUES (?, ?, ?)
                    ON CONFLICT (email) DO UPDATE SET password = excluded.password
                    """,
                arguments: [email, passwordHash, now.timeIntervalSince1970]
            )
            try database.execute(
                sql: "DELETE FROM webSession WHERE email = ?",
                arguments: [email]
            )
            return true
        }
    }

    /// What is kept of an administrator's password; nil for a stranger.
    func passwordHash(of email: String) async throws(StoreError) -> String? {
        try await read { database in
            try String.fetchOne(
                database,
                sql: "SELECT password FROM administrator WHERE email = ?",
                arguments: [email]
            )
        }
    }

    /// Opens a session; the secret is for the browser's cookie.
    func openSession(
        for email: String,
        now: Date
    ) async throws(StoreError) -> (secret: String, session: WebSession) {
        let secret = Secrets.randomText()
        let hash = Secrets.hash(secret.utf8)
        let session = WebSession(email: email, formKey: Secrets.randomText())
        try await write { database in
            try database.execute(
                sql: "DELETE FROM webSession WHERE expiresAt < ?",
                arguments: [now.timeIntervalSince1970]
            )
            try database.execute(
                sql: "INSERT INTO webSession (hash, email, formKey, expiresAt) VALUES (?, ?, ?, ?)",
                arguments: [
                    hash, session.email, session.formKey,
                    now.timeIntervalSince1970 + SignInLimits.sessionLifetime,
                ]
            )
        }
        return (secret, session)
    }

    /// The session of a cookie, whose life begins anew once an hour; nil when it is over.
    func session(_ secret: String, now: Date) async throws(StoreError) -> WebSession? {
        let hash = Secrets.hash(secret.utf8)
        let now = now.timeIntervalSince1970
        let row = try await read { database in
            try Row.fetchOne(
                database,
                sql:
                    "SELECT email, formKey, expiresAt FROM webSession WHERE hash = ? AND expiresAt >= ?",
                arguments: [hash, now]
            ).map {
                (
                    email: $0["email"] as String, formKey: $0["formKey"] as String,
                    end: $0["expiresAt"] as Double
                )
            }
        }
        guard let row else { return nil }
        if row.end < now + SignInLimits.sessionLifetime - 3_600 {
            try await write { database in
                try database.execute(
                    sql: "UPDATE webSession SET expiresAt = ? WHERE hash = ?",
                    arguments: [now + SignInLimits.sessionLifetime, hash]
                )
            }
        }
        return WebSession(email: row.email, formKey: row.formKey)
    }

    /// Ends a session.
    func closeSession(_ secret: String) async throws(StoreError) {
        let hash = Secrets.hash(secret.utf8)
        try await write { database in
            try database.execute(sql: "DELETE FROM webSession WHERE hash = ?", arguments: [hash])
        }
    }
}
