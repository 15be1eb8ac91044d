internal import Bytes
internal import Ciphers

/// The two ways in which a message shows that its sender knows the key (RFC 8489 14.5, 14.6).
public enum STUNIntegrity: Sendable, Hashable, CaseIterable {
    /// MESSAGE-INTEGRITY: HMAC-SHA1, 20 bytes.
    case sha1
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, 32 bytes, or cut down to 16.
    case sha256

    /// Bytes of the value, when it is not cut.
    var byteCount: Int { self == .sha1 ? 20 : 32 }

    var attribute: STUNAttributeType { self == .sha1 ? .integrity : .integritySHA256 }

    /// The code over the first `offset` bytes, as if the message ended with the integrity whose
    /// value has `valueByteCount` bytes; its first bytes count, the rest is zero.
    func code(
        of message: RawSpan,
        upTo offset: Int,
        valueByteCount: Int,
        key: RawSpan
    ) -> InlineArray<32, UInt8> {
        var covered = message.extracting(first: offset).array
        let length = offset + 4 + valueByteCount - STUNMessage.headerByteCount
        covered[2] = UInt8(truncatingIfNeeded: length >> 8)
        covered[3] = UInt8(truncatingIfNeeded: length)
        guard self == .sha1 else { return HMAC.sha256(covered.rawSpan, key: key) }
        let short = HMAC.sha1(covered.rawSpan, key: key)
        var code = InlineArray<32, UInt8>(repeating: 0)
        for index in 0..<byteCount { code[index] = short[index] }
        return code
    }
}
