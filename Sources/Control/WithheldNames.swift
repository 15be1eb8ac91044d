internal import Bytes

/// The names that are protected, but not for this client: known to it by fingerprint only.
///
/// A client must answer such a name with a proxy address too, so that its first packet is refused
/// at once and in words instead of leaving for somewhere else. It needs no list of what others may
/// reach for that: it can test a name that somebody typed, and cannot read the names off. An exact
/// name and everything below a `*.` pattern can be withheld so; patterns with wildcards inside
/// cannot, and their names are forwarded.
public struct WithheldNames: Hashable, Sendable, Codable {
    /// The key of the fingerprints, the account's own.
    public var salt: KeyText
    /// Fingerprints in base64url, sorted.
    public var fingerprints: [String]

    public init(salt: KeyText, fingerprints: [String]) {
        (self.salt, self.fingerprints) = (salt, fingerprints)
    }

    private enum CodingKeys: String, CodingKey {
        case salt, fingerprints
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        salt = try container.decode(KeyText.self, forKey: .salt)
        fingerprints = try container.decodeList(
            of: String.self,
            forKey: .fingerprints,
            countMax: ChannelLimits.entries
        )
    }

    /// The fingerprint of a name (lower case, no final dot).
    ///
    /// With `isSuffix` the name stands for itself and everything below it.
    public static func fingerprint(of name: String, isSuffix: Bool, salt: KeyText) -> String {
        let text = Array((isSuffix ? "*." + name : name).utf8)
        return Base64.encode(SipHash.hash(text, key: key(salt)), as: .url)
    }

    private static func key(_ salt: KeyText) -> (UInt64, UInt64) {
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
            bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let bytes = salt.bytes
        return (word(bytes[0..<8]), word(bytes[8..<16]))
    }

    /// What a client calls a resource that it knows by fingerprint only.
    public static func resource(_ fingerprint: String) -> ResourceID {
        ResourceID("withheld:" + fingerprint)
    }

    /// The fingerprint in such a name; nil for a resource that the client knows.
    public static func fingerprint(in resource: ResourceID) -> String? {
        let prefix = "withheld:"
        guard resource.text.hasPrefix(prefix) else { return nil }
        return String(resource.text.dropFirst(prefix.count))
    }
}
