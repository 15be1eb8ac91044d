internal import SansIO

/// The earliest deadline of many. An element may stand in it more than once and with deadlines that
/// passed long ago for it; its owner knows which one counts. O(log n) to add and to take.
struct DeadlineQueue<Element: Sendable>: Sendable {
    private struct Entry: Sendable {
        var deadline: Instant
        var element: Element
    }

    private var entries: [Entry] = []

    /// The earliest; nil when none is there.
    var next: Instant? { entries.first?.deadline }

    /// How many entries there are, outdated ones included.
    var count: Int { entries.count }

    mutating func insert(_ element: Element, at deadline: Instant) {
        entries.append(Entry(deadline: deadline, element: element))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].deadline < entries[parent].deadline else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest if it is due.
    mutating func popDue(at now: Instant) -> (deadline: Instant, element: Element)? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            sinkFirst()
        }
        return (first.deadline, first.element)
    }

    private mutating func sinkFirst() {
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
