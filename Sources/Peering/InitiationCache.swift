internal import Bytes
internal import SansIO

/// The responses to initiations answered lately: a copy that comes by another path gets the same
/// response there, and is not taken for a replay.
///
/// Copies are compared without mac2, which differs between paths: the first 132 bytes.
struct InitiationCache {
    enum Limits {
        /// Responses kept.
        static let entries = 4096
        /// How long one is kept.
        static let lifetime: Duration = .seconds(10)
        /// Bytes of an initiation before mac2.
        static let comparedByteCount = 132
        /// Where mac1 begins, which stands for the rest in the table.
        static let mac1Offset = 116
    }

    private struct Digest: Hashable {
        var high: UInt64
        var low: UInt64

        init(_ initiation: RawSpan) {
            high = initiation.uint64(at: Limits.mac1Offset)
            low = initiation.uint64(at: Limits.mac1Offset + 8)
        }
    }

    private struct Entry {
        var compared: [UInt8]
        var response: [UInt8]
        var at: Instant
    }

    private var entries: [Digest: Entry] = [:]
    private var order: [(digest: Digest, at: Instant)] = []
    private var head = 0

    /// The response to an earlier copy of `initiation`; nil when there was none.
    func response(to initiation: RawSpan, at now: Instant) -> [UInt8]? {
        guard initiation.byteCount >= Limits.comparedByteCount,
            let entry = entries[Digest(initiation)],
            entry.at.duration(to: now) < Limits.lifetime,
            initiation.extracting(0..<Limits.comparedByteCount)
                .hasSameBytes(as: entry.compared.rawSpan)
        else { return nil }
        return entry.response
    }

    /// Keeps the response to an initiation that was just consumed.
    mutating func insert(_ initiation: RawSpan, response: [UInt8], at now: Instant) {
        guard initiation.byteCount >= Limits.comparedByteCount else { return }
        forget(at: now)
        let digest = Digest(initiation)
        entries[digest] = Entry(
            compared: initiation.extracting(0..<Limits.comparedByteCount).array,
            response: response,
            at: now
        )
        order.append((digest, now))
    }

    /// Forgets what is too old, and the oldest when there are too many.
    private mutating func forget(at now: Instant) {
        while head < order.count,
            order[head].at.duration(to: now) >= Limits.lifetime
                || order.count - head >= Limits.entries
        {
            entries[order[head].digest] = nil
            head += 1
        }
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }
}
