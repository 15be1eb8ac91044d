internal import DNS
internal import SansIO

/// A query whose answer is waited for.
struct InFlight {
    /// Who answers, which says how long the wait is.
    enum Wait: Int, CaseIterable {
        /// The nameserver of a sentinel.
        case upstream
        /// One nameserver of a zone after the other.
        case zone
        /// The site of a protected name.
        case site
    }

    let query: Query
    /// Who waits; nil when only the cache does.
    let asker: Asker?
    /// The ID that it was sent under.
    let id: UInt16
    /// Whether it came by TCP, and is asked by TCP.
    let isStream: Bool
    let wait: Wait
    /// When it came.
    let sentAt: Instant
    var deadline: Instant
    /// The state of the resources when it came.
    let generation: UInt32
    /// What the answer is kept under; nil where it is not kept.
    var key: ForwardCache.Key?
    /// Its way through the nameservers of a zone.
    var round: ForwardZones.Round?
    /// Those that asked the same meanwhile and get the same answer.
    var followers: [Follower] = []

    /// A query that is not asked by itself.
    struct Follower {
        let query: Query
        let asker: Asker
    }

    /// The query of a follower, as if it had been sent.
    func following(_ follower: Follower) -> InFlight {
        InFlight(
            query: follower.query,
            asker: follower.asker,
            id: id,
            isStream: isStream,
            wait: wait,
            sentAt: sentAt,
            deadline: deadline,
            generation: generation,
            key: nil
        )
    }
}

/// The queries whose answers are waited for; those that wait equally long in order of their
/// deadlines, which is that of their coming.
///
/// Each has a token of its own that is never used twice: queries with the same ID, from one asker
/// or to one server, do not meet, and a late answer finds nothing. The lowest bits of a token say
/// where the query is kept, the four above are the number of the attempt.
struct InFlightTable {
    private struct Entry {
        var content: InFlight?
        /// The list of those that wait equally long.
        var list = 0
        /// How often the place was used; part of the token.
        var use: UInt64 = 0
        var previous = -1
        var next = -1
        /// Whether others may join it: it is the last of its kind.
        var isIndexed = false
    }

    private struct List {
        var first = -1
        var last = -1
        var count = 0
    }

    private var entries: [Entry] = []
    private var free: [Int] = []
    private var lists = InFlight.Wait.allCases.map { _ in List() }
    /// The last question of each kind to the nameserver of a sentinel, by the hash of its key.
    private var lastOfKind = PlaceIndex()

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

    /// The number of the attempt that a token belongs to.
    static func attempt(of token: UInt64) -> Int { Int(token >> 16 & 15) }

    /// The token of another attempt.
    static func token(_ token: UInt64, attempt: Int) -> UInt64 {
        token & ~(15 << 16) | UInt64(attempt & 15) << 16
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
        entries[place].content = content
        entries[place].list = list
        entries[place].use += 1
        append(place)
        if content.wait == .upstream, let key = content.key { setLast(place, key) }
        return (entries[place].use << 20 | UInt64(place), evicted)
    }

    private mutating func append(_ place: Int) {
        let list = entries[place].list
        let last = lists[list].last
        entries[place].previous = last
        entries[place].next = -1
        if last >= 0 { entries[last].next = place } else { lists[list].first = place }
        lists[list].last = place
        lists[list].count += 1
    }

    private func place(of token: UInt64) -> Int? {
        let place = Int(token & 0xffff)
        guard place < entries.count, entries[place].use == token >> 20,
            entries[place].content != nil
        else { return nil }
        return place
    }

    /// A copy of the query of a token; nil when it is not there any more.
    func content(of token: UInt64) -> InFlight? {
        place(of: token).flatMap { entries[$0].content }
    }

    /// Who is to answer a token's query; nil when it is not there any more.
    func wait(of token: UInt64) -> InFlight.Wait? {
        place(of: token).flatMap { InFlight.Wait(rawValue: entries[$0].list) }
    }

    /// Takes the query of a token; nil when it is not there any more.
    mutating func remove(_ token: UInt64) -> InFlight? {
        place(of: token).flatMap { removePlace($0) }
    }

    /// Puts a changed query into its place; its deadline is now the last of its kind.
    mutating func update(_ token: UInt64, _ content: InFlight) {
        guard let place = place(of: token) else { return }
        unlink(place)
        entries[place].content = content
        append(place)
    }

    /// Changes a query whose deadline stays.
    mutating func note(_ token: UInt64, _ round: ForwardZones.Round) {
        if let place = place(of: token) { entries[place].content?.round = round }
    }

    /// The token of a query that is due; nil when none is.
    func due(at now: Instant) -> UInt64? {
        for list in lists {
            if let deadline = deadline(of: list), deadline <= now {
                return entries[list.first].use << 20 | UInt64(list.first)
            }
        }
        return nil
    }

    /// Lets a query wait for the answer to the last one of its kind.
    ///
    /// - Returns: Whether there is one, and `accepts` it.
    mutating func join(
        _ key: ForwardCache.Key,
        _ follower: InFlight.Follower,
        where accepts: (InFlight) -> Bool
    ) -> Bool {
        guard let place = lastPlace(key), let first = entries[place].content, accepts(first) else {
            return false
        }
        entries[place].content?.followers.append(follower)
        return true
    }

    private func lastPlace(_ key: ForwardCache.Key) -> Int? {
        lastOfKind.first(key.hash) { entries[$0].content?.key == key }
    }

    private mutating func setLast(_ place: Int, _ key: ForwardCache.Key) {
        if let before = lastPlace(key) {
            lastOfKind.remove(before, key.hash)
            entries[before].isIndexed = false
        }
        lastOfKind.insert(place, key.hash)
        entries[place].isIndexed = true
    }

    private mutating func removePlace(_ place: Int) -> InFlight? {
        guard place >= 0, entries[place].content != nil else { return nil }
        unlink(place)
        let content = entries[place].content.take()
        if entries[place].isIndexed, let key = content?.key {
            lastOfKind.remove(place, key.hash)
            entries[place].isIndexed = false
        }
        free.append(place)
        return content
    }

    private mutating func unlink(_ place: Int) {
        let list = entries[place].list
        let (previous, next) = (entries[place].previous, entries[place].next)
        if previous >= 0 { entries[previous].next = next } else { lists[list].first = next }
        if next >= 0 { entries[next].previous = previous } else { lists[list].last = previous }
        lists[list].count -= 1
    }
}
