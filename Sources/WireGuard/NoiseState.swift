internal import Bytes
internal import Ciphers

/// What both sides of a handshake accumulate (5.4): the chaining key and the hash of everything so
/// far. Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s with the paper's identifier.
struct NoiseState: ~Copyable {
    private(set) var hash: Bytes32
    private var chain: ChainingKey

    /// The start of each handshake, before any message.
    /// - Parameter responder: The responder's static public key, known to both beforehand.
    init(responder: Key) {
        let construction = [UInt8]("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8)
        let identifier = [UInt8]("WireGuard v1 zx2c4 Jason@zx2c4.com".utf8)
        let start = BLAKE2s.hash(construction.rawSpan)
        chain = ChainingKey(start)
        hash = BLAKE2s.hash(start.rawSpan, identifier.rawSpan)
        mix(responder.bytes)
    }

    private init(hash: Bytes32, chain: consuming ChainingKey) {
        self.hash = hash
        self.chain = chain
    }

    /// Another owner of the same state, so that a forged message does not spoil it.
    func copy() -> NoiseState { NoiseState(hash: hash, chain: chain.copy()) }

    /// Takes `bytes`, which both sides see, into the hash.
    mutating func mix(_ bytes: RawSpan) { hash = BLAKE2s.hash(hash.rawSpan, bytes) }

    /// Takes an ephemeral public key into the hash and the chaining key.
    mutating func mixEphemeral(_ key: RawSpan) {
        chain.mix(key)
        mix(key)
    }

    /// Takes a Diffie-Hellman result into the chaining key.
    mutating func mixSecret(_ secret: borrowing Secret) { chain.mix(secret.bytes) }

    /// Takes a Diffie-Hellman result into the chaining key and seals `plain` with what follows.
    mutating func seal(_ plain: RawSpan, mixing secret: borrowing Secret) -> [UInt8] {
        seal(plain, key: chain.derive(secret.bytes))
    }

    /// Takes a Diffie-Hellman result into the chaining key and opens `sealed` with what follows.
    mutating func open(
        _ sealed: RawSpan,
        mixing secret: borrowing Secret
    ) throws(HandshakeError) -> [UInt8] {
        try open(sealed, key: chain.derive(secret.bytes))
    }

    /// Takes the preshared key in and seals the empty text of the response (5.4.3).
    mutating func sealNothing(mixing preshared: borrowing Secret) -> [UInt8] {
        seal(RawSpan(), key: mixPreshared(preshared))
    }

    /// Takes the preshared key in and opens the empty text of the response (5.4.3).
    mutating func openNothing(
        _ sealed: RawSpan,
        mixing preshared: borrowing Secret
    ) throws(HandshakeError) {
        _ = try open(sealed, key: mixPreshared(preshared))
    }

    /// The end (5.4.5): the key of the initiator's packets; the responder's goes to `second`.
    mutating func split(into second: inout Secret) -> Secret {
        second = chain.derive(RawSpan())
        return Secret(copying: chain.bytes)
    }

    private mutating func mixPreshared(_ preshared: borrowing Secret) -> Secret {
        var middle = Secret()
        let key = chain.derive(preshared.bytes, middle: &middle)
        mix(middle.bytes)
        return key
    }

    private mutating func seal(_ plain: RawSpan, key: consuming Secret) -> [UInt8] {
        let sealed = ChaCha20Poly1305.seal(
            plain,
            key: key.bytes,
            nonce: InlineArray(repeating: 0),
            additional: hash.rawSpan
        )
        mix(sealed.rawSpan)
        return sealed
    }

    private mutating func open(
        _ sealed: RawSpan,
        key: consuming Secret
    ) throws(HandshakeError) -> [UInt8] {
        do {
            let plain = try ChaCha20Poly1305.open(
                sealed,
                key: key.bytes,
                nonce: InlineArray(repeating: 0),
                additional: hash.rawSpan
            )
            mix(sealed)
            return plain
        } catch {
            throw .notAuthentic
        }
    }
}
