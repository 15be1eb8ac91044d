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
    }

    private var interval: Duration
    private var due: Instant
    private var unanswered = 0

    /// Begins to count now; `interval` is the time between pings, at least a second.
    public init(interval: Duration, at now: Instant) {
        self.interval = max(interval, .seconds(1))
        due = now.advanced(by: self.interval)
    }

    /// When ``advance(to:)`` must be called at the latest.
    public var nextDeadline: Instant { due }

    /// The other side asked for another interval.
    public mutating func setInterval(_ interval: Duration, at now: Instant) {
        self.interval = max(interval, .seconds(1))
        due = min(due, now.advanced(by: self.interval))
    }

    /// Something came.
    public mutating func heard() { unanswered = 0 }

    /// Time passed; nil means that nothing is due.
    public mutating func advance(to now: Instant) -> Action? {
        guard now >= due else { return nil }
        due = now.advanced(by: interval)
        guard unanswered < Limits.missed else { return .close }
        unanswered += 1
        return .ping
    }
}
