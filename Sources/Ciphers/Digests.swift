internal import CCrypto

/// MD5 (RFC 1321), for the long-term credentials of STUN only; worth nothing by itself.
public enum MD5 {
    /// The digest of `message`.
    public static func hash(_ message: RawSpan) -> InlineArray<16, UInt8> {
        var digest = InlineArray<16, UInt8>(repeating: 0)
        var target = digest.mutableRawSpan
        unsafe compute(EVP_md5(), message, into: &target)
        return digest
    }
}

/// SHA-256 (FIPS 180-4).
public enum SHA256 {
    /// The digest of `message`.
    public static func hash(_ message: RawSpan) -> Bytes32 {
        var digest = Bytes32(repeating: 0)
        var target = digest.mutableRawSpan
        unsafe compute(EVP_sha256(), message, into: &target)
        return digest
    }
}

@unsafe private func compute(
    _ hash: OpaquePointer?,
    _ message: RawSpan,
    into target: inout MutableRawSpan
) {
    let isMade = unsafe message.withUnsafeBytes { message in
        unsafe target.withUnsafeMutableBytes { target in
            var byteCount = UInt32(target.count)
            let digest = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe EVP_Digest(
                message.baseAddress,
                message.count,
                digest,
                &byteCount,
                hash,
                nil
            ) == 1
        }
    }
    precondition(isMade, "libcrypto lacks a hash")
}
