internal import Bytes

/// What a role starts from: where its portal is, how to know it, and the secret that names it.
///
/// As text: `culvert_`, a letter for the kind, and base64url of version (1 byte, 1), length of the
/// URL (2 bytes) and URL, length of the fingerprint (1 byte, 0 or 32) and fingerprint, secret
/// (32 bytes), CRC-32 of all that (4 bytes), numbers big-endian.
public struct Token: Hashable, Sendable {
    /// What the token lets its holder be.
    public enum Kind: Character, Sendable, CaseIterable {
        case gateway = "g"
        case relay = "r"
        /// A service account's client, or a person's after signing in.
        case client = "c"
        /// The API, for programs and the command line.
        case api = "a"
    }

    /// Bounds of a token.
    public enum Limits {
        /// Bytes of the secret.
        public static var secretByteCount: Int { 32 }
        /// Bytes of a fingerprint: SHA-256.
        public static var fingerprintByteCount: Int { 32 }
        /// Characters of the text.
        public static var characterCount: Int { 1_024 }
    }

    /// What it is for.
    public let kind: Kind
    /// The portal.
    public let url: PortalURL
    /// SHA-256 of the certificate authority's certificate; nil means the machine's own authorities.
    public let fingerprint: [UInt8]?
    /// 32 random bytes; the portal keeps only a hash.
    public let secret: [UInt8]

    /// Nil when the fingerprint or the secret does not have 32 bytes.
    public init?(kind: Kind, url: PortalURL, fingerprint: [UInt8]?, secret: [UInt8]) {
        guard secret.count == Limits.secretByteCount,
            fingerprint.map({ $0.count == Limits.fingerprintByteCount }) ?? true
        else { return nil }
        (self.kind, self.url) = (kind, url)
        (self.fingerprint, self.secret) = (fingerprint, secret)
    }
}

extension Token {
    /// What is wrong with a text that should be a token.
    public enum ParseError: Error, Hashable, Sendable {
        /// It does not begin with `culvert_`.
        case notAToken
        /// A kind of a later version, or a typing error.
        case unknownKind(Character)
        /// A character that cannot be in a token, and where, counted from 1.
        case badCharacter(position: Int)
        /// Cut off or mistyped: the check sum does not fit.
        case damaged
        /// Made by a later version.
        case unknownVersion(UInt8)
        /// The URL inside is not one of a portal.
        case badURL

        /// What is wrong and what to do; never a part of the secret.
        public var sentence: String {
            switch self {
            case .notAToken: "This is not a token: a token begins with “culvert_”."
            case .unknownKind(let letter):
                "The token is of a kind “\(letter)” that this version does not know; upgrade, or "
                    + "copy the token again."
            case .badCharacter(let position):
                "Character \(position) cannot be in a token; copy the token again, on one line."
            case .damaged: "The token is cut off or mistyped; copy the whole token again."
            case .unknownVersion(let version):
                "The token has format \(version), which this version does not know; upgrade."
            case .badURL: "The token names no portal; ask for a new one."
            }
        }
    }

    private static let prefix = "culvert_"

    /// Reads a token; white space around it is ignored.
    public init(parsing text: String) throws(ParseError) {
        var rest = text[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        guard rest.hasPrefix(Self.prefix) else { throw .notAToken }
        guard rest.utf8.count <= Limits.characterCount else { throw .damaged }
        rest = rest.dropFirst(Self.prefix.count)
        guard let letter = rest.popFirst() else { throw .damaged }
        guard let kind = Kind(rawValue: letter) else { throw .unknownKind(letter) }
        let bytes: [UInt8]
        do {
            bytes = try Base64.decode(rest, as: .url)
        } catch .badCharacter(let offset) {
            throw .badCharacter(position: Self.prefix.count + 2 + offset)
        } catch {
            throw .damaged
        }
        try self.init(kind: kind, bytes: bytes)
    }

    /// The whole token, secret included: shown once, to whom it is for.
    public var text: String {
        let url = Array(url.description.utf8)
        var bytes: [UInt8] = [1, UInt8(truncatingIfNeeded: url.count >> 8)]
        bytes.append(UInt8(truncatingIfNeeded: url.count))
        bytes += url
        bytes.append(UInt8(fingerprint?.count ?? 0))
        bytes += fingerprint ?? []
        bytes += secret
        let sum = Self.checkSum(bytes[...])
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32($0))) }
        return Self.prefix + String(kind.rawValue) + Base64.encode(bytes, as: .url)
    }

    private init(kind: Kind, bytes: [UInt8]) throws(ParseError) {
        guard bytes.count > 4 else { throw .damaged }
        var rest = bytes.dropLast(4)
        let sum = bytes.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard Self.checkSum(rest) == sum, let version = rest.popFirst() else { throw .damaged }
        guard version == 1 else { throw .unknownVersion(version) }
        guard let high = rest.popFirst(), let low = rest.popFirst() else { throw .damaged }
        let url = rest.prefix(Int(high) << 8 | Int(low))
        rest = rest.dropFirst(url.count)
        guard let count = rest.popFirst() else { throw .damaged }
        let fingerprint = rest.prefix(Int(count))
        guard let portal = PortalURL(String(decoding: url, as: UTF8.self)) else { throw .badURL }
        let token = Token(
            kind: kind,
            url: portal,
            fingerprint: count == 0 ? nil : Array(fingerprint),
            secret: Array(rest.dropFirst(Int(count)))
        )
        guard let token else { throw .damaged }
        self = token
    }

    /// CRC-32 (ISO 3309), against typing errors only.
    private static func checkSum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0xedb8_8320 }
        }
        return ~sum
    }
}

extension Token: CustomStringConvertible, CustomReflectable {
    /// The kind and the portal, never the secret.
    public var description: String { "\(kind) token for \(url)" }
    public var customMirror: Mirror { Mirror(self, children: ["kind": kind, "url": url]) }
}
