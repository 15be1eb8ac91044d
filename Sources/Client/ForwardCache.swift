internal import Bytes
internal import DNS
internal import SansIO

/// Answers of upstreams, kept for as long as they may be.
///
/// Each upstream has its own, and so has each zone: what one says of a name never becomes another's
/// answer. The least useful ones go first when the bytes are used up: those that nobody asked for
/// since the hand passed them last (SIEVE).
struct ForwardCache {
    enum Limits {
        /// Bytes at most, with what an entry needs besides its answer.
        static var byteCount: Int { 8 << 20 }
        /// Bytes of one answer.
        static var answerByteCount: Int { 16_384 }
        /// What an entry needs besides its answer, about.
        static var entryByteCount: Int { 320 }
        /// Seconds that an answer is kept.
        static var timeToLive: UInt32 { 86_400 }
        /// Seconds that the absence of a name is kept (RFC 2308 section 5).
        static var negativeTimeToLive: UInt32 { 3_600 }
        /// How long after its end an answer is still given, while a new one is asked for.
        static var stale: Duration { .seconds(1) }
    }

    /// What an answer is an answer to.
    struct Key: Hashable {
        let question: Question
        /// Who was asked: the place of an upstream, or of a zone.
        let route: Int
        /// DO, CD and AD, which change what an upstream says (RFC 6840 section 5.7).
        let flags: UInt8
        /// Made once: a table looks at the keys that stand beside one, too.
        private let hash: Int

        init(question: Question, route: Int, flags: UInt8) {
            (self.question, self.route, self.flags) = (question, route, flags)
            var hasher = Hasher()
            hasher.combine(question)
            hasher.combine(route)
            hasher.combine(flags)
            hash = hasher.finalize()
        }

        func hash(into hasher: inout Hasher) { hasher.combine(hash) }

        static func == (lhs: Key, rhs: Key) -> Bool {
            lhs.hash == rhs.hash && lhs.route == rhs.route && lhs.flags == rhs.flags
                && lhs.question == rhs.question
        }
    }

    /// What a look-up finds, as a place in the cache.
    enum Found: Equatable {
        case fresh(Int)
        /// It has ended just now; whoever hears this first asks anew.
        case stale(Int, isFirst: Bool)
        case nothing
    }

    struct Entry {
        let key: Key
        let answer: ForwardedAnswer
        let storedAt: Instant
        let endsAt: Instant
        var isVisited = false
        var isRefreshing = false
        var newer = -1
        var older = -1

        var byteCount: Int {
            Limits.entryByteCount + answer.byteCount + key.question.name.wire.count
        }
    }

    private var entries: [Entry?] = []
    private var free: [Int] = []
    private var places: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1
    /// Who is looked at first when one must go.
    private var hand = -1
    private let byteCountMax: Int
    private(set) var byteCount = 0
    private(set) var hits: UInt64 = 0
    private(set) var misses: UInt64 = 0
    private(set) var staleHits: UInt64 = 0
    private(set) var evictions: UInt64 = 0

    init(byteCountMax: Int = Limits.byteCount) { self.byteCountMax = byteCountMax }

    var count: Int { places.count }

    /// The entry at a place that a look-up gave just now.
    subscript(place: Int) -> Entry? { entries[place] }
}

// MARK: - Use

extension ForwardCache {
    /// Looks for an answer, and counts how that went.
    mutating func lookUp(_ key: Key, at now: Instant) -> Found {
        guard let place = places[key], let entry = entries[place] else {
            misses += 1
            return .nothing
        }
        if now < entry.endsAt {
            hits += 1
            entries[place]?.isVisited = true
            return .fresh(place)
        }
        guard now < entry.endsAt.advanced(by: Limits.stale) else {
            remove(place)
            misses += 1
            return .nothing
        }
        staleHits += 1
        entries[place]?.isRefreshing = true
        return .stale(place, isFirst: !entry.isRefreshing)
    }

    /// The answer that a look-up would find now, without a trace.
    func peek(_ key: Key, at now: Instant) -> Entry? {
        places[key].flatMap { entries[$0] }.flatMap { now < $0.endsAt ? $0 : nil }
    }

    /// Keeps an answer, in the place of the one that was there.
    mutating func store(_ answer: ForwardedAnswer, for key: Key, at now: Instant) {
        if let place = places[key] { remove(place) }
        let end = now.advanced(by: .seconds(Int(answer.lifetime)))
        var entry = Entry(key: key, answer: answer, storedAt: now, endsAt: end)
        guard entry.byteCount <= byteCountMax else { return }
        while byteCount + entry.byteCount > byteCountMax { evict(at: now) }
        entry.older = newest
        let place = free.popLast() ?? entries.count
        if place == entries.count { entries.append(nil) }
        if newest >= 0 { entries[newest]?.newer = place } else { oldest = place }
        newest = place
        byteCount += entry.byteCount
        entries[place] = entry
        places[key] = place
    }

    /// Forgets everything but the counts.
    mutating func removeAll() {
        guard !places.isEmpty else { return }
        (entries, free, places) = ([], [], [:])
        (newest, oldest, hand, byteCount) = (-1, -1, -1, 0)
    }

    /// The hand goes from the oldest to the newest, and round; who was asked for since it came by
    /// stays once more.
    private mutating func evict(at now: Instant) {
        var place = hand >= 0 ? hand : oldest
        while let entry = entries[place], entry.isVisited, now < entry.endsAt {
            entries[place]?.isVisited = false
            place = entry.newer >= 0 ? entry.newer : oldest
        }
        hand = entries[place]?.newer ?? -1
        evictions += 1
        remove(place)
    }

    private mutating func remove(_ place: Int) {
        guard let entry = entries[place] else { return }
        if hand == place { hand = entry.newer }
        if entry.newer >= 0 {
            entries[entry.newer]?.older = entry.older
        } else {
            newest = entry.older
        }
        if entry.older >= 0 {
            entries[entry.older]?.newer = entry.newer
        } else {
            oldest = entry.newer
        }
        byteCount -= entry.byteCount
        places[entry.key] = nil
        entries[place] = nil
        free.append(place)
    }
}
