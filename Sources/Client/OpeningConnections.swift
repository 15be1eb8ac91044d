internal import Bytes
internal import Peering
internal import SansIO

/// The last TCP connections that the host's applications began, with their first segments: where a
/// gateway turns out not to reach its resource, they go once more, by another one. Their senders
/// would repeat them too late.
struct OpeningConnections: ~Copyable {
    enum Limits {
        /// Segments kept.
        static let segments = 32
        /// Bytes of one; a first segment with data is longer, and is left to its sender.
        static let byteCount = 128
        /// How long one is worth repeating.
        static let lifetime: Duration = .seconds(10)
    }

    private struct Entry {
        var byteCount = 0
        var peer: PeerIndex?
        var sentAt = Instant(nanoseconds: 0)
    }

    private var segments = Block(byteCount: Limits.segments * Limits.byteCount)
    private var entries = [Entry](repeating: Entry(), count: Limits.segments)
    private var next = 0

    /// A first segment left by `peer`; one that is repeated takes the place of its first copy.
    mutating func note(_ segment: RawSpan, by peer: PeerIndex, at now: Instant) {
        guard 28...Limits.byteCount ~= segment.byteCount else { return }
        var place = next
        for known in entries.indices where entries[known].byteCount == segment.byteCount {
            let start = known * Limits.byteCount
            if segments.bytes(start..<start + segment.byteCount).hasSameOpening(as: segment) {
                place = known
            }
        }
        if place == next { next = (next + 1) % Limits.segments }
        let start = place * Limits.byteCount
        var room = segments.mutableBytes(start..<start + segment.byteCount)
        room.write(segment, at: 0)
        entries[place] = Entry(byteCount: segment.byteCount, peer: peer, sentAt: now)
    }

    /// Takes the segments that left by `peer` of late, oldest first.
    mutating func take(by peer: PeerIndex, at now: Instant) -> [[UInt8]] {
        var taken: [[UInt8]] = []
        for step in 0..<Limits.segments {
            let place = (next + step) % Limits.segments
            let entry = entries[place]
            guard entry.peer == peer else { continue }
            entries[place] = Entry()
            guard entry.sentAt.duration(to: now) < Limits.lifetime else { continue }
            let start = place * Limits.byteCount
            taken.append(segments.bytes(start..<start + entry.byteCount).array)
        }
        return taken
    }
}

extension RawSpan {
    /// Whether both are the same segment: addresses, ports and sequence number are alike; the
    /// identification and the time stamps of a repeated one are others.
    fileprivate func hasSameOpening(as other: RawSpan) -> Bool {
        let range = byte(at: 0) >> 4 == 4 ? 12..<28 : 8..<48
        guard range.upperBound <= min(byteCount, other.byteCount) else { return false }
        return extracting(range).hasSameBytes(as: other.extracting(range))
    }
}
