/// How long to wait before the next attempt: 0.5 s × 1.5ⁿ ± 50 %, at most 60 s, for ever.
public struct Backoff: Hashable, Sendable {
    /// Bounds of the delays.
    public enum Limits {
        /// Before the second attempt, in the middle of its range.
        public static var first: Duration { .milliseconds(500) }
        /// The longest delay of its own.
        public static var longest: Duration { .seconds(60) }
        /// The longest that a portal may ask for.
        public static var retryAfterMax: Duration { .seconds(3_600) }
    }

    /// Attempts that failed since the last success.
    public private(set) var failureCount = 0

    public init() {}

    /// An attempt succeeded.
    public mutating func reset() { failureCount = 0 }

    /// An attempt failed; how long to wait now.
    ///
    /// - Parameters:
    ///   - retryAfter: What the other side asked for; never less than that is waited, and up to a
    ///     quarter more, so that not everybody comes back at once.
    ///   - random: Where the ± 50 % come from.
    /// - Returns: The delay before the next attempt.
    public mutating func delay(
        retryAfter: Duration? = nil,
        using random: inout some RandomNumberGenerator
    ) -> Duration {
        var middle = Limits.first
        for _ in 0..<failureCount where middle < Limits.longest { middle = middle * 3 / 2 }
        middle = min(middle, Limits.longest)
        failureCount = min(failureCount + 1, 64)
        let own = min(middle / 1_000 * Int.random(in: 500...1_500, using: &random), Limits.longest)
        guard let retryAfter, retryAfter > .zero else { return own }
        let asked = min(retryAfter, Limits.retryAfterMax)
        return max(own, asked / 1_000 * Int.random(in: 1_000...1_250, using: &random))
    }
}
