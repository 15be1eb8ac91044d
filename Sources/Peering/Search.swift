internal import SansIO

/// A gateway's search for a direct way while packets go through a relay: a few rounds of probes to
/// the client's candidates. Where the gateway's NAT deals a port to each peer, the client learns
/// that port from them; it cannot learn from openers, which nobody signed.
struct Search {
    /// Waits between the rounds.
    static let gap: Duration = .milliseconds(300)
    static let rounds = 3

    private var left = Self.rounds
    /// When the next round is due.
    private(set) var next: Instant

    init(at now: Instant) { next = now }

    /// A round went out; false: it was the last.
    mutating func sent(at now: Instant) -> Bool {
        left -= 1
        next = now.advanced(by: Self.gap)
        return left > 0
    }
}
