internal import IP
internal import SansIO

/// Which flow the later fragments of a datagram belong to: they carry no ports, the first one does.
///
/// A fragment that comes before the first one finds nothing and is dropped; so is what comes after
/// too many other datagrams in fragments.
struct FragmentTable: Sendable {
    /// Bounds of one client's fragments in one direction.
    enum Limits {
        /// Datagrams in fragments at a time.
        static var datagrams: Int { 64 }
        /// How long the later fragments may take (RFC 8200 4.5: a minute at the receiver).
        static var patience: Duration { .seconds(30) }
    }

    /// What all fragments of a datagram have in common.
    struct Key: Equatable, Sendable {
        var source: IPAddress
        var destination: IPAddress
        var transport: TransportProtocol
        var identification: UInt32

        init(_ header: PacketHeader) {
            (source, destination) = (header.source, header.destination)
            (transport, identification) = (header.transportProtocol, header.identification)
        }
    }

    private struct Entry: Sendable {
        var key: Key
        var flow: FlowKey
        var end: Instant
    }

    private var entries: [Entry] = []
    private var oldest = 0

    /// The first fragment of a datagram passed, by the flow with this inside key.
    mutating func note(_ header: PacketHeader, _ flow: FlowKey, at now: Instant) {
        guard header.moreFragments, !header.isLaterFragment else { return }
        let key = Key(header)
        let entry = Entry(key: key, flow: flow, end: now.advanced(by: Limits.patience))
        if let same = entries.firstIndex(where: { $0.key == key }) {
            entries[same] = entry
        } else if entries.count < Limits.datagrams {
            entries.append(entry)
        } else {
            entries[oldest] = entry
            oldest = (oldest + 1) % entries.count
        }
    }

    /// The inside key of the flow that a later fragment belongs to.
    func flow(of header: PacketHeader, at now: Instant) -> FlowKey? {
        let key = Key(header)
        return entries.first { $0.key == key && $0.end > now }?.flow
    }
}
