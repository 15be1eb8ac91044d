internal import Bytes
public import IP
public import SansIO

/// Joins the pieces of datagrams that must be seen whole: because later pieces have no ports, or
/// because a checksum covers all of it (RFC 6146 3.4).
///
/// Any order of the pieces is taken. What overlaps is refused with all of its datagram (RFC 5722),
/// a piece that comes twice is taken once. All is bounded: when it is full, the oldest datagram
/// gives way if it had its time (RFC 6146 3.4), else the newest piece is refused.
public struct Reassembly: Sendable {
    /// Bounds of what waits.
    public enum Limits {
        /// Datagrams at a time.
        public static var datagrams: Int { 64 }
        /// Bytes of all their pieces.
        public static var byteCount: Int { 512 * 1024 }
        /// Pieces of one datagram: 64 KiB in pieces of 512 bytes.
        public static var pieces: Int { 128 }
        /// How long a datagram's pieces may take (RFC 8200 4.5, RFC 1122 3.3.2).
        public static var patience: Duration { .seconds(60) }
        /// How long they may take at least, however full it is (RFC 6146 4, FRAGMENT_MIN).
        public static var patienceMin: Duration { .seconds(2) }
    }

    /// Why a piece was not taken.
    public enum Refused: String, Sendable, CaseIterable {
        /// The packet is no piece.
        case noFragment = "no_fragment"
        /// Its bytes are not a multiple of 8, and more follow (RFC 8200 4.5); or it has none.
        case badLength = "bad_length"
        /// It overlaps another, or lies behind the last; its datagram is refused with it.
        case overlap
        /// An extension header follows the fragment header (RFC 7915 5.1.1).
        case extensionInFragment = "extension_in_fragment"
        /// The datagram has too many pieces, or is too large.
        case tooLarge = "too_large"
        /// Some pieces met congestion, and others cannot say so (RFC 3168 5.3).
        case congestion
        /// No room.
        case full
    }

    /// What became of a piece.
    public enum Outcome: Hashable, Sendable {
        /// Others are awaited.
        case waiting
        /// It was the last one that was awaited: the packet, as if it had never been cut. An IPv6
        /// packet keeps its fragment header, and with it its identification.
        case whole([UInt8])
        case refused(Refused)
    }

    private var entries: [PartialDatagram] = []
    private var byteCount = 0

    public init() {}

    /// Datagrams that wait.
    public var count: Int { entries.count }

    /// When the oldest datagram is given up; nil when none waits.
    public var nextDeadline: Instant? { entries.first?.since.advanced(by: Limits.patience) }

    /// Gives up what waited too long.
    ///
    /// - Returns: How many datagrams.
    @discardableResult
    public mutating func advance(to now: Instant) -> Int {
        var given = 0
        while let first = entries.first, first.since.advanced(by: Limits.patience) <= now {
            remove(0)
            given += 1
        }
        return given
    }

    /// Takes a piece.
    ///
    /// - Parameters:
    ///   - packet: The piece, an IP packet.
    ///   - header: As read from it.
    ///   - now: The time.
    /// - Returns: What became of it.
    public mutating func receive(
        _ packet: RawSpan,
        header: PacketHeader,
        at now: Instant
    ) -> Outcome {
        advance(to: now)
        guard header.isFragment, packet.byteCount >= header.totalByteCount else {
            return .refused(.noFragment)
        }
        let piece = packet.extracting(header.transportOffset..<header.totalByteCount)
        guard piece.byteCount > 0, !header.moreFragments || piece.byteCount % 8 == 0 else {
            return .refused(.badLength)
        }
        if !header.source.isIPv4 {
            let place = IPv6Extensions.fragmentHeader(in: packet, of: header)
            guard let place, !IPv6Extensions.isExtension(packet.byte(at: place)) else {
                return .refused(.extensionInFragment)
            }
        }
        guard let index = entry(of: PartialDatagram.Key(header), piece.byteCount, at: now) else {
            return .refused(.full)
        }
        let before = entries[index].byteCount
        let refused = entries[index].add(piece, packet, header)
        byteCount += entries[index].byteCount - before
        if let refused { return .refused(refused) }
        guard entries[index].isComplete else { return .waiting }
        let whole = entries[index].whole()
        remove(index)
        switch whole {
        case .success(let packet): return .whole(packet)
        case .failure(let refused): return .refused(refused.reason)
        }
    }

    /// Whether pieces of the datagram that this one is a piece of wait already.
    public func awaits(_ header: PacketHeader, at now: Instant) -> Bool {
        guard header.isFragment, !entries.isEmpty else { return false }
        let key = PartialDatagram.Key(header)
        return entries.contains {
            $0.key == key && now < $0.since.advanced(by: Limits.patience)
        }
    }

    /// Where the datagram's pieces are, or may be; nil when there is no room.
    private mutating func entry(
        of key: PartialDatagram.Key,
        _ need: Int,
        at now: Instant
    ) -> Int? {
        while byteCount + need > Limits.byteCount {
            guard let oldest = oldestThatMayGo(for: key, at: now) else { return nil }
            remove(oldest)
        }
        if let index = entries.firstIndex(where: { $0.key == key }) { return index }
        if entries.count >= Limits.datagrams {
            guard let oldest = oldestThatMayGo(for: key, at: now) else { return nil }
            remove(oldest)
        }
        entries.append(PartialDatagram(key: key, since: now))
        return entries.count - 1
    }

    private func oldestThatMayGo(for key: PartialDatagram.Key, at now: Instant) -> Int? {
        let index = entries.firstIndex { $0.key != key }
        guard let index, entries[index].since.advanced(by: Limits.patienceMin) <= now else {
            return nil
        }
        return index
    }

    private mutating func remove(_ index: Int) {
        byteCount -= entries[index].byteCount
        entries.remove(at: index)
    }
}
