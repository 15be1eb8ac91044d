internal import Foundation

/// Slows down guessing of passwords, by address and by account.
///
/// Each name has a bucket of tries that fills again with time; a right password does not empty it
/// for others, so an attacker can lock nobody out for longer than the refill.
struct SignInLimiter {
    /// Bounds of tries.
    enum Limits {
        /// Tries at once.
        static let burst = 5.0
        /// Seconds for one more.
        static let refillSeconds = 30.0
        /// Names remembered; the fullest go first.
        static let names = 10_000
    }

    private struct Bucket {
        var tries: Double
        var at: Date
    }

    private var buckets: [String: Bucket] = [:]

    /// Takes one try from each of `names`; else how many seconds to wait.
    mutating func take(_ names: [String], now: Date) -> Int? {
        var wait = 0.0
        for name in names { wait = max(wait, 1 - tries(name, now)) }
        guard wait <= 0 else { return max(1, Int((wait * Limits.refillSeconds).rounded(.up))) }
        for name in names { buckets[name] = Bucket(tries: tries(name, now) - 1, at: now) }
        if buckets.count > Limits.names {
            buckets = buckets.filter { tries($0.key, now) < Limits.burst - 0.5 }
        }
        return nil
    }

    private func tries(_ name: String, _ now: Date) -> Double {
        guard let bucket = buckets[name] else { return Limits.burst }
        let refilled = now.timeIntervalSince(bucket.at) / Limits.refillSeconds
        return min(Limits.burst, bucket.tries + max(0, refilled))
    }
}
