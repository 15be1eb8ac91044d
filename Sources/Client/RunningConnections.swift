internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import SansIO

/// The TCP connections that the host's applications sent segments of lately, and the gateway that
/// took them: a table of small sets, in which the one unused for longest gives way.
///
/// An application that only waits for more sends nothing, so it never learns that its connection
/// ended with the gateway that carried it. A keep-alive probe as its peer would send it (RFC 9293
/// section 3.8.4) makes its host acknowledge; that segment takes the way of all packets, and gets
/// the reset, if one is due, from whoever knows. To a connection that lives it does nothing.
///
/// Connections of a resource whose new flows take another gateway are pinned: they keep the one
/// that they have for as long as they run.
struct RunningConnections {
    enum Limits {
        /// Entries; a power of two.
        static let entries = 2048
        /// Entries among which a connection has its place; a power of two.
        static let ways = 4
        /// How long a connection that its application closed is still waited on.
        static let closingTime: Duration = .seconds(60)
        /// How long after its last segment a pinned connection counts as over, when its
        /// application closed it, and when not.
        static let pinnedClosingTime: Duration = .seconds(5)
        static let pinnedIdleTime: Duration = .seconds(7_440)
    }

    private struct Entry {
        var source = Endpoint.unspecified
        var destination = Endpoint.unspecified
        /// The gateway; nil: no connection stands here.
        var peer: PeerIndex?
        /// What the application sends next, and what it expects next.
        var next: UInt32 = 0
        var expected: UInt32 = 0
        var isClosing = false
        var usedAt = Instant(nanoseconds: 0)
        /// Whether its application is to be stirred.
        var isDue = false
        /// The resource that keeps it at its gateway; nil: it goes where new ones go.
        var pinnedFor: ResourceID?
    }

    /// Made with the first connection.
    private var entries: [Entry] = []
    /// Places of connections whose applications are to be stirred.
    private var due: [Int] = []

    /// Whether any application is to be stirred.
    var isDue: Bool { !due.isEmpty }

    /// A segment left by `peer`.
    mutating func note(_ header: PacketHeader, by peer: PeerIndex, at now: Instant) {
        guard header.isTCP, header.tcpFlags.contains(.ack), !header.tcpFlags.contains(.syn) else {
            return
        }
        if entries.isEmpty {
            entries = [Entry](repeating: Entry(), count: Limits.entries)
        }
        let known = find(header)
        if header.tcpFlags.contains(.rst) {
            if let known { entries[known] = Entry() }
            return
        }
        guard
            let place = known
                ?? placeToSpare(header.sourceEndpoint, header.destinationEndpoint)
        else { return }
        let isSame = known != nil
        let isClosing = header.tcpFlags.contains(.fin)
        let byteCount = UInt32(header.payloadByteCount) &+ (isClosing ? 1 : 0)
        let pinnedFor = isSame && entries[place].peer == peer ? entries[place].pinnedFor : nil
        entries[place] = Entry(
            source: header.sourceEndpoint,
            destination: header.destinationEndpoint,
            peer: peer,
            next: header.sequence &+ byteCount,
            expected: header.acknowledgment,
            isClosing: isClosing || isSame && entries[place].isClosing,
            usedAt: now,
            pinnedFor: pinnedFor
        )
    }

    /// Where the packet's connection stands.
    private func find(_ header: PacketHeader) -> Int? {
        find(header.sourceEndpoint, header.destinationEndpoint)
    }

    private func find(_ source: Endpoint, _ destination: Endpoint) -> Int? {
        let first = Self.firstPlace(source, destination)
        for place in first..<first + Limits.ways
        where entries[place].source == source && entries[place].destination == destination {
            return place
        }
        return nil
    }

    /// The place of the one in its set that was unused for longest; nil when all are pinned.
    private func placeToSpare(_ source: Endpoint, _ destination: Endpoint) -> Int? {
        let first = Self.firstPlace(source, destination)
        var oldest: Int?
        for place in first..<first + Limits.ways where entries[place].pinnedFor == nil {
            guard entries[place].peer != nil else { return place }
            if oldest.map({ entries[place].usedAt < entries[$0].usedAt }) ?? true { oldest = place }
        }
        return oldest
    }

