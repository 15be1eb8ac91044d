internal import Control
internal import Foundation
internal import GRDB

/// A token as the portal keeps it: everything but its secret.
struct StoredToken: Codable, Equatable, Sendable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "token"

    let id: String
    /// The letter of its kind.
    let kind: String
    /// SHA-256 of the secret, which is random and long enough for a fast hash.
    let hash: Data
    /// Whom it speaks for: a site, an e-mail address, or what people call it.
    let name: String
    let createdAt: Double
    let createdBy: String
    var revokedAt: Double?

    /// What it is for; nil when a later version made it.
    var tokenKind: Token.Kind? { kind.first.flatMap(Token.Kind.init(rawValue:)) }
}

/// All tokens in memory, so that a connection is admitted without a query.
struct TokenTable {
    private var tokens: [String: StoredToken] = [:]
    private var idByHash: [Data: String] = [:]

    init(_ tokens: [StoredToken]) { for token in tokens { upsert(token) } }

    subscript(id: String) -> StoredToken? { tokens[id] }

    /// All of them, newest first.
    var all: [StoredToken] {
        tokens.values.sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }
    }

    /// The token of this secret, revoked or not.
    func token(secret: [UInt8]) -> StoredToken? {
        idByHash[Secrets.hash(secret)].flatMap { tokens[$0] }
    }

    mutating func upsert(_ token: StoredToken) {
        tokens[token.id] = token
        idByHash[token.hash] = token.id
    }
}

extension Store {
    func loadTokens() async throws(StoreError) -> [StoredToken] {
        try await read { try StoredToken.fetchAll($0) }
    }

    static func write(_ token: StoredToken, _ database: Database) throws {
        try token.upsert(database)
    }
}
