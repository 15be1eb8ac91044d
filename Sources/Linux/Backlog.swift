internal import Bytes
internal import IP
internal import SansIO

/// Runs that a full socket did not take, in order, until it is writable again.
///
/// While anything waits here the tunnel device is not read, so that nothing of it is dropped.
struct Backlog {
    enum Limits {
        /// Bytes that may wait; several times what one read of the tunnel device can make.
        static var byteCount: Int { 4 << 20 }
        /// A socket that took nothing for so long loses what waits for it.
        static var patience: Duration { .seconds(1) }
    }

    struct Entry {
        var run: Outbox.Run
        var bytes: [UInt8]
    }

    private var entries: [Entry] = []
    private var head = 0
    /// Bytes that wait.
    private(set) var byteCount = 0
    /// Since when the socket takes nothing.
    private(set) var since: Instant?

    var isEmpty: Bool { head == entries.count }

    /// When the wait has been too long; nil while nothing waits.
    var deadline: Instant? { since.map { $0.advanced(by: Limits.patience) } }

    /// Keeps a copy; false when there is no room.
    mutating func append(_ run: Outbox.Run, _ bytes: RawSpan, at now: Instant) -> Bool {
        guard byteCount + bytes.byteCount <= Limits.byteCount else { return false }
        if isEmpty { since = now }
        byteCount += bytes.byteCount
        entries.append(Entry(run: run, bytes: bytes.array))
        return true
    }

    /// What waits longest.
    var first: Entry? { isEmpty ? nil : entries[head] }

    /// The first was sent.
    mutating func removeFirst(at now: Instant) {
        byteCount -= entries[head].bytes.count
        entries[head].bytes = []
        head += 1
        since = isEmpty ? nil : now
        guard isEmpty else { return }
        entries.removeAll()
        head = 0
    }

    /// Drops everything; returns how many datagrams that were.
    mutating func removeAll() -> Int {
        let count = entries[head...].reduce(0) { $0 + $1.run.count }
        self = Backlog()
        return count
    }
}
