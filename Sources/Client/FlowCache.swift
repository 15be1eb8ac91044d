internal import Bytes
internal import IP
internal import Peering
internal import SansIO

/// Where the packets of flows seen lately go: a direct-mapped table, so that the common packet
/// needs no look-up by name or prefix.
///
/// Whatever changes a decision bumps the generation, which forgets everything at once. An entry
/// lives some seconds only, so that use is noted and leases are looked at again.
struct FlowCache {
    enum Limits {
        /// Entries; a power of two.
        static let entries = 2048
        /// How long an entry is believed.
        static let lifetime: Duration = .seconds(2)
    }

    /// A decision.
    struct Entry {
        var destination = Endpoint.unspecified
        var transportProtocol = TransportProtocol(rawValue: 0)
        var generation: UInt32 = 0
        var until = Instant(nanoseconds: 0)
        var peer: PeerIndex?
        /// The proxy table's slot; -1 for none.
        var slot = -1
    }

    private var entries = [Entry](repeating: Entry(), count: Limits.entries)
    private var generation: UInt32 = 1

    /// Forgets everything.
    mutating func removeAll() { generation &+= 1 }

    /// The place of a flow's entry; nil for packets that are not cached.
    private static func place(_ header: PacketHeader) -> Int? {
        guard header.isTCP || header.isUDP || header.isEchoRequest, !header.isFragment else {
            return nil
        }
        var mixed = header.destination.low ^ header.destination.high &* 0x9e37_79b9_7f4a_7c15
        mixed ^= UInt64(header.destinationPort) << 32 | UInt64(header.transportProtocol.rawValue)
        mixed &*= 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 53) & (Limits.entries - 1)
    }

    /// The decision for the packet's flow; nil when there is none any more.
    func find(_ header: PacketHeader, at now: Instant) -> Entry? {
        guard let place = Self.place(header) else { return nil }
        let entry = entries[place]
        guard entry.generation == generation, entry.until > now,
            entry.transportProtocol == header.transportProtocol,
            entry.destination == header.destinationEndpoint
        else { return nil }
        return entry
    }

    /// Keeps a decision, until `end` at the latest.
    mutating func insert(
        _ header: PacketHeader,
        peer: PeerIndex,
        slot: Int,
        end: Instant,
        at now: Instant
    ) {
        guard let place = Self.place(header) else { return }
        entries[place] = Entry(
            destination: header.destinationEndpoint,
            transportProtocol: header.transportProtocol,
            generation: generation,
            until: min(end, now.advanced(by: Limits.lifetime)),
            peer: peer,
            slot: slot
        )
    }
}

/// Which gateway may send from which address, as found out lately; the same shape as ``FlowCache``.
struct SourceCache {
    private struct Entry {
        var source = IPAddress(high: 0, low: 0)
        var peer: PeerIndex?
        var generation: UInt32 = 0
    }

    private var entries = [Entry](repeating: Entry(), count: FlowCache.Limits.entries)
    private var generation: UInt32 = 1

    mutating func removeAll() { generation &+= 1 }

    private static func place(_ source: IPAddress) -> Int {
        let mixed = (source.low ^ source.high) &* 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 53) & (FlowCache.Limits.entries - 1)
    }

    func contains(_ source: IPAddress, of peer: PeerIndex) -> Bool {
        let entry = entries[Self.place(source)]
        return entry.generation == generation && entry.source == source && entry.peer == peer
    }

    mutating func insert(_ source: IPAddress, of peer: PeerIndex) {
        entries[Self.place(source)] = Entry(source: source, peer: peer, generation: generation)
    }
}
