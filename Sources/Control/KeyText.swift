internal import Bytes

/// A public key of 32 bytes; base64 in messages, as WireGuard's tools write it.
public struct KeyText: Hashable, Sendable {
    /// The 32 bytes.
    public let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }
}

extension KeyText: LosslessStringConvertible {
    /// Base64 of 32 bytes.
    public init?(_ text: String) {
        guard let bytes = try? Base64.decode(text, as: .standard) else { return nil }
        self.init(bytes: bytes)
    }

    public var description: String { Base64.encode(bytes, as: .standard) }
}

extension KeyText: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let key = KeyText(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not a key of 32 bytes in base64"
            )
        }
        self = key
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A secret of 32 bytes that two peers share; base64 in messages, nothing in logs.
public struct PresharedKeyText: Hashable, Sendable, Codable, CustomStringConvertible {
    private let key: KeyText

    /// Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard let key = KeyText(bytes: bytes) else { return nil }
        self.key = key
    }

    public init(from decoder: any Decoder) throws { key = try KeyText(from: decoder) }

    public func encode(to encoder: any Encoder) throws { try key.encode(to: encoder) }

    /// The 32 bytes.
    public var bytes: [UInt8] { key.bytes }

    /// Says that there is a secret, never which.
    public var description: String { "(secret)" }
}
