internal import SansIO

/// A query at an upstream.
struct InFlight {
    let query: Query
    let asker: Asker
    /// The ID that it was sent under.
    let id: UInt16
    let deadline: Instant
}

/// The queries at upstreams, in order of their deadlines, which is that of their coming.
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

    private var entries: [Entry] = []
    private var free: [Int] = []
    private var first = -1
    private var last = -1
    private(set) var count = 0

    /// When the oldest is due.
    var nextDeadline: Instant? { first < 0 ? nil : entries[first].content?.deadline }

    /// Adds a query; where there is no room the oldest leaves.
    mutating func insert(_ content: InFlight) -> (token: UInt64, evicted: InFlight?) {
        let evicted = count < StubResolver.Limits.inFlight ? nil : removePlace(first)
        if free.isEmpty {
            entries.append(Entry())
            free.append(entries.count - 1)
        }
        let place = free.removeLast()
        entries[place].content = content
        entries[place].use += 1
        entries[place].previous = last
        entries[place].next = -1
        if last >= 0 { entries[last].next = place } else { first = place }
        last = place
        count += 1
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
        guard let deadline = nextDeadline, deadline <= now else { return nil }
        return removePlace(first)
    }

    private mutating func removePlace(_ place: Int) -> InFlight? {
        guard place >= 0, let content = entries[place].content else { return nil }
        let (previous, next) = (entries[place].previous, entries[place].next)
        if previous >= 0 { entries[previous].next = next } else { first = next }
        if next >= 0 { entries[next].previous = previous } else { last = previous }
        entries[place].content = nil
        free.append(place)
        count -= 1
        return content
    }
}
