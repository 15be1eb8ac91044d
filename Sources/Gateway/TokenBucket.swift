public import SansIO

/// Lets through so many events a second on average, and so many at once.
public struct TokenBucket: Sendable {
    private let interval: Duration
    private let burst: Duration
    /// When the bucket would be full; up to `burst` ahead of the clock.
    private var full = Instant(nanoseconds: 0)

    /// - Parameters:
    ///   - perSecond: Events a second.
    ///   - burst: Events at once, after a rest.
    public init(perSecond: Int, burst: Int) {
        interval = .nanoseconds(1_000_000_000 / Int64(max(1, perSecond)))
        self.burst = interval * max(1, burst)
    }

    /// Whether one more event may pass at `now`.
    public mutating func take(at now: Instant) -> Bool {
        let next = max(full, now).advanced(by: interval)
        guard now.duration(to: next) <= burst else { return false }
        full = next
        return true
    }
}
