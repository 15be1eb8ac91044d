internal import CCrypto

/// Diffie-Hellman on Curve25519 (RFC 7748).
public enum X25519 {
    /// The public key that belongs to `privateKey`.
    public static func publicKey(of privateKey: borrowing Secret) -> Bytes32 {
        var result = Bytes32(repeating: 0)
        var target = result.mutableRawSpan
        let isMade = unsafe privateKey.bytes.withUnsafeBytes { key in
            guard let own = unsafe makePrivate(key) else { return false }
            defer { unsafe EVP_PKEY_free(own) }
            var byteCount = 32
            return unsafe target.withUnsafeMutableBytes { target in
                unsafe EVP_PKEY_get_raw_public_key(
                    own,
                    target.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    &byteCount
                ) == 1
            }
        }
        precondition(isMade, "libcrypto has no X25519")
        return result
    }

    /// The secret that both sides share; nil when it is all zero: the other key is of small order
    /// (RFC 7748 section 6.1).
    public static func sharedSecret(
        _ privateKey: borrowing Secret,
        _ publicKey: RawSpan
    ) -> Secret? {
        guard publicKey.byteCount == 32 else { return nil }
        var secret = Secret()
        var target = secret.mutableBytes
        let isDerived = unsafe privateKey.bytes.withUnsafeBytes { key in
            unsafe publicKey.withUnsafeBytes { peer in
                unsafe target.withUnsafeMutableBytes { unsafe derive(key, peer, into: $0) }
            }
        }
        // libcrypto refuses an all-zero result itself; this holds whatever it does.
        guard isDerived, !secret.bytes.isEqualInConstantTime(to: Secret().bytes) else {
            return nil
        }
        return secret
    }

    private static func derive(
        _ key: UnsafeRawBufferPointer,
        _ peer: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard let own = unsafe makePrivate(key) else { return false }
        defer { unsafe EVP_PKEY_free(own) }
        let peerBytes = unsafe peer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard
            let other = unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, peerBytes, 32)
        else { return false }
        defer { unsafe EVP_PKEY_free(other) }
        guard let context = unsafe EVP_PKEY_CTX_new(own, nil) else { return false }
        defer { unsafe EVP_PKEY_CTX_free(context) }
        var byteCount = target.count
        let targetBytes = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_PKEY_derive_init(context) == 1
            && EVP_PKEY_derive_set_peer(context, other) == 1
            && EVP_PKEY_derive(context, targetBytes, &byteCount) == 1
            && byteCount == target.count
    }

    private static func makePrivate(_ key: UnsafeRawBufferPointer) -> OpaquePointer? {
        let bytes = unsafe key.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nil, bytes, key.count)
    }
}
