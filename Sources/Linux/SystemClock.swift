internal import CLinux
internal import Glibc
public import SansIO

/// The kernel's clocks.
public enum SystemClock {
    /// CLOCK_BOOTTIME: runs through suspend, is never set. What machines are given.
    public static func now() -> Instant {
        let time = read(CLOCK_BOOTTIME)
        return Instant(
            nanoseconds: UInt64(time.seconds) &* 1_000_000_000 &+ UInt64(time.nanoseconds)
        )
    }

    /// CLOCK_REALTIME: seconds and nanoseconds since 1970 (UTC). May jump; drives no timer.
    public static func wall() -> (seconds: Int64, nanoseconds: Int32) { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> (seconds: Int64, nanoseconds: Int32) {
        var time = timespec()
        _ = unsafe clock_gettime(clock, &time)
        return (Int64(time.tv_sec), Int32(truncatingIfNeeded: time.tv_nsec))
    }
}
