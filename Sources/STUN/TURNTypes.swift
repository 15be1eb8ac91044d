public import Bytes
public import IP

/// A relay that one may use: where it is, and with what credentials.
public struct TURNServer: Sendable, Equatable {
    /// The portal's name for it.
    public var id: String
    /// Where it takes datagrams, at most one of a family; empty: it is reached by a stream only.
    public var endpoints: [Endpoint]
    /// The user name of long-term credentials.
    public var username: String
    /// The password.
    public var password: String

    public init(id: String, endpoints: [Endpoint], username: String, password: String) {
        (self.id, self.endpoints) = (id, endpoints)
        (self.username, self.password) = (username, password)
    }

    var credentials: LongTermCredentials {
        LongTermCredentials(username: username, password: password)
    }
}

/// What a datagram was.
public enum TURNReceived: Sendable, Equatable {
    /// Not from this relay, or no STUN and no channel data.
    case notOurs
    /// Of this relay, and done with.
    case handled
    /// Data of a peer; where they lie in the datagram.
    case data(from: Endpoint, Range<Int>)
}

/// How data get to a peer.
public enum TURNFraming: Sendable, Equatable {
    /// Behind a header of channel data: ``ChannelData/writeHeader(_:byteCount:into:at:)``.
    case channel(UInt16)
    /// Inside a Send indication: ``TURNClient/writeIndication(to:dataByteCount:into:)``.
    case indication
    /// Not at all: no allocation, none of the peer's family, not asked for, or refused.
    case unavailable
}

/// What the owner must do or may like to know.
public enum TURNOutput: Sendable, Equatable {
    /// A datagram for the relay, or for the bridge to it.
    case send([UInt8], to: Endpoint)
    /// Something happened.
    case event(TURNEvent)
}

/// What happened. The state behind it can be read at any time: ``TURNClient/mappedAddresses``,
/// ``TURNClient/relayedAddresses``, ``TURNClient/roundTrip``.
public enum TURNEvent: Sendable, Equatable {
    /// The relay sees us at this address: server-reflexive, one of a family; replaces the former.
    case mapped(Endpoint)
    /// The server-reflexive address of a family is of no use any more: a stream took its place.
    case unmapped(IPFamily)
    /// An allocation stands; its relayed addresses, at most one of a family.
    case allocated([Endpoint])
    /// An allocation that stood does so no more. The machine tries to get it back, or a new one.
    case lost(TURNFailure)
    /// An attempt to get or keep an allocation failed. The machine tries again after a while; new
    /// credentials, or a stream, make it try at once.
    case failed(TURNFailure)
    /// No answer to any datagram for 750 ms, or there is no endpoint for datagrams: a stream would
    /// help. Said once for each such time.
    case unreachable
    /// Datagrams are answered although a stream is in use: ``TURNClient/useStream(_:at:)`` with nil
    /// would be the better way. Said at each such answer.
    case reachable
    /// The smoothed round-trip time after a new sample.
    case roundTrip(Duration)
}

/// Why there is no allocation.
public enum TURNFailure: Sendable, Equatable {
    /// The relay does not answer.
    case noAnswer
    /// The relay knows nothing of it: 437.
    case mismatch
    /// Its time is over.
    case expired
    /// The credentials are refused: 401 or 441; new ones are needed.
    case unauthorized
    /// This user may have no more: 486.
    case quota
    /// The relay has no more to give: 508.
    case capacity
    /// The relay does not want to: 403.
    case forbidden
    /// The relay cannot do what we need: 420, 440, 442.
    case unsupported
    /// The relay names another one, and that one another …: 300.
    case redirected
    /// Any other error.
    case refused(STUNErrorCode)
    /// The way to the relay was changed by ``TURNClient/useStream(_:at:)`` or a new endpoint.
    case moved
}
