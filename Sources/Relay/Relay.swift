public import Bytes
internal import IP
internal import STUN
public import SansIO

/// The role that lends addresses: a TURN server (RFC 8489, RFC 8656) as a core without sockets or
/// clocks.
///
/// A client with a time-limited credential is lent a port of the relay's public addresses; what
/// permitted peers send there goes to the client, and the client's data to them. Datagrams of
/// clients come to the main port, those of peers to the lent ones; clients behind TCP and TLS come
/// by bridges of the host and look like any other client. Data between two clients of the relay
/// never touch a socket.
///
/// It opens no packet of a tunnel, and knows neither clients nor gateways but by their credentials.
/// Before a request has shown a valid credential, or at least that its source address is its own,
/// nobody gets more bytes than he sent (``SourceLedger`` has the fine print).
public struct Relay: ~Copyable, PacketMachine {
    /// Bounds of a relay.
    public enum Limits {
        /// Allocations, whatever the ports would allow.
        public static var allocations: Int { 16_384 }
        /// Permissions of one allocation: a gateway permits the addresses of all its clients.
        public static var permissionsPerAllocation: Int { 8_192 }
        /// Permissions of all.
        public static var permissions: Int { 262_144 }
        /// Channels of one allocation: as many as RFC 8656 has numbers.
        public static var channelsPerAllocation: Int { 4_096 }
        /// Channels of all.
        public static var channels: Int { 131_072 }
        /// The numbers that a channel may have: those of RFC 5766, whose clients are still about.
        /// RFC 8656 ends at 0x4FFF so that other protocols can share the client's socket, which is
        /// the client's affair.
        public static var channelNumbers: ClosedRange<UInt16> { 0x4000...0x7fff }
        /// Credentials in use at a time, those included that ended within the last second.
        public static var credentials: Int { 32_768 }
        /// Connections of clients.
        public static var streams: Int { 8_192 }
        /// Ports kept for a token.
        public static var reservations: Int { 256 }
        /// Secrets that are tried.
        public static var secrets: Int { 4 }
        /// Ports asked of the host before an allocation is refused.
        public static var portsTried: Int { 8 }
        /// How long the host has for a port.
        public static var portPatience: Duration { .seconds(5) }
        /// Life of an allocation that asks for no longer one, in seconds (RFC 8656 3.2).
        public static var lifetimeDefault: UInt32 { 600 }
        /// Life of an allocation without refresh, at most, in seconds.
        public static var lifetimeMax: UInt32 { 3_600 }
        /// Life of a permission (RFC 8656 9).
        public static var permissionLife: Duration { .seconds(300) }
        /// Life of a channel (RFC 8656 12).
        public static var channelLife: Duration { .seconds(600) }
        /// How long a reserved port waits for its token (RFC 8656 7.2).
        public static var reservationLife: Duration { .seconds(30) }
        /// How long a connection may stand without an allocation.
        public static var streamPatience: Duration { .seconds(60) }
        /// Bytes of the largest datagram.
        public static var datagramByteCount: Int { 65_507 }
        /// Bytes of the longest answer; names and realms are short.
        static var answerByteCount: Int { 1_024 }
    }

    var configuration: Configuration
    var rules: PeerRules
    var random: RandomSource
    let nonces: NonceMint
    var ledger: SourceLedger

    var allocations = Pool<Allocation>(countMax: Limits.allocations)
    var details: [AllocationDetails?] = []
    var allocationTimers = TimerHeap()
    var clients: OpenTable<ClientKey>
    var ports: PortTable

    var permissions = Pool<Permission>(countMax: Limits.permissions)
    var permissionTimers = TimerHeap()
    var permissionByAddress: OpenTable<PeerKey>

    var channels = Pool<Channel>(countMax: Limits.channels)
    var channelTimers = TimerHeap()
    var channelByNumber: OpenTable<ChannelKey>
    var channelByPeer: OpenTable<PeerKey>

