/// A point on the clock that runs through suspend (CLOCK_BOOTTIME), in nanoseconds since an
/// arbitrary origin.
///
/// Machines never read a clock: the loop (or the simulator) reads it once a turn and passes the
/// same instant to everything that it calls in that turn.
public struct Instant: InstantProtocol, Hashable, Sendable {
    /// Nanoseconds since the origin.
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Saturates at both ends instead of trapping.
    public func advanced(by duration: Duration) -> Instant {
        let delta = duration.nanoseconds
        let (sum, overflow) =
            delta < 0
            ? nanoseconds.subtractingReportingOverflow(delta.magnitude)
            : nanoseconds.addingReportingOverflow(UInt64(delta))
        return Instant(nanoseconds: overflow ? (delta < 0 ? 0 : .max) : sum)
    }

    public func duration(to other: Instant) -> Duration {
        .nanoseconds(Int64(truncatingIfNeeded: other.nanoseconds &- nanoseconds))
    }

    public static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.nanoseconds < rhs.nanoseconds }
}

extension Duration {
    /// Whole nanoseconds; saturates past ±292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }
}
