public import SansIO

/// One clock, one queue of events, one source of chance, and the first thing that went wrong.
public final class World {
    /// Bounds of a world.
    public enum Limits {
        /// Lines of the trace that are kept.
        public static var traceLines: Int { 100_000 }
        /// Events at one instant; more means that something runs in circles.
        static var eventsAtOnce: Int { 100_000 }
    }

    /// What everything follows from.
    public let seed: UInt64
    /// The virtual time.
    public private(set) var now = Instant(nanoseconds: 1_000_000_000_000)
    /// The first thing that went wrong; nil as long as all is well.
    public private(set) var failure: String?
    /// What happened last, oldest first; kept only when asked for.
    public private(set) var trace: [String] = []
    /// A number that two runs of one seed share, and different runs hardly.
    public private(set) var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Events so far.
    public private(set) var eventCount = 0

    var random: RandomSource
    private let isTracing: Bool
    private var events = EventHeap()
    private let start: Instant

    /// - Parameters:
    ///   - seed: What everything follows from.
    ///   - isTracing: Whether lines are kept for people; changes nothing else.
    public init(seed: UInt64, isTracing: Bool = false) {
        (self.seed, self.isTracing) = (seed, isTracing)
        random = RandomSource(seed: seed)
        start = now
    }

    /// Virtual time since the start.
    public var elapsed: Duration { start.duration(to: now) }

    /// Does everything that is due before `end`, until something goes wrong.
    public func run(until end: Instant) {
        var atOnce = 0
        while failure == nil, let due = events.next, due <= end {
            atOnce = due == now ? atOnce + 1 : 0
            guard atOnce < Limits.eventsAtOnce else {
                return fail("events without end at one instant")
            }
            now = max(now, due)
            eventCount += 1
            events.popFirst()?()
        }
        if failure == nil { now = max(now, end) }
    }

    func at(_ due: Instant, _ action: @escaping () -> Void) {
        events.add(at: max(due, now), action)
    }

    func after(_ delay: Duration, _ action: @escaping () -> Void) {
        events.add(at: now.advanced(by: delay), action)
    }

    /// Something is not as it must be; the first one counts.
    func fail(_ reason: String) {
        note("FAILED: \(reason)")
        if failure == nil { failure = "at \(Self.text(elapsed)): \(reason)" }
    }

    /// A line for people, made only when somebody reads it.
    func note(_ line: @autoclosure () -> String) {
        guard isTracing else { return }
        if trace.count >= 2 * Limits.traceLines { trace.removeFirst(Limits.traceLines) }
        trace.append("\(Self.text(elapsed))  \(line())")
    }

    /// Mixes something that happened into the fingerprint (FNV-1a).
    func mix(_ word: UInt64) { fingerprint = (fingerprint ^ word) &* 0x0000_0100_0000_01b3 }

    /// Seconds with milliseconds.
    static func text(_ duration: Duration) -> String {
        let milliseconds = duration.nanoseconds / 1_000_000
        let rest = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}

// MARK: - Chance

extension World {
    /// True so many times in ten thousand.
    func chance(perTenThousand count: Int) -> Bool {
        count > 0 && Int.random(in: 0..<10_000, using: &random) < count
    }

    /// A duration between two others.
    func between(_ least: Duration, _ most: Duration) -> Duration {
        guard least < most else { return least }
        let range = least.nanoseconds...most.nanoseconds
        return .nanoseconds(Int64.random(in: range, using: &random))
    }

    /// One of several.
    func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }
}
