/// How far the clocks of some time zones are from UTC, now and for the days to come.
///
/// The edge fills it from the time zone database, for each zone that a policy names
/// (``Directory/zoneNames``), with the transitions of the next eight days at least.
public struct ZoneOffsets: Hashable, Sendable {
    /// One change of a zone's clocks.
    public struct Transition: Hashable, Sendable {
        /// When.
        public let at: WallTime
        /// Seconds east of UTC from then on.
        public let offsetSeconds: Int64

        public init(at: WallTime, offsetSeconds: Int64) {
            (self.at, self.offsetSeconds) = (at, offsetSeconds)
        }
    }

    /// The clocks of one zone.
    public struct Zone: Hashable, Sendable {
        /// Seconds east of UTC before the first transition.
        public let offsetSeconds: Int64
        /// Transitions to come, in order.
        public let transitions: [Transition]

        public init(offsetSeconds: Int64, transitions: [Transition] = []) {
            self.offsetSeconds = offsetSeconds
            self.transitions = transitions.sorted { $0.at < $1.at }
        }

        /// Clocks that never change.
        public static let utc = Zone(offsetSeconds: 0)

        /// Seconds east of UTC at `time`.
        public func offset(at time: WallTime) -> Int64 {
            transitions.last { $0.at <= time }?.offsetSeconds ?? offsetSeconds
        }

        /// The next change of the clocks after `time`.
        public func nextTransition(after time: WallTime) -> WallTime? {
            transitions.first { $0.at > time }?.at
        }
    }

    private var zones: [String: Zone] = ["UTC": .utc]

    /// Knows UTC alone.
    public init() {}

    /// The clocks of the zone called `name`; nil when it is not known.
    public subscript(name: String) -> Zone? {
        get { zones[name] }
        set { zones[name] = newValue }
    }
}
