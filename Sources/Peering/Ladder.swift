internal import SansIO

/// One initiation on its way: the same bytes, again and again over all pairs, until the response is
/// there or the tunnel makes a new one.
struct Ladder {
    /// Waits before each repetition.
    static let gaps: [Duration] = [50, 50, 50, 100, 200, 400, 800].map { .milliseconds($0) }

    /// The initiation, mac2 zero.
    let bytes: [UInt8]
    /// Whether the first goes over all pairs; else over the chosen path, which works so far.
    let isFannedOut: Bool
    private var step = 0
    /// When the next copies go out; nil after the last.
    private(set) var next: Instant?

    init(_ bytes: [UInt8], isFannedOut: Bool, at now: Instant) {
        (self.bytes, self.isFannedOut) = (bytes, isFannedOut)
        next = now
    }

    /// Whether the next copies go over all pairs.
    var goesEverywhere: Bool { isFannedOut || step > 0 }

    /// Copies went out.
    mutating func sent(at now: Instant) {
        next = step < Self.gaps.count ? now.advanced(by: Self.gaps[step]) : nil
        step += 1
    }

    /// There are other pairs now: all copies again.
    mutating func restart(at now: Instant) {
        step = 0
        next = now
    }
}
