public import Bytes
public import SansIO

extension Relay {
    /// What the host says.
    public enum Command: Sendable {
        /// Everything anew: secrets, limits, addresses. Allocations stay, those whose public
        /// address went excepted; permissions for peers that are refused from now on go.
        case configure(Configuration)
        /// A port that was asked for receives now.
        case portOpened(UInt16)
        /// A port that was asked for cannot be had, or no longer works.
        case portRefused(UInt16)
        /// A TCP or TLS connection of `client` stands, whose messages come as datagrams from
        /// `bridge`; said before the first of them.
        case streamOpened(bridge: Endpoint, client: Endpoint)
        /// The connection behind `bridge` is over, and what hung on it.
        case streamClosed(bridge: Endpoint)
        /// Tell nobody, close everything; ``Output/finished`` follows.
        case shutdown
    }

    /// What the host must do.
    public enum Output: Sendable, Equatable {
        /// Open or close a port.
        case port(PortRequest)
        /// End the connection behind `bridge`.
        case closeStream(bridge: Endpoint)
        /// For the log.
        case event(Event)
        /// Everything is closed: stop.
        case finished
    }

    /// Something that people may want to know; names and addresses are for debugging only.
    public enum Event: Sendable, Equatable {
        /// A client has relayed addresses.
        case allocated(client: Endpoint, name: String, relayed: [Endpoint])
        /// An allocation is over.
        case ended(client: Endpoint, name: String, End)
        /// A client was refused because its credential has as many allocations as it may.
        case quotaReached(client: Endpoint, name: String)
        /// No port could be had.
        case portsExhausted
    }

    /// Why an allocation ended.
    public enum End: String, Sendable, Codable {
        /// It was not refreshed.
        case expired
        /// The client said so.
        case released
        /// The client's connection is over.
        case streamClosed
        /// The public address is no longer ours.
        case addressGone
        /// The host lost the port.
        case portLost
        /// The relay stops.
        case shutdown
    }

    /// What passed and what went no further, and why; counts since the start.
    public struct Counters: Sendable, Equatable, Codable {
        /// Datagrams and bytes of data from clients to peers.
        public var packetsToPeers: UInt64 = 0
        public var bytesToPeers: UInt64 = 0
        /// Datagrams and bytes of data from peers to clients.
        public var packetsToClients: UInt64 = 0
        public var bytesToClients: UInt64 = 0
        /// Of both: datagrams that went from one allocation of ours to another.
        public var packetsInside: UInt64 = 0

        /// Allocations made, and ended in whatever way.
        public var allocationsOpened: UInt64 = 0
        public var allocationsClosed: UInt64 = 0
        /// Requests answered with success, and with an error.
        public var successes: UInt64 = 0
        public var failures: UInt64 = 0
        /// Requests without credentials that were told to come with some: 401.
        public var challenges: UInt64 = 0
        /// Wrong passwords, unknown names, names whose time is over: 401.
        public var credentialsRefused: UInt64 = 0
        /// Nonces that were too old or another client's: 438.
        public var staleNonces: UInt64 = 0
        /// Allocations refused by the quota: 486.
        public var quotaReached: UInt64 = 0
        /// Requests refused because no port or no room was left: 508.
        public var capacityReached: UInt64 = 0
        /// Peers refused by their address: 403.
        public var peersRefused: UInt64 = 0

        /// Dropped: what is no STUN message and no channel data, or malformed.
        public var malformed: UInt64 = 0
        /// Dropped: requests beyond the rate of their source.
        public var requestsLimited: UInt64 = 0
        /// Dropped: answers that would have been more than a stranger had paid for.
        public var answersLimited: UInt64 = 0
        /// Dropped: data of clients without allocation.
        public var noAllocation: UInt64 = 0
        /// Dropped: data under a channel number that is not bound.
        public var noChannel: UInt64 = 0
        /// Dropped: data to or from peers without permission.
        public var noPermission: UInt64 = 0
        /// Dropped: data to an address of the relay that is not lent to anybody.
        public var ownAddress: UInt64 = 0
        /// Dropped: data to a port that is no longer, or not yet, lent.
        public var closedPort: UInt64 = 0
        /// Dropped: data beyond the bytes or datagrams a second of their credential.
        public var bandwidthLimited: UInt64 = 0
        /// Dropped: datagrams with source port 0, or from an address that cannot be answered; and
        /// requests that nobody can judge yet.
        public var unanswerable: UInt64 = 0
        /// Dropped: datagrams that do not fit, or are empty.
        public var sizes: UInt64 = 0

        public init() {}
    }
}