    /// What `peer` carried goes another way now, or none.
    mutating func stir(_ peer: PeerIndex, at now: Instant) {
        for place in entries.indices
        where entries[place].peer == peer && entries[place].pinnedFor == nil {
            let entry = entries[place]
            let isOver =
                entry.isClosing && entry.usedAt.duration(to: now) >= Limits.closingTime
            if isOver {
                entries[place].peer = nil
            } else if !entry.isDue {
                entries[place].isDue = true
                due.append(place)
            }
        }
    }

    /// The next probe to an application that is to be stirred.
    mutating func popProbe() -> [UInt8]? {
        while let place = due.popLast() {
            let entry = entries[place]
            // One that spoke since needs no stirring.
            guard entry.isDue, entry.peer != nil else { continue }
            entries[place].peer = nil
            let ip = IPHeader(
                from: entry.destination.address,
                to: entry.source.address,
                transportProtocol: .tcp
            )
            var tcp = TCPHeader(
                sourcePort: entry.destination.port,
                destinationPort: entry.source.port,
                window: .max
            )
            tcp.flags = .ack
            tcp.sequence = entry.expected &- 1
            tcp.acknowledgment = entry.next
            return ip.packet(tcp, payload: [])
        }
        return nil
    }

    private static func firstPlace(_ source: Endpoint, _ destination: Endpoint) -> Int {
        let address = destination.address
        var mixed = address.low ^ address.high &* 0x9e37_79b9_7f4a_7c15
        mixed ^= UInt64(destination.port) << 32 | UInt64(source.port)
        mixed &*= 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 53) & (Limits.entries - Limits.ways)
    }
}

// MARK: - Pinned connections

extension RunningConnections {
    /// Where the connections go that `peer` carries.
    func destinations(by peer: PeerIndex) -> Set<Endpoint> {
        Set(entries.lazy.filter { $0.peer == peer }.map(\.destination))
    }

    /// Connections through `peer` to any of `destinations` stay there, for `resource`.
    mutating func pin(_ peer: PeerIndex, to destinations: Set<Endpoint>, for resource: ResourceID) {
        for place in entries.indices
        where entries[place].peer == peer && destinations.contains(entries[place].destination) {
            entries[place].pinnedFor = resource
        }
    }

    /// The answer to a connection's first segment came by `peer`: it stays there, which matters for
    /// `resource` where new connections go elsewhere. The first answer counts.
    mutating func answered(
        _ answer: PacketHeader,
        by peer: PeerIndex,
        for resource: ResourceID?,
        at now: Instant
    ) {
        let (source, destination) = (answer.destinationEndpoint, answer.sourceEndpoint)
        if entries.isEmpty { entries = [Entry](repeating: Entry(), count: Limits.entries) }
        guard find(source, destination) == nil,
            let place = placeToSpare(source, destination)
        else { return }
        entries[place] = Entry(
            source: source,
            destination: destination,
            peer: peer,
            next: answer.acknowledgment,
            expected: answer.sequence &+ 1,
            usedAt: now,
            pinnedFor: resource
        )
    }

    /// Whether the packet is of a connection that stays at `peer`.
    func isPinned(_ header: PacketHeader, to peer: PeerIndex) -> Bool {
        guard !entries.isEmpty, let place = find(header) else { return false }
        return entries[place].peer == peer && entries[place].pinnedFor != nil
    }

    /// Whether the connection that the packet belongs to got past its first segment.
    func contains(_ header: PacketHeader) -> Bool { !entries.isEmpty && find(header) != nil }

    /// Whether any connection is still pinned for `resource`.
    func hasPinned(for resource: ResourceID, at now: Instant) -> Bool {
        entries.contains { entry in
            guard entry.pinnedFor == resource else { return false }
            let idle = entry.usedAt.duration(to: now)
            return idle < (entry.isClosing ? Limits.pinnedClosingTime : Limits.pinnedIdleTime)
        }
    }

    /// Connections of `resource` take the way of all: their applications are to be stirred.
    mutating func unpin(_ resource: ResourceID, at now: Instant) {
        for place in entries.indices where entries[place].pinnedFor == resource {
            let entry = entries[place]
            entries[place].pinnedFor = nil
            let isOver =
                entry.isClosing && entry.usedAt.duration(to: now) >= Limits.pinnedClosingTime
            guard !isOver, !entry.isDue else { continue }
            entries[place].isDue = true
            due.append(place)
        }
    }
}
