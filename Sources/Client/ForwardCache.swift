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
    struct Key: Equatable {
        let question: Question
        /// Who was asked: the place of an upstream, or of a zone.
        let route: Int
        /// DO, CD and AD, which change what an upstream says (RFC 6840 section 5.7).
        let flags: UInt8
        /// Made once, by a secret: who asks must not choose names that fall together.
        let hash: UInt32

        init(question: Question, route: Int, flags: UInt8, seed: UInt64) {
            (self.question, self.route, self.flags) = (question, route, flags)
            let kind = UInt64(question.type.rawValue) << 16 | UInt64(question.recordClass.rawValue)
            let rest = UInt64(truncatingIfNeeded: route) << 40 | UInt64(flags) << 32 | kind
            let mixed = question.name.hash(seed: seed ^ rest)
            hash = UInt32(truncatingIfNeeded: mixed ^ mixed >> 32)
        }

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
        /// Its own question is the key's; nil where the place is free.
        fileprivate(set) var answer: ForwardedAnswer?
        fileprivate let route: Int
        fileprivate let flags: UInt8
        fileprivate let hash: UInt32
        /// What it counts for.
        fileprivate let byteCount: Int
        let storedAt: Instant
        let endsAt: Instant
        fileprivate var isVisited = false
        fileprivate var isRefreshing = false
        fileprivate var newer = -1
        fileprivate var older = -1

        fileprivate init(_ answer: ForwardedAnswer, _ key: Key, at now: Instant) {
            self.answer = answer
            (route, flags, hash) = (key.route, key.flags, key.hash)
            byteCount =
                Limits.entryByteCount + answer.byteCount + key.question.name.wire.count
            storedAt = now
            endsAt = now.advanced(by: .seconds(Int(answer.lifetime)))
        }
    }

    private var entries: [Entry] = []
    private var free: [Int] = []
    private var index = PlaceIndex()
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

    var count: Int { index.count }

    /// The entry at a place that a look-up gave just now.
    subscript(place: Int) -> Entry { entries[place] }
}

// MARK: - Use

extension ForwardCache {
    private func place(of key: Key) -> Int? {
        index.first(key.hash) { place in
            entries[place].route == key.route && entries[place].flags == key.flags
                && entries[place].answer?.answers(key.question) ?? false
        }
    }

    /// Looks for an answer, and counts how that went.
    mutating func lookUp(_ key: Key, at now: Instant) -> Found {
        guard let place = place(of: key) else {
            misses += 1
            return .nothing
        }
        let end = entries[place].endsAt
        if now < end {
            hits += 1
            entries[place].isVisited = true
            return .fresh(place)
        }
        guard now < end.advanced(by: Limits.stale) else {
            remove(place)
            misses += 1
            return .nothing
        }
        staleHits += 1
        let isFirst = !entries[place].isRefreshing
        entries[place].isRefreshing = true
        return .stale(place, isFirst: isFirst)
    }

    /// The answer that a look-up would find now, without a trace.
    func peek(_ key: Key, at now: Instant) -> Entry? {
        place(of: key).map { entries[$0] }.flatMap { now < $0.endsAt ? $0 : nil }
    }

    /// Keeps an answer, in the place of the one that was there.
    mutating func store(_ answer: ForwardedAnswer, for key: Key, at now: Instant) {
        if let place = place(of: key) { remove(place) }
        var entry = Entry(answer, key, at: now)
        guard entry.byteCount <= byteCountMax else { return }
        while byteCount + entry.byteCount > byteCountMax { evict(at: now) }
        entry.older = newest
        byteCount += entry.byteCount
        let place = free.popLast() ?? entries.count
        if place == entries.count { entries.append(entry) } else { entries[place] = entry }
        if newest >= 0 { entries[newest].newer = place } else { oldest = place }
        newest = place
        index.insert(place, key.hash)
    }

    /// Forgets everything but the counts.
    mutating func removeAll() {
        guard index.count > 0 else { return }
        (entries, free, index) = ([], [], PlaceIndex())
        (newest, oldest, hand, byteCount) = (-1, -1, -1, 0)
    }

    /// The hand goes from the oldest to the newest, and round; who was asked for since it came by
    /// stays once more.
    private mutating func evict(at now: Instant) {
        var place = hand >= 0 ? hand : oldest
        while entries[place].isVisited, now < entries[place].endsAt {
            entries[place].isVisited = false
            place = entries[place].newer >= 0 ? entries[place].newer : oldest
        }
        hand = entries[place].newer
        evictions += 1
        remove(place)
    }

    private mutating func remove(_ place: Int) {
        let (newer, older) = (entries[place].newer, entries[place].older)
        if hand == place { hand = newer }
        if newer >= 0 { entries[newer].older = older } else { newest = older }
        if older >= 0 { entries[older].newer = newer } else { oldest = newer }
        byteCount -= entries[place].byteCount
        index.remove(place, entries[place].hash)
        entries[place].answer = nil
        free.append(place)
    }
}
