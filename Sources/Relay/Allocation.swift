internal import Bytes
internal import IP
internal import STUN
internal import SansIO

/// One allocation as the packet path sees it: plain numbers only.
///
///     opening ──port is open──▶ open ──time, Refresh 0, stream closed──▶ (removed)
///        └──no port can be had──▶ (removed)
struct Allocation: Sendable {
    /// No number: no such list, channel or credential.
    static var none: UInt32 { .max }

    /// The client's side.
    var client: ClientKey
    /// The port of the relayed addresses.
    var port: UInt16
    /// Whether the port receives; before, nothing is relayed.
    var isOpen = false
    /// Whether it has an IPv4, an IPv6 address.
    var hasIPv4: Bool
    var hasIPv6: Bool
    /// When it ends; while it is being opened, how long the host has for the port.
    var end: Instant
    /// Whose it is.
    var user: UInt32
    /// The channel that the client used last.
    var recentChannel = none
    /// The first of its permissions and channels, and how many there are.
    var firstPermission = none
    var firstChannel = none
    var permissionCount = 0
    var channelCount = 0
    /// Bytes of data, for `status`.
    var bytesToPeers: UInt64 = 0
    var bytesToClient: UInt64 = 0

    /// Where answers and data go from: the main port, at the address that the client came to.
    var local: Endpoint { Endpoint(high: client.localHigh, low: client.localLow, port: 0) }

    /// Whether it has an address of this family.
    func has(_ family: IPFamily) -> Bool { family == .ipv4 ? hasIPv4 : hasIPv6 }

    func isLive(at now: Instant) -> Bool { isOpen && end > now }
}

/// What only requests need of an allocation; under the same number.
struct AllocationDetails: Sendable {
    /// The credential's name.
    var name: String
    /// Where the client is: not the bridge of a stream.
    var source: Endpoint
    /// The connection that it came by.
    var stream: UInt32?
    /// The Allocate that made it.
    var request: AllocateRequest
    /// The answer to it, for when it comes again.
    var answer: [UInt8] = []
    /// When it was made.
    var opened: Instant
}

/// What an Allocate asked for, kept until its port is open.
struct AllocateRequest: Sendable {
    var transaction: TransactionID
    var proof: Proof
    /// Seconds.
    var lifetime: UInt32
    var wantsEvenPort = false
    var reservesNext = false
    /// The families that were asked for and cannot be had, with the reason.
    var missing: RequestedFamily?
    /// Ports that the host refused.
    var portsRefused = 0
    /// The port of a reservation: no other will do.
    var isReserved = false
}

/// A port kept for who has the token (RFC 8656 7.2).
struct Reservation: Sendable {
    var token: UInt64
    var port: UInt16
    var family: IPFamily
    /// The credential's name.
    var name: String
    var end: Instant
}

/// A client's connection, as a bridge of the host shows it.
struct Stream: Sendable {
    var bridge: Endpoint
    var client: Endpoint
    var allocation = Allocation.none
    var isOpen = true
}

/// That a request was authentic, and how its answer shows the same.
struct Proof: Sendable {
    /// The credential's name, the same over renewals.
    var name: String
    var key: [UInt8]
    /// The kind of integrity that the answer carries (RFC 8489 9.2.4).
    var integrity: STUNIntegrity
}

/// A peer's address that may send to an allocation (RFC 8656 9).
struct Permission: Sendable {
    var key: PeerKey
    /// When it ends; while channels stand it stays in the table, without effect.
    var end: Instant
    /// Channels to this address.
    var channelCount = 0
    var previous = Allocation.none
    var next = Allocation.none
}

/// A peer with a number (RFC 8656 12).
struct Channel: Sendable {
    var key: ChannelKey
    var peer: Endpoint
    /// Whether the peer is at an address of the relay itself.
    var isInside: Bool
    var end: Instant
    /// The permission of the peer's address.
    var permission: UInt32
    var previous = Allocation.none
    var next = Allocation.none
}

/// A credential by the name in it: what its allocations use together.
struct Credential: Sendable {
    var name: String
    var allocationCount = 0
    var bytes = Meter()
    var packets = Meter()
}

/// A bucket that is full after a second of rest.
struct Meter: Sendable {
    /// When it would be full.
    private(set) var full = Instant(nanoseconds: 0)

    /// Whether so much may pass at `now`, at `perSecond`.
    mutating func take(_ amount: Int, perSecond: Int, at now: Instant) -> Bool {
        let cost = UInt64(max(1, amount * 1_000_000_000 / perSecond))
        let start = max(full, now)
        guard start.nanoseconds - now.nanoseconds + cost <= 1_000_000_000 else { return false }
        full = Instant(nanoseconds: start.nanoseconds &+ cost)
        return true
    }
}
