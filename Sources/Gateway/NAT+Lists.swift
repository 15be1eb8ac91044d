public import SansIO

// One doubly linked list for each stage, through the flows themselves: appended at the tail with
// each packet, so that its head is both the first to end and the least used.
extension NAT {
    /// When the first flow ends; nil without flows.
    public var nextExpiry: Instant? {
        var earliest: Instant?
        for list in lists where list.head != Self.none {
            let deadline = flows[Int(list.head)].deadline
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        return earliest
    }

    /// Ends the flows whose time is over, at most `countMax` of them.
    ///
    /// - Returns: How many ended.
    @discardableResult
    public mutating func expire(at now: Instant, countMax: Int = .max) -> Int {
        var left = countMax
        for stage in NATFlow.Stage.allCases {
            while left > 0, case let head = lists[Int(stage.rawValue)].head, head != Self.none,
                flows[Int(head)].deadline <= now
            {
                remove(Int(head), flows[Int(head)].endByTime)
                counters.expired += 1
                left -= 1
            }
        }
        return countMax - left
    }

    /// Lets the least useful flow go.
    mutating func evict() {
        for list in lists where list.head != Self.none {
            remove(Int(list.head), .evicted)
            counters.evicted += 1
            return
        }
    }

    /// A packet of the flow passed: the tail of `stage`'s list is its place now.
    mutating func touch(_ index: Int, _ stage: NATFlow.Stage, at now: Instant) {
        let lastUsed = max(flows[index].lastUsed, now)
        flows[index].lastUsed = lastUsed
        if flows[index].stage == stage, flows[index].next == Self.none { return }
        unlink(index)
        flows[index].stage = stage
        link(index)
    }

    mutating func link(_ index: Int) {
        let list = Int(flows[index].stage.rawValue)
        let tail = lists[list].tail
        flows[index].previous = tail
        flows[index].next = Self.none
        if tail == Self.none {
            lists[list].head = UInt32(index)
        } else {
            flows[Int(tail)].next = UInt32(index)
            // A clock that went back must not unsort the list.
            flows[index].lastUsed = max(flows[index].lastUsed, flows[Int(tail)].lastUsed)
        }
        lists[list].tail = UInt32(index)
    }

    mutating func unlink(_ index: Int) {
        let list = Int(flows[index].stage.rawValue)
        let (previous, next) = (flows[index].previous, flows[index].next)
        if previous == Self.none {
            lists[list].head = next
        } else {
            flows[Int(previous)].next = next
        }
        if next == Self.none {
            lists[list].tail = previous
        } else {
            flows[Int(next)].previous = previous
        }
    }
}
