public import SansIO

/// Notices a dead connection: a ping each interval, and three in a row unanswered end it.
///
/// Anything that comes from the other side counts as an answer. A ping counts from when it was
/// written, not from when it was due.
public struct Heartbeat: Hashable, Sendable {
    /// What to do now.
    public enum Action: Hashable, Sendable {
        /// Send a ping.
        case ping
        /// Give the connection up.
        case close
    }

    /// Bounds.
    public enum Limits {
        /// Pings without an answer that end a connection.
        public static var missed: Int { 3 }
        /// How long the answer to a hastened ping may take.
        public static var hastenedAnswer: Duration { .seconds(1) }
    }

    private var interval: Duration
    private var due: Instant
    private var unanswered = 0
    /// When a hastened ping must have been answered; nil when none waits.
    private var answerDue: Instant?

    /// Begins to count now; `interval` is the time between pings, at least a second.
    public init(interval: Duration, at now: Instant) {
        self.interval = max(interval, .seconds(1))
        due = now.advanced(by: self.interval)
    }

    /// When ``advance(to:)`` must be called at the latest.
    public var nextDeadline: Instant { answerDue.map { min($0, due) } ?? due }

    /// The other side asked for another interval.
    public mutating func setInterval(_ interval: Duration, at now: Instant) {
        self.interval = max(interval, .seconds(1))
        due = min(due, now.advanced(by: self.interval))
    }

    /// The connection may be dead since the network changed: a ping is due now, and ends it when it
    /// is not answered soon.
    public mutating func hasten(at now: Instant) {
        due = now
        answerDue = answerDue ?? now.advanced(by: Limits.hastenedAnswer)
    }

    /// Something came.
    public mutating func heard() { (unanswered, answerDue) = (0, nil) }

    /// Time passed; nil means that nothing is due.
    public mutating func advance(to now: Instant) -> Action? {
        if let answerDue, now >= answerDue { return .close }
        guard now >= due else { return nil }
        due = now.advanced(by: interval)
        guard unanswered < Limits.missed else { return .close }
        unanswered += 1
        return .ping
    }
}
