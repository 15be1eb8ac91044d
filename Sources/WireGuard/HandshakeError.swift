/// Why a handshake message or a cookie reply was refused; the raw value is a label for counters.
public enum HandshakeError: String, Error, Equatable, CaseIterable {
    /// Not a message of the expected type and size.
    case malformed
    /// Its `mac1` is wrong: the sender does not know our public key.
    case wrongMac1 = "wrong_mac1"
    /// Something sealed in it is not what a peer with the right keys makes.
    case notAuthentic = "not_authentic"
    /// A public key in it, or the peer's, is of small order.
    case weakKey = "weak_key"
    /// It is a peer's, but not this tunnel's.
    case wrongPeer = "wrong_peer"
    /// An initiation that is not newer than one seen before.
    case replayed
    /// An initiation too soon after the last one.
    case tooSoon = "too_soon"
    /// It answers nothing that is waiting for an answer.
    case unexpected
}

/// Why a transport packet was refused; the raw value is a label for counters.
public enum OpenError: String, Error, Equatable, CaseIterable {
    /// Not a transport packet.
    case malformed
    /// No session of this tunnel has that index.
    case unknownIndex = "unknown_index"
    /// The session is too old, or has carried too many packets.
    case expired
    /// The counter was seen before, or is older than the window.
    case replayed
    /// Not sealed by the peer.
    case notAuthentic = "not_authentic"
    /// The caller's buffer is too small for it.
    case noRoom = "no_room"
}