    var credentials = Pool<Credential>(countMax: Limits.credentials)
    var credentialByName: [String: UInt32] = [:]
    var credentialTimers = TimerHeap()

    var streams = Pool<Stream>(countMax: Limits.streams)
    var streamByBridge: [Endpoint: UInt32] = [:]
    var streamTimers = TimerHeap()

    var reservations: [Reservation] = []

    /// One open and one close of each port at most; a close is never refused.
    var portRequests = OutputQueue<PortRequest>(countMax: 1 << 18)
    var endedStreams = OutputQueue<Endpoint>(countMax: 4 * Limits.streams)
    var events = OutputQueue<Event>(countMax: 1_024)
    var isStopping = false
    var hasFinished = false
    /// What passed and what went no further, and why.
    public internal(set) var counters = Counters()

    /// - Parameters:
    ///   - configuration: What it lends and to whom; ``Command/configure(_:)`` changes it later.
    ///   - random: Ports, tokens and the key of nonces are drawn from it.
    public init(configuration: Configuration, random: RandomSource) {
        var random = random
        self.configuration = configuration
        rules = PeerRules(configuration)
        nonces = NonceMint(from: &random)
        ledger = SourceLedger(from: &random)
        clients = OpenTable(from: &random)
        permissionByAddress = OpenTable(from: &random)
        channelByNumber = OpenTable(from: &random)
        channelByPeer = OpenTable(from: &random)
        ports = PortTable(configuration.ports, besides: configuration.port)
        self.random = random
    }

    public mutating func pollOutput() -> Output? {
        if let request = portRequests.popFirst() { return .port(request) }
        if let bridge = endedStreams.popFirst() { return .closeStream(bridge: bridge) }
        if let event = events.popFirst() { return .event(event) }
        guard isStopping, !hasFinished else { return nil }
        hasFinished = true
        return .finished
    }

    public static func portRequest(of output: Output) -> PortRequest? {
        if case .port(let request) = output { request } else { nil }
    }

    public static func command(port: UInt16, isOpen: Bool) -> Command? {
        isOpen ? .portOpened(port) : .portRefused(port)
    }
}

// MARK: - Packets

extension Relay {
    public mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        // There is no tunnel device, and nothing is served while stopping.
        guard side == .network, !isStopping else { return batch.indices.count }
        var taken = 0
        for index in batch.indices {
            guard receive(batch, index, at: now, into: &outbox) else { break }
            taken += 1
        }
        return taken
    }

    /// One entry: one datagram, or several of one sender.
    ///
    /// - Returns: False when there is no room for what may come of it.
    private mutating func receive(
        _ batch: borrowing Batch,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let entry = batch[index]
        let all = batch.bytes(of: index)
        let size = entry.segmentByteCount > 0 ? entry.segmentByteCount : all.byteCount
        guard size > 0 else { return true }
        guard hasRoom(outbox, count: (all.byteCount + size - 1) / size, byteCount: size) else {
            guard outbox.isEmpty else { return false }
            counters.sizes += 1
            return true
        }
        guard entry.remote.port != 0 else {
            counters.unanswerable += 1
            return true
        }
        if entry.local.port == configuration.port || entry.local.port == 0 {
            receiveFromClient(all, size, entry, at: now, into: &outbox)
        } else {
            receiveFromPeer(all, size, entry, at: now, into: &outbox)
        }
        return true
    }

    /// Whether `count` datagrams surely find room, each in a run of its own and with all that may
    /// be put in front of it. Entries of more datagrams than the kernel joins are taken when the
    /// outbox is empty, and what does not fit is dropped.
    private func hasRoom(_ outbox: borrowing Outbox, count: Int, byteCount: Int) -> Bool {
        let count = min(count, Outbox.Limits.segments)
        return outbox.runCount + count <= Outbox.Limits.entries
            && outbox.hasNetworkRoom(
                datagrams: count,
                byteCount: max(byteCount + 64, Limits.answerByteCount)
            )
    }
}
