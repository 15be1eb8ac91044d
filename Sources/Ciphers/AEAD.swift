internal import Bytes
internal import CCrypto

/// ChaCha20-Poly1305 with additional data, one message at a time: for handshakes, not for packets.
public enum ChaCha20Poly1305 {
    /// Bytes by which sealed text is longer than plain text.
    public static var tagByteCount: Int { 16 }

    /// Seals `plain` and vouches for `additional`; the tag is at the end.
    public static func seal(
        _ plain: RawSpan,
        key: RawSpan,
        nonce: InlineArray<12, UInt8>,
        additional: RawSpan = RawSpan()
    ) -> [UInt8] {
        var text = plain.array + [UInt8](repeating: 0, count: tagByteCount)
        let isDone = unsafe run(true, &text, key, nonce, additional)
        precondition(isDone, "libcrypto refused to seal")
        return text
    }

    /// Opens `sealed`, if it and `additional` are what the owner of the key made.
    public static func open(
        _ sealed: RawSpan,
        key: RawSpan,
        nonce: InlineArray<12, UInt8>,
        additional: RawSpan = RawSpan()
    ) throws(AuthenticationError) -> [UInt8] {
        guard sealed.byteCount >= tagByteCount else { throw AuthenticationError() }
        var text = sealed.array
        guard unsafe run(false, &text, key, nonce, additional) else { throw AuthenticationError() }
        text.removeLast(tagByteCount)
        return text
    }

    /// Works on `text` where it lies; its last 16 bytes are the tag.
    @unsafe private static func run(
        _ seals: Bool,
        _ text: inout [UInt8],
        _ key: RawSpan,
        _ nonce: InlineArray<12, UInt8>,
        _ additional: RawSpan
    ) -> Bool {
        precondition(key.byteCount == 32)
        guard let context = unsafe EVP_CIPHER_CTX_new() else { return false }
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        let isReady = unsafe key.withUnsafeBytes { key in
            unsafe nonce.span.withUnsafeBufferPointer { nonce in
                unsafe EVP_CipherInit_ex(
                    context,
                    EVP_chacha20_poly1305(),
                    nil,
                    key.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    nonce.baseAddress,
                    seals ? 1 : 0
                ) == 1
            }
        }
        guard isReady, unsafe authenticate(additional, context) else { return false }
        return unsafe text.withUnsafeMutableBufferPointer { text in
            guard let base = text.baseAddress else { return false }
            let tag = unsafe base + (text.count - tagByteCount)
            let byteCount = Int32(text.count - tagByteCount)
            var written: Int32 = 0
            var rest: UInt8 = 0
            if !seals, unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag) != 1 {
                return false
            }
            guard
                unsafe EVP_CipherUpdate(context, base, &written, base, byteCount) == 1
                    && EVP_CipherFinal_ex(context, &rest, &written) == 1
            else { return false }
            return unsafe !seals
                || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1
        }
    }

    @unsafe private static func authenticate(
        _ additional: RawSpan,
        _ context: OpaquePointer
    ) -> Bool {
        guard additional.byteCount > 0 else { return true }
        return unsafe additional.withUnsafeBytes { bytes in
            var written: Int32 = 0
            let base = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe EVP_CipherUpdate(context, nil, &written, base, Int32(bytes.count)) == 1
        }
    }
}
