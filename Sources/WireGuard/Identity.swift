public import Ciphers
internal import Bytes

/// A static key pair: who we are to all peers. Lives in memory only.
public struct Identity: ~Copyable {
    let privateKey: Secret
    let messageKeys: MessageKeys
    /// What peers know us by.
    public let publicKey: Key

    public init(privateKey: consuming Secret) {
        publicKey = Key(X25519.publicKey(of: privateKey))
        messageKeys = MessageKeys(of: publicKey)
        self.privateKey = privateKey
    }

    /// A new pair, drawn from `random`.
    public init(from random: inout some RandomNumberGenerator) {
        self.init(privateKey: Secret(from: &random))
    }
}

/// The keys of the codes that guard handshake messages to the owner of a public key (5.4.4, 5.4.7).
/// They follow from the public key, so they are no secrets among peers.
struct MessageKeys: Sendable {
    /// Key of `mac1`: HASH(LABEL-MAC1 ‖ public key).
    let mac1: Bytes32
    /// Key of cookie replies that the owner makes: HASH(LABEL-COOKIE ‖ public key).
    let cookie: Bytes32

    init(of key: Key) {
        mac1 = BLAKE2s.hash([UInt8]("mac1----".utf8).rawSpan, key.bytes)
        cookie = BLAKE2s.hash([UInt8]("cookie--".utf8).rawSpan, key.bytes)
    }
}
