internal import Bytes
internal import Ciphers
internal import SansIO

/// What a tunnel's peer is to a handshake.
struct Peer: ~Copyable {
    let key: Key
    let messageKeys: MessageKeys
    /// Diffie-Hellman of both static keys, the same in every handshake.
    let shared: Secret
    /// All zero when there is none (5.2).
    let preshared: Secret

    init(_ key: Key, presharedKey: Key?, as identity: borrowing Identity) throws(HandshakeError) {
        guard let shared = X25519.sharedSecret(identity.privateKey, key.bytes) else {
            throw .weakKey
        }
        self.init(key, presharedKey: presharedKey, shared: shared)
    }

    /// One whose Diffie-Hellman was done before.
    init(_ key: Key, presharedKey: Key?, shared: consuming Secret) {
        self.key = key
        self.shared = shared
        messageKeys = MessageKeys(of: key)
        if let presharedKey {
            preshared = Secret(copying: presharedKey.bytes)
        } else {
            preshared = Secret()
        }
    }
}

/// The initiator's side of a handshake, from its initiation to the response.
struct PendingHandshake: ~Copyable {
    let localIndex: UInt32
    private let noise: NoiseState
    private let ephemeral: Secret

    /// Begins a handshake and writes its first message (5.4.2) into `message`.
    init(
        with peer: borrowing Peer,
        as identity: borrowing Identity,
        localIndex: UInt32,
        timestamp: Timestamp,
        ephemeral: consuming Secret,
        message: inout [UInt8]
    ) throws(HandshakeError) {
        let ephemeralKey = X25519.publicKey(of: ephemeral)
        guard let secret = X25519.sharedSecret(ephemeral, peer.key.bytes) else { throw .weakKey }
        var noise = NoiseState(responder: peer.key)
        noise.mixEphemeral(ephemeralKey.rawSpan)
        message = HandshakeMessage.header(.initiation, localIndex)
        message += ephemeralKey.rawSpan.array
        message += noise.seal(identity.publicKey.bytes, mixing: secret)
        message += noise.seal(timestamp.array.rawSpan, mixing: peer.shared)
        HandshakeMessage.appendCodes(to: &message, key: peer.messageKeys)
        self.noise = noise
        self.ephemeral = ephemeral
        self.localIndex = localIndex
    }

    /// Reads the response (5.4.3); the session can send at once. Stays usable when it throws.
    borrowing func finish(
        with response: borrowing ResponseView,
        from peer: borrowing Peer,
        as identity: borrowing Identity,
        at now: Instant,
        timing: Timing
    ) throws(HandshakeError) -> Session {
        guard
            let ephemerals = X25519.sharedSecret(ephemeral, response.ephemeral),
            let mixed = X25519.sharedSecret(identity.privateKey, response.ephemeral)
        else { throw .weakKey }
        var noise = self.noise.copy()
        noise.mixEphemeral(response.ephemeral)
        noise.mixSecret(ephemerals)
        noise.mixSecret(mixed)
        try noise.openNothing(response.sealedNothing, mixing: peer.preshared)
        var receiving = Secret()
        let sending = noise.split(into: &receiving)
        return Session(
            sending: sending,
            receiving: receiving,
            localIndex: localIndex,
            remoteIndex: response.sender,
            isInitiator: true,
            at: now,
            timing: timing
        )
    }
}

/// An initiation that was read as far as it goes without knowing the peer: whose it is.
///
/// That it is fresh, ``Tunnel/respond(to:index:random:at:)`` of that peer's tunnel finds out.
public struct IncomingInitiation: ~Copyable {
    /// The static public key in it, whose owner need not be the sender: it may be a replay.
    public let initiator: Key
    /// The index that the initiator wants to be answered at.
    public let sender: UInt32
    private var noise: NoiseState
    private let ephemeral: Bytes32
    private let sealedTimestamp: InlineArray<28, UInt8>

    /// Reads `datagram` (5.4.2), whose `mac1` must be right; costs one Diffie-Hellman.
    public init(
        _ datagram: RawSpan,
        as identity: borrowing Identity
    ) throws(HandshakeError) {
        let view = try InitiationView(datagram)
        try HandshakeMessage.checkCode(datagram, key: identity.messageKeys)
        guard let secret = X25519.sharedSecret(identity.privateKey, view.ephemeral) else {
            throw .weakKey
        }
        var noise = NoiseState(responder: identity.publicKey)
        noise.mixEphemeral(view.ephemeral)
        let opened = try noise.open(view.sealedStatic, mixing: secret)
        guard let key = Key(copying: opened.rawSpan) else { throw .malformed }
        initiator = key
        sender = view.sender
        self.noise = noise
        ephemeral = Bytes32(copying: view.ephemeral)
        sealedTimestamp = InlineArray(copying: view.sealedTimestamp)
    }

    /// Opens the time stamp: from now on the initiator is known to hold its key.
    mutating func openTimestamp(from peer: borrowing Peer) throws(HandshakeError) -> Timestamp {
        guard initiator == peer.key else { throw .wrongPeer }
        let opened = try noise.open(sealedTimestamp.rawSpan, mixing: peer.shared)
        guard opened.count == Timestamp.byteCount else { throw .malformed }
        return Timestamp(reading: opened.rawSpan)
    }

    /// Writes the response (5.4.3) into `message`, after the time stamp was opened.
    mutating func respond(
        to peer: borrowing Peer,
        ephemeral own: consuming Secret,
        localIndex: UInt32,
        at now: Instant,
        timing: Timing,
        message: inout [UInt8]
    ) throws(HandshakeError) -> Session {
        let ownKey = X25519.publicKey(of: own)
        guard
            let ephemerals = X25519.sharedSecret(own, ephemeral.rawSpan),
            let mixed = X25519.sharedSecret(own, initiator.bytes)
        else { throw .weakKey }
        noise.mixEphemeral(ownKey.rawSpan)
        noise.mixSecret(ephemerals)
        noise.mixSecret(mixed)
        message = HandshakeMessage.header(.response, localIndex, sender)
        message += ownKey.rawSpan.array
        message += noise.sealNothing(mixing: peer.preshared)
        HandshakeMessage.appendCodes(to: &message, key: peer.messageKeys)
        var sending = Secret()
        let receiving = noise.split(into: &sending)
        return Session(
            sending: sending,
            receiving: receiving,
            localIndex: localIndex,
            remoteIndex: sender,
            isInitiator: false,
            at: now,
            timing: timing
        )
    }
}
