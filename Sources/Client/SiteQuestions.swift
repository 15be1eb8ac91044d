internal import Control
internal import DNS
internal import SansIO

/// The questions whose answers only a gateway's resolver can give, from when they come to when
/// somebody answered or nobody waits any more.
///
/// A question waits like a first packet for its resource's lease and a connected gateway; what it
/// then is asked by (each with a token of its own) is listed here, too.
struct SiteQuestions {
    enum Limits {
        /// Questions at one time.
        static var count: Int { 1_000 }
        /// How long one has in all; the resolver has told its asker by then.
        static var patience: Duration { .seconds(4) }
        /// After how long a datagram without answer is sent again.
        static var repetition: Duration { .seconds(1) }
        /// Datagrams for one question.
        static var datagrams: Int { 3 }
    }

    /// How a question is being asked.
    struct Attempt {
        let token: UInt64
        let gateway: GatewayID
        let transport: Exchange.Transport
    }

    /// A question on its way.
    struct Entry {
        let question: SiteQuestion
        let end: Instant
        /// The resource that it is asked for.
        var resource: ResourceID
        /// Whether it waits for the lease or the gateway.
        var isWaiting = true
        /// The attempts under way.
        var attempts: [Attempt] = []
        /// Datagrams sent so far.
        var datagrams = 0
        /// When a datagram is sent again.
        var repetition: Instant?
        /// Whether it is asked by TCP, unless that fails.
        var isStream: Bool
        /// An answer that did not fit its datagram.
        var cut: [UInt8]?
        /// Whether a gateway refused it already as not granted.
        var wasRefused = false
    }

    /// Tokens of attempts have the highest bit, so that they are no tokens of the stub resolver.
    private static var tokenBit: UInt64 { 1 << 63 }

    private(set) var entries: [Entry] = []
    private var lastToken: UInt64 = tokenBit

    static func isAttempt(_ token: UInt64) -> Bool { token & tokenBit != 0 }

    var isEmpty: Bool { entries.isEmpty }

    /// When a datagram is due again, or a question is over.
    var nextDeadline: Instant? {
        entries.map { entry in entry.repetition.map { min($0, entry.end) } ?? entry.end }.min()
    }

    /// Whether a question waits for `resource`.
    func waits(for resource: ResourceID) -> Bool {
        entries.contains { $0.isWaiting && $0.resource == resource }
    }

    /// The resources that questions wait for.
    var awaited: Set<ResourceID> { Set(entries.lazy.filter(\.isWaiting).map(\.resource)) }

    /// Takes a question; false when there are too many.
    mutating func insert(
        _ question: SiteQuestion,
        for resource: ResourceID,
        at now: Instant
    ) -> Bool {
        guard entries.count < Limits.count else { return false }
        entries.append(
            Entry(
                question: question,
                end: now.advanced(by: Limits.patience),
                resource: resource,
                isStream: question.isStream
            )
        )
        return true
    }

    /// The question with `token`.
    subscript(token: UInt64) -> Entry? {
        get { entries.first { $0.question.token == token } }
        set {
            guard let index = entries.firstIndex(where: { $0.question.token == token }) else {
                return
            }
            if let newValue { entries[index] = newValue } else { entries.remove(at: index) }
        }
    }

    /// A new attempt's token.
    mutating func nextToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    /// An attempt ended.
    ///
    /// - Returns: It, and its question's token; nil when nobody waits for it.
    mutating func end(_ token: UInt64) -> (Attempt, question: UInt64)? {
        for index in entries.indices {
            guard let place = entries[index].attempts.firstIndex(where: { $0.token == token })
            else { continue }
            let attempt = entries[index].attempts.remove(at: place)
            return (attempt, entries[index].question.token)
        }
        return nil
    }

    /// Lets go of all: whose tokens they are is gone.
    mutating func removeAll() { entries.removeAll() }

    /// Lets go of those that are over.
    mutating func removeExpired(at now: Instant) { entries.removeAll { $0.end <= now } }
}
