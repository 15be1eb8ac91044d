// # Ciphers
//
// The cryptography that the protocols are made of: ChaCha20-Poly1305 one packet at a time and with
// additional data, XChaCha20-Poly1305, BLAKE2s, Noise's key derivation, X25519, HMAC, and MD5 and
// SHA-256 for the credentials of STUN. The work is done by libcrypto, and for packets by
// libipsec-mb where that is faster; both give the same bytes.
//
// It knows no protocol, draws no randomness and keeps no table of keys. What is secret lives in a
// `Secret`, which is wiped when it goes away and never printed.

/// 32 bytes that are no secret: a hash, a public key.
public typealias Bytes32 = InlineArray<32, UInt8>

/// Why sealed bytes were refused: they are not what the owner of the key made.
public struct AuthenticationError: Error, Equatable {
    public init() {}
}
