internal import Foundation
internal import GRDB

/// Facts of this portal that never change once made.
struct Settings: Equatable, Sendable {
    /// 32 bytes from which preshared keys are derived.
    let secret: [UInt8]
    /// Names this portal's data; goes into derived keys, unlike the account's display name.
    let account: String
}

extension Store {
    /// Reads the facts, or makes them on the first start.
    func loadSettings() async throws(StoreError) -> Settings {
        let fresh = (
            secret: Data(Secrets.random()).base64EncodedString(), account: Secrets.randomText(12)
        )
        return try await write { database in
            for (name, value) in [("secret", fresh.secret), ("account", fresh.account)] {
                try database.execute(
                    sql: "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    arguments: [name, value]
                )
            }
            func value(_ name: String) throws -> String {
                try String.fetchOne(
                    database,
                    sql: "SELECT value FROM setting WHERE name = ?",
                    arguments: [name]
                ) ?? ""
            }
            return Settings(
                secret: Array(Data(base64Encoded: try value("secret")) ?? Data()),
                account: try value("account")
            )
        }
    }
}
