internal import Bytes
internal import Ciphers

/// Name and password, and the key that both ends make of them (RFC 8489 9.2.2).
///
/// Texts are taken as they are: names and passwords here are ASCII, which the profile of the RFC
/// (OpaqueString) leaves alone.
public struct LongTermCredentials: Hashable, Sendable, CustomStringConvertible {
    /// Who.
    public var username: String
    /// The secret; never printed.
    public var password: String

    public init(username: String, password: String) {
        (self.username, self.password) = (username, password)
    }

    /// The key of integrities: 16 bytes of MD5 or 32 of SHA-256; nil: an algorithm that is not
    /// known.
    public func key(realm: String, _ algorithm: PasswordAlgorithm) -> [UInt8]? {
        let text = Array("\(username):\(realm):\(password)".utf8)
        switch algorithm {
        case .md5:
            let digest = MD5.hash(text.rawSpan)
            return digest.rawSpan.array
        case .sha256:
            let digest = SHA256.hash(text.rawSpan)
            return digest.rawSpan.array
        default: return nil
        }
    }

    /// USERHASH (RFC 8489 14.4).
    public static func userHash(_ username: String, realm: String) -> [UInt8] {
        let digest = SHA256.hash(Array("\(username):\(realm)".utf8).rawSpan)
        return digest.rawSpan.array
    }

    public var description: String { "LongTermCredentials(\(username))" }
}

// MARK: - Time-limited credentials

/// A secret that a portal shares with its relays: whoever it deals a name and its password to may
/// use the relays until the time in the name ("REST API for access to TURN services", as common
/// TURN servers have it).
public struct SharedSecret: Sendable, CustomStringConvertible {
    private let secret: [UInt8]

    public init(_ secret: String) { self.secret = Array(secret.utf8) }

    /// Credentials for `name` until `expiry`, in seconds since 1970.
    public func credentials(for name: String, until expiry: UInt64) -> LongTermCredentials {
        let username = "\(expiry):\(name)"
        return LongTermCredentials(username: username, password: password(for: username))
    }

    /// The password that goes with a user name.
    public func password(for username: String) -> String {
        let code = HMAC.sha1(Array(username.utf8).rawSpan, key: secret.rawSpan)
        return Base64.encode(code.rawSpan.array, as: .standard)
    }

    public var description: String { "SharedSecret" }
}

/// A user name of time-limited credentials: until when, and who.
public struct TimeLimitedName: Hashable, Sendable {
    /// The end, in seconds since 1970.
    public let expiry: UInt64
    /// Who; the same over all renewals.
    public let name: String

    /// nil: no such name.
    public init?(_ username: String) {
        let parts = username.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let digits = parts.first, (1...19).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) }), let expiry = UInt64(digits)
        else { return nil }
        self.expiry = expiry
        name = parts.count > 1 ? String(parts[1]) : ""
    }
}
