internal import Bytes
internal import Ciphers

/// What initiation and response have in common: words in front, two codes at the end (5.4.4).
enum HandshakeMessage {
    /// Bytes of `mac1` and of `mac2`.
    static var codeByteCount: Int { 16 }

    /// The type and the indices, little-endian.
    static func header(_ kind: MessageKind, _ indices: UInt32...) -> [UInt8] {
        ([kind.rawValue] + indices).flatMap { word in
            (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
        }
    }

    /// Ends `message` with `mac1` for the owner of `key` and a `mac2` of zeros.
    static func appendCodes(to message: inout [UInt8], key: MessageKeys) {
        message += BLAKE2s.mac(message.rawSpan, key: key.mac1.rawSpan).rawSpan.array
        message += [UInt8](repeating: 0, count: codeByteCount)
    }

    /// The `mac1` of a message of either kind.
    @_lifetime(copy message)
    static func mac1(of message: RawSpan) -> RawSpan {
        let end = message.byteCount - codeByteCount
        return message.extracting(end - codeByteCount..<end)
    }

    /// Checks that the sender knows the public key that `key` follows from.
    static func checkCode(_ message: RawSpan, key: MessageKeys) throws(HandshakeError) {
        let covered = message.extracting(droppingLast: 2 * codeByteCount)
        let expected = BLAKE2s.mac(covered, key: key.mac1.rawSpan)
        guard mac1(of: message).isEqualInConstantTime(to: expected.rawSpan) else {
            throw .wrongMac1
        }
    }

    /// Whether `mac2` is made with `cookie`.
    static func isAuthenticated(_ message: RawSpan, with cookie: InlineArray<16, UInt8>) -> Bool {
        let covered = message.extracting(droppingLast: codeByteCount)
        let expected = BLAKE2s.mac(covered, key: cookie.rawSpan)
        return message.extracting(last: codeByteCount)
            .isEqualInConstantTime(to: expected.rawSpan)
    }
}
