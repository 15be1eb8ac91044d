internal import Bytes
internal import IP
internal import SansIO
internal import WireGuard

/// Initiations whose key nobody told us of yet: the portal's word may be on its way.
///
/// Each was checked to be meant for us (mac1). The newest win, so that a flood cannot keep out the
/// one that is waited for; one source cannot fill it.
struct ParkedInitiations {
    enum Limits {
        /// Initiations parked.
        static let entries = 4096
        /// Initiations of one source address.
        static let perSource = 64
        /// How long one is kept.
        static let lifetime: Duration = .seconds(1)
    }

    /// An initiation and the path that it came by.
    struct Entry {
        var key: Key
        var bytes: [UInt8]
        var path: Path
        var at: Instant
    }

    private var entries: [Entry] = []
    private var counts: [IPAddress: Int] = [:]

    /// How many are parked, those that ran out included.
    var count: Int { entries.count }

    mutating func insert(_ entry: Entry) {
        forget(at: entry.at)
        let source = entry.path.remote.address
        if counts[source, default: 0] >= Limits.perSource,
            let oldest = entries.firstIndex(where: { $0.path.remote.address == source })
        {
            remove(at: oldest)
        } else if entries.count >= Limits.entries {
            remove(at: 0)
        }
        counts[source, default: 0] += 1
        entries.append(entry)
    }

    /// Takes those of `key` that are not too old, newest first.
    mutating func take(_ key: Key, at now: Instant) -> [Entry] {
        forget(at: now)
        var taken: [Entry] = []
        for index in entries.indices.reversed() where entries[index].key == key {
            taken.append(entries[index])
            remove(at: index)
        }
        return taken
    }

    private mutating func forget(at now: Instant) {
        let old = entries.prefix { $0.at.duration(to: now) >= Limits.lifetime }.count
        for entry in entries.prefix(old) { uncount(entry.path.remote.address) }
        entries.removeFirst(old)
    }

    private mutating func remove(at index: Int) {
        uncount(entries[index].path.remote.address)
        entries.remove(at: index)
    }

    private mutating func uncount(_ source: IPAddress) {
        let left = counts[source, default: 1] - 1
        counts[source] = left > 0 ? left : nil
    }
}
