internal import CCrypto

/// HMAC (RFC 2104) with the hashes that STUN and TURN use.
public enum HMAC {
    /// HMAC-SHA1, 20 bytes.
    public static func sha1(_ message: RawSpan, key: RawSpan) -> InlineArray<20, UInt8> {
        var code = InlineArray<20, UInt8>(repeating: 0)
        var target = code.mutableRawSpan
        unsafe compute(EVP_sha1(), message, key, into: &target)
        return code
    }

    /// HMAC-SHA256, 32 bytes.
    public static func sha256(_ message: RawSpan, key: RawSpan) -> Bytes32 {
        var code = Bytes32(repeating: 0)
        var target = code.mutableRawSpan
        unsafe compute(EVP_sha256(), message, key, into: &target)
        return code
    }

    @unsafe private static func compute(
        _ hash: OpaquePointer?,
        _ message: RawSpan,
        _ key: RawSpan,
        into target: inout MutableRawSpan
    ) {
        let isMade = unsafe message.withUnsafeBytes { message in
            unsafe key.withUnsafeBytes { key in
                unsafe target.withUnsafeMutableBytes { target in
                    // A null pointer would mean the key of an earlier call; no key is an empty one.
                    let empty = UnsafeRawPointer(target.baseAddress)
                    var byteCount = UInt32(target.count)
                    return unsafe CCrypto.HMAC(
                        hash,
                        key.baseAddress ?? empty,
                        Int32(key.count),
                        message.baseAddress?.assumingMemoryBound(to: UInt8.self),
                        message.count,
                        target.baseAddress?.assumingMemoryBound(to: UInt8.self),
                        &byteCount
                    ) != nil
                }
            }
        }
        precondition(isMade, "libcrypto has no HMAC")
    }
}
