internal import SansIO

/// A query whose answer is waited for.
struct InFlight {
    /// Who answers, which says how long the wait is.
    enum Wait: Int, CaseIterable {
        case upstream
        case site
    }

    let query: Query
    let asker: Asker
    /// The ID that it was sent under.
    let id: UInt16
    let wait: Wait
    let deadline: Instant
}

/// The queries whose answers are waited for; those that wait equally long in order of their
/// deadlines, which is that of their coming.
///
/// Each has a token of its own that is never used twice: queries with the same ID, from one asker
/// or to one server, do not meet, and a late answer finds nothing.
struct InFlightTable {
    private struct Entry {
        var content: InFlight?
        /// How often the place was used; part of the token.
        var use: UInt64 = 0
        var previous = -1
        var next = -1
    }

    private struct List {
        var first = -1
        var last = -1
        var count = 0
    }

    private var entries: [Entry] = []
    private var free: [Int] = []
    private var lists = InFlight.Wait.allCases.map { _ in List() }

    /// How many there are.
    var count: Int { lists.reduce(0) { $0 + $1.count } }

    /// When the first is due.
    var nextDeadline: Instant? {
        var next: Instant?
        for list in lists {
            guard let deadline = deadline(of: list) else { continue }
            next = next.map { min($0, deadline) } ?? deadline
        }
        return next
    }

    private func deadline(of list: List) -> Instant? {
        list.first < 0 ? nil : entries[list.first].content?.deadline
    }

    /// Adds a query; where there is no room the oldest of its kind leaves.
    mutating func insert(_ content: InFlight) -> (token: UInt64, evicted: InFlight?) {
        let list = content.wait.rawValue
        let isFull = lists[list].count >= StubResolver.Limits.inFlight
        let evicted = isFull ? removePlace(lists[list].first) : nil
        if free.isEmpty {
            entries.append(Entry())
            free.append(entries.count - 1)
        }
        let place = free.removeLast()
        let last = lists[list].last
        entries[place].content = content
        entries[place].use += 1
        entries[place].previous = last
        entries[place].next = -1
        if last >= 0 { entries[last].next = place } else { lists[list].first = place }
        lists[list].last = place
        lists[list].count += 1
        return (entries[place].use << 16 | UInt64(place), evicted)
    }

    /// Takes the query of a token; nil when it is not there any more.
    mutating func remove(_ token: UInt64) -> InFlight? {
        let place = Int(token & 0xffff)
        guard place < entries.count, entries[place].use == token >> 16 else { return nil }
        return removePlace(place)
    }

    /// Takes a query that is due; nil when none is.
    mutating func popDue(at now: Instant) -> InFlight? {
        for list in lists {
            if let deadline = deadline(of: list), deadline <= now { return removePlace(list.first) }
        }
        return nil
    }

    private mutating func removePlace(_ place: Int) -> InFlight? {
        guard place >= 0, let content = entries[place].content else { return nil }
        let list = content.wait.rawValue
        let (previous, next) = (entries[place].previous, entries[place].next)
        if previous >= 0 { entries[previous].next = next } else { lists[list].first = next }
        if next >= 0 { entries[next].previous = previous } else { lists[list].last = previous }
        entries[place].content = nil
        free.append(place)
        lists[list].count -= 1
        return content
    }
}
