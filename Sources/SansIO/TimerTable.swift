/// The deadlines of one machine: one for each case of an enum, kept in a fixed array.
public struct TimerTable<Timer: CaseIterable & RawRepresentable & Sendable>: Sendable
where Timer.RawValue == Int {
    private var deadlines: [Instant?]

    public init() { deadlines = Array(repeating: nil, count: Timer.allCases.count) }

    /// When `timer` is due; nil means it is not set.
    public subscript(timer: Timer) -> Instant? {
        get { deadlines[timer.rawValue] }
        set { deadlines[timer.rawValue] = newValue }
    }

    /// The earliest of all; nil when none is set.
    public var next: Instant? {
        var earliest: Instant?
        for case let deadline? in deadlines where earliest.map({ deadline < $0 }) ?? true {
            earliest = deadline
        }
        return earliest
    }

    /// A timer that is due at `now`, which is cleared; nil when none is.
    public mutating func popDue(at now: Instant) -> Timer? {
        for timer in Timer.allCases {
            if let deadline = deadlines[timer.rawValue], deadline <= now {
                deadlines[timer.rawValue] = nil
                return timer
            }
        }
        return nil
    }
}
