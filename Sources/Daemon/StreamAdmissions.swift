internal import IP

/// Which connections a server has, and which of them goes when another one comes: so many in all
/// and from one source, and the one that was idle for longest makes room.
struct StreamAdmissions {
    /// How many.
    struct Bounds: Sendable {
        /// In all.
        var connections: Int
        /// From one address.
        var connectionsPerSource: Int
    }

    /// What becomes of a connection that comes.
    enum Decision: Equatable {
        case admit
        /// Taken, and this one is closed for it.
        case admitInstead(of: Int)
        /// All others are being served.
        case refuse
    }

    private struct Entry {
        let source: IPAddress
        /// When it became idle, as a count; nil: it is being served.
        var idleSince: Int?
    }

    private let bounds: Bounds
    private var entries: [Int: Entry] = [:]
    private var bySource: [IPAddress: Int] = [:]
    private var moment = 0

    init(_ bounds: Bounds) { self.bounds = bounds }

    var count: Int { entries.count }

    /// Connection `identifier` comes from `source`, and is idle. O(connections) when there is no
    /// room.
    mutating func admit(_ identifier: Int, from source: IPAddress) -> Decision {
        var decision = Decision.admit
        if bySource[source, default: 0] >= bounds.connectionsPerSource {
            guard let oldest = oldestIdle(where: { $0 == source }) else { return .refuse }
            decision = .admitInstead(of: oldest)
        } else if entries.count >= bounds.connections {
            guard let oldest = oldestIdle(where: { _ in true }) else { return .refuse }
            decision = .admitInstead(of: oldest)
        }
        if case .admitInstead(let oldest) = decision { remove(oldest) }
        moment += 1
        entries[identifier] = Entry(source: source, idleSince: moment)
        bySource[source, default: 0] += 1
        return decision
    }

    /// A query came by it, or the last answer has gone.
    mutating func set(_ identifier: Int, isIdle: Bool) {
        moment += 1
        entries[identifier]?.idleSince = isIdle ? moment : nil
    }

    /// It is over.
    mutating func remove(_ identifier: Int) {
        guard let entry = entries.removeValue(forKey: identifier) else { return }
        let left = bySource[entry.source, default: 1] - 1
        bySource[entry.source] = left > 0 ? left : nil
    }

    private func oldestIdle(where isMeant: (IPAddress) -> Bool) -> Int? {
        var oldest: (identifier: Int, since: Int)?
        for (identifier, entry) in entries {
            guard let since = entry.idleSince, isMeant(entry.source) else { continue }
            if since < oldest?.since ?? .max { oldest = (identifier, since) }
        }
        return oldest?.identifier
    }
}
