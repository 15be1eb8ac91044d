internal import IP
internal import Peering
internal import SansIO

/// What a client sent for a grant that has not come yet: the client is answered by the portal at
/// the same time as the gateway, and may be the quicker one.
struct EarlyArrivals: Sendable {
    /// Bounds of what waits for one client's grants.
    enum Limits {
        /// Names frames.
        static var frames: Int { 32 }
        /// Packets.
        static var packets: Int { 128 }
        /// Queries for the site's records.
        static var queries: Int { 64 }
        /// How long each waits; then it is refused.
        static var patience: Duration { .seconds(1) }
    }

    /// A names frame.
    struct Frame: Sendable {
        var names: ControlFrame.Names
        var since: Instant
    }

    /// A packet.
    struct Packet: Sendable {
        /// The flow of a SYN, of which one copy is enough.
        var synKey: FlowKey?
        var bytes: [UInt8]
        var since: Instant
    }

    /// A query for the site's records.
    struct Query: Sendable {
        var path: SiteQuery.Path
        var bytes: [UInt8]
        var since: Instant
    }

    private(set) var frames: [Frame] = []
    private(set) var queries: [Query] = []
    private(set) var packets: [Packet] = []
    /// Whether a grant or a name came that some of it may have waited for.
    var isReady = false

    var isEmpty: Bool { frames.isEmpty && packets.isEmpty && queries.isEmpty }

    var count: Int { frames.count + packets.count + queries.count }

    /// When something has waited long enough; nil when nothing waits.
    var deadline: Instant? {
        let oldest = (frames.map(\.since) + packets.map(\.since) + queries.map(\.since)).min()
        return oldest?.advanced(by: Limits.patience)
    }

    /// Whether what came at `since` may still wait at `now`.
    static func mayWait(since: Instant, at now: Instant) -> Bool {
        now < since.advanced(by: Limits.patience)
    }

    /// Keeps a frame; one for the same name and resource gives way to it, but not its age.
    ///
    /// - Returns: False when there is no room.
    mutating func keep(_ frame: Frame) -> Bool {
        let same = frames.firstIndex {
            $0.names.name == frame.names.name && $0.names.resource == frame.names.resource
        }
        if let same {
            if frames[same].names.epoch <= frame.names.epoch { frames[same].names = frame.names }
            return true
        }
        guard frames.count < Limits.frames else { return false }
        frames.append(frame)
        return true
    }

    /// Keeps a packet; a repeated SYN takes the place of its first copy.
    ///
    /// - Returns: False when there is no room.
    mutating func keep(_ packet: Packet) -> Bool {
        if let key = packet.synKey, let same = packets.firstIndex(where: { $0.synKey == key }) {
            packets[same].bytes = packet.bytes
            return true
        }
        guard packets.count < Limits.packets else { return false }
        packets.append(packet)
        return true
    }

    /// Keeps a query.
    ///
    /// - Returns: False when there is no room.
    mutating func keep(_ query: Query) -> Bool {
        guard queries.count < Limits.queries else { return false }
        queries.append(query)
        return true
    }

    /// Takes everything, each kind in the order in which it came.
    mutating func takeAll() -> EarlyArrivals {
        defer { self = EarlyArrivals() }
        return self
    }
}
