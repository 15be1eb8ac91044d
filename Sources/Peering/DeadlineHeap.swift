internal import SansIO

/// The earliest deadline of many: each peer may stand in it more than once, the owner knows which
/// entry counts. O(log n) to add and to take.
struct DeadlineHeap {
    /// When a slot wants to be visited.
    struct Entry {
        var deadline: Instant
        var slot: Int
    }

    private var entries: [Entry] = []

    /// The earliest; nil when none is there.
    var first: Entry? { entries.first }

    /// How many entries there are, outdated ones included.
    var count: Int { entries.count }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].deadline < entries[parent].deadline else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest if it is due.
    mutating func popDue(at now: Instant) -> Entry? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sinkRoot()
        }
        return first
    }

    private mutating func sinkRoot() {
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < entries.count else { return }
            let right = left + 1
            let isRightEarlier =
                right < entries.count && entries[right].deadline < entries[left].deadline
            let child = isRightEarlier ? right : left
            guard entries[child].deadline < entries[parent].deadline else { return }
            entries.swapAt(child, parent)
            parent = child
        }
    }
}
