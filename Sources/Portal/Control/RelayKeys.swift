internal import Bytes
internal import Control
internal import Crypto
internal import Foundation

/// The secrets that the portal shares with its relays, and the passwords made with them.
///
/// A relay's secret is derived from the portal's stored one, the relay and the week, and never
/// stored itself, so that it outlives a start of the portal and every portal gives the same one. A
/// relay is always told this week's and last week's; passwords are made with the new one an hour
/// after the relay heard of it.
struct RelayKeys: Sendable {
    /// Times of secrets, in seconds.
    enum Limits {
        /// How long one secret is the newest.
        static let rotation = 7 * 86_400.0
        /// How long a relay knows a secret before passwords are made with it.
        static let headStart = 3_600.0
    }

    private let secret: SymmetricKey
    private let account: String

    init(secret: [UInt8], account: String) {
        self.secret = SymmetricKey(data: secret)
        self.account = account
    }

    /// The relay that came with a token under a name: always the same.
    func relay(token: String, name: String) -> RelayID {
        RelayID("relay-\(derive("relay", token, name).prefix(12))")
    }

    /// What `relay` checks passwords with, the newest first.
    func secrets(of relay: RelayID, at now: Date) -> [String] {
        let newest = Self.number(at: now)
        return [newest, newest - 1].map { secret(of: relay, number: $0) }
    }

    /// What passwords for `relay` are made with.
    func secret(of relay: RelayID, at now: Date) -> String {
        secret(of: relay, number: Self.number(at: now.addingTimeInterval(-Limits.headStart)))
    }

    /// When the relays' secrets change next.
    static func nextRotation(after now: Date) -> Date {
        Date(timeIntervalSince1970: Double(number(at: now) + 1) * Limits.rotation)
    }

    /// Name and password of `role` until `end`, as stock TURN servers check them.
    static func credentials(
        of role: String,
        until end: Date,
        secret: String
    ) -> (username: String, password: String) {
        let username = "\(Int64(end.timeIntervalSince1970)):\(role)"
        let code = HMAC<Insecure.SHA1>.authenticationCode(
            for: Array(username.utf8),
            using: SymmetricKey(data: Array(secret.utf8))
        )
        return (username, Data(code).base64EncodedString())
    }

    private static func number(at now: Date) -> Int64 {
        Int64((now.timeIntervalSince1970 / Limits.rotation).rounded(.down))
    }

    private func secret(of relay: RelayID, number: Int64) -> String {
        derive("relay secret", relay.text, "\(number)")
    }

    /// HMAC-SHA256 over words, as URL-safe text.
    private func derive(_ words: String...) -> String {
        let text = (["culvert", account] + words).joined(separator: "\u{0}")
        let code = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: secret)
        return Base64.encode(Array(code), as: .url)
    }
}
