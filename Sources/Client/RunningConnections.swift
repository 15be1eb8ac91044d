internal import Bytes
internal import IP
internal import Peering
internal import SansIO

/// The TCP connections that the host's applications sent segments of lately, and the gateway that
/// took them: a direct-mapped table.
///
/// An application that only waits for more sends nothing, so it never learns that its connection
/// ended with the gateway that carried it. A keep-alive probe as its peer would send it (RFC 9293
/// section 3.8.4) makes its host acknowledge; that segment takes the way of all packets, and gets
/// the reset, if one is due, from whoever knows. To a connection that lives it does nothing.
struct RunningConnections {
    enum Limits {
        /// Entries; a power of two.
        static let entries = 2048
        /// How long a connection that its application closed is still waited on.
        static let closingTime: Duration = .seconds(60)
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
        let place = Self.place(header)
        if header.tcpFlags.contains(.rst) {
            entries[place].peer = nil
            return
        }
        let isClosing = header.tcpFlags.contains(.fin)
        let byteCount = UInt32(header.payloadByteCount) &+ (isClosing ? 1 : 0)
        let isSame =
            entries[place].source == header.sourceEndpoint
            && entries[place].destination == header.destinationEndpoint
        entries[place] = Entry(
            source: header.sourceEndpoint,
            destination: header.destinationEndpoint,
            peer: peer,
            next: header.sequence &+ byteCount,
            expected: header.acknowledgment,
            isClosing: isClosing || isSame && entries[place].isClosing,
            usedAt: now
        )
    }

    /// What `peer` carried goes another way now, or none.
    mutating func stir(_ peer: PeerIndex, at now: Instant) {
        for place in entries.indices where entries[place].peer == peer {
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

    private static func place(_ header: PacketHeader) -> Int {
        var mixed = header.destination.low ^ header.destination.high &* 0x9e37_79b9_7f4a_7c15
        mixed ^= UInt64(header.destinationPort) << 32 | UInt64(header.sourcePort)
        mixed &*= 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 53) & (Limits.entries - 1)
    }
}
