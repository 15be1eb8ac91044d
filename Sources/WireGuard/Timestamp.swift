internal import Bytes
internal import Ciphers
public import SansIO

/// A moment in TAI64N, which each initiation of one initiator must exceed (5.1).
public struct Timestamp: Comparable, Sendable {
    static var byteCount: Int { 12 }

    /// Seconds, from 2^62 + 10 at the start of 1970.
    let seconds: UInt64
    /// Nanoseconds of the second.
    let nanoseconds: UInt32

    init(seconds: UInt64, nanoseconds: UInt32) {
        (self.seconds, self.nanoseconds) = (seconds, nanoseconds)
    }

    /// Reads 12 bytes.
    init(reading bytes: RawSpan) {
        self.init(seconds: bytes.uint64(at: 0), nanoseconds: bytes.uint32(at: 8))
    }

    /// The 12 bytes, big-endian.
    var array: [UInt8] {
        var bytes = InlineArray<12, UInt8>(repeating: 0)
        var span = bytes.mutableRawSpan
        span.store(seconds, at: 0)
        span.store(nanoseconds, at: 8)
        return bytes.rawSpan.array
    }

    /// The smallest one that exceeds this.
    var next: Timestamp {
        nanoseconds < 999_999_999
            ? Timestamp(seconds: seconds, nanoseconds: nanoseconds + 1)
            : Timestamp(seconds: seconds &+ 1, nanoseconds: 0)
    }

    public static func < (lhs: Timestamp, rhs: Timestamp) -> Bool {
        (lhs.seconds, lhs.nanoseconds) < (rhs.seconds, rhs.nanoseconds)
    }
}

/// The wall clock as it was at one instant. Later times are that plus monotonic time, so that clock
/// steps do no harm.
public struct WallStart: Sendable {
    private let nanoseconds: UInt64
    private let instant: Instant

    /// - Parameters:
    ///   - unixNanoseconds: The wall clock at `instant`, in nanoseconds since 1970.
    ///   - instant: When it was read.
    public init(unixNanoseconds: UInt64, at instant: Instant) {
        (nanoseconds, self.instant) = (unixNanoseconds, instant)
    }

    /// The time stamp of `now`, rounded down to 2^24 ns so that it gives no fine clock away.
    public func timestamp(at now: Instant) -> Timestamp {
        let elapsed = now.nanoseconds &- instant.nanoseconds
        let (seconds, rest) = (nanoseconds &+ elapsed).quotientAndRemainder(
            dividingBy: 1_000_000_000
        )
        return Timestamp(
            seconds: 0x4000_0000_0000_000a &+ seconds,
            nanoseconds: UInt32(rest) & ~0xff_ffff
        )
    }
}
