internal import Bytes
internal import Ciphers
public import SansIO

/// What a peer under load asks to be shown (5.3): it proves that we receive at the address that we
/// send from, so it belongs to one path.
public struct Cookie: Sendable, CustomStringConvertible {
    /// How long a cookie is good for: the secret behind it lives 120 s, less 5 s on the way.
    public static var age: Duration { .seconds(115) }

    private let bytes: InlineArray<16, UInt8>
    private let goodUntil: Instant

    init(_ bytes: InlineArray<16, UInt8>, at now: Instant) {
        self.bytes = bytes
        goodUntil = now.advanced(by: Self.age)
    }

    /// Writes the `mac2` of an initiation or a response (5.4.4); false: the cookie is too old.
    public func authenticate(_ message: inout [UInt8], at now: Instant) -> Bool {
        guard now < goodUntil, message.count > HandshakeMessage.codeByteCount else { return false }
        message.removeLast(HandshakeMessage.codeByteCount)
        message += BLAKE2s.mac(message.rawSpan, key: bytes.rawSpan).rawSpan.array
        return true
    }

    public var description: String { "Cookie" }
}
