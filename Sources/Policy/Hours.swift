/// Times of the week, in a named time zone, at which something is allowed.
///
/// A moment counts when the zone's clocks show a time inside; so an hour that the clocks skip is
/// skipped, and one that they repeat is repeated. A range across midnight belongs to the day on
/// which it begins.
public struct Hours: Hashable, Sendable {
    /// A part of a day, in minutes after midnight.
    public struct TimeRange: Hashable, Sendable, Codable {
        /// 0 ..< 1440; included.
        public let start: Int
        /// 1 ... 1440; excluded. Not after `start`: on the next day.
        public let end: Int

        /// Nil when out of range, or when the two are the same.
        public init?(start: Int, end: Int) {
            guard (0..<1_440).contains(start), (1...1_440).contains(end), start != end else {
                return nil
            }
            (self.start, self.end) = (start, end)
        }
    }

    /// Bounds.
    public enum Limits {
        /// Ranges in one condition.
        public static var times: Int { 48 }
        /// How far ahead a change is looked for: a week and a day.
        public static var horizonSeconds: Int64 { 8 * 86_400 }
    }

    /// The zone's name, such as `Europe/Amsterdam`.
    public let zone: String
    /// On which days; ranges begin on them.
    public let days: Weekdays
    /// At which times of these days; empty means all day.
    public let times: [TimeRange]

    /// The times in seconds after Monday's midnight, in order, disjoint, not touching.
    private let spans: [Range<Int64>]

    public init(zone: String, days: Weekdays = .all, times: [TimeRange] = []) {
        (self.zone, self.days, self.times) = (zone, days, times)
        spans = Self.spans(days: days, times: times)
    }

    private static let week: Int64 = 7 * 86_400

    private static func spans(days: Weekdays, times: [TimeRange]) -> [Range<Int64>] {
        let ranges = times.isEmpty ? [TimeRange(start: 0, end: 1_440)].compactMap(\.self) : times
        var spans: [Range<Int64>] = []
        for day in 0..<7 where days.contains(index: day) {
            for range in ranges {
                let end = range.end > range.start ? range.end : range.end + 1_440
                let start = Int64(day * 1_440 + range.start) * 60
                let stop = Int64(day * 1_440 + end) * 60
                spans.append(start..<min(stop, week))
                if stop > week { spans.append(0..<(stop - week)) }
            }
        }
        var merged: [Range<Int64>] = []
        for span in spans.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, span.lowerBound <= last.upperBound {
                merged.removeLast()
                merged.append(last.lowerBound..<max(last.upperBound, span.upperBound))
            } else {
                merged.append(span)
            }
        }
        return merged
    }
}

extension Hours {
    /// Whether it is time.
    public func contains(_ time: WallTime, in zone: ZoneOffsets.Zone) -> Bool {
        state(at: Self.secondOfWeek(time, zone)).isInside
    }

    /// The first moment after `time` at which ``contains(_:in:)`` gives the other answer, exactly;
    /// nil when there is none within a week.
    public func nextChange(after time: WallTime, in zone: ZoneOffsets.Zone) -> WallTime? {
        let isInside = contains(time, in: zone)
        let horizon = time.advanced(by: Limits.horizonSeconds)
        var now = time
        while now < horizon {
            let (inside, left) = state(at: Self.secondOfWeek(now, zone))
            if inside != isInside { return now }
            let end = left.map { now.advanced(by: $0) } ?? horizon
            // What the clocks show goes on evenly only until they are changed.
            now = min(end, zone.nextTransition(after: now) ?? horizon)
        }
        return nil
    }

    /// Seconds after Monday's midnight, 0 ..< a week. 1970-01-01 was a Thursday.
    static func secondOfWeek(_ time: WallTime, _ zone: ZoneOffsets.Zone) -> Int64 {
        let shift = zone.offset(at: time) + 3 * 86_400
        return time.advanced(by: shift).seconds.flooredRemainder(week)
    }

    /// Whether `second` of the week is inside, and in how many seconds that changes by itself.
    private func state(at second: Int64) -> (isInside: Bool, left: Int64?) {
        guard let first = spans.first else { return (false, nil) }
        for span in spans {
            if second < span.lowerBound { return (false, span.lowerBound - second) }
            if second < span.upperBound {
                guard span.upperBound == Self.week, first.lowerBound == 0 else {
                    return (true, span.upperBound - second)
                }
                // Inside up to the week's end, and on from its beginning.
                let isAlways = span == first
                return (true, isAlways ? nil : Self.week - second + first.upperBound)
            }
        }
        return (false, Self.week - second + first.lowerBound)
    }
}

extension Hours.TimeRange: LosslessStringConvertible {
    /// `08:00-18:30`, `22:00-06:00`, `00:00-24:00`.
    public init?(_ text: String) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let start = Self.minutes(ends[0]), var end = Self.minutes(ends[1])
        else { return nil }
        if end == 0 { end = 1_440 }
        self.init(start: start, end: end)
    }

    public var description: String { "\(Self.text(start))-\(Self.text(end))" }

    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let hours = Int(parts[0]), let minutes = Int(parts[1]), hours <= 24, minutes < 60,
            hours < 24 || minutes == 0
        else { return nil }
        return hours * 60 + minutes
    }

    private static func text(_ minutes: Int) -> String {
        "\(Int64(minutes / 60).twoDigits):\(Int64(minutes % 60).twoDigits)"
    }
}

extension Hours: CustomStringConvertible {
    /// Such as `mon-fri 08:00-18:30 Europe/Amsterdam`.
    public var description: String {
        let ranges = times.map(\.description).joined(separator: ", ")
        return "\(days) " + (ranges.isEmpty ? "" : ranges + " ") + zone
    }
}

extension Hours: Codable {
    private enum CodingKeys: String, CodingKey {
        case zone, days, times
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            zone: try container.decode(String.self, forKey: .zone),
            days: try container.decode(Weekdays.self, forKey: .days),
            times: try container.decode([TimeRange].self, forKey: .times)
        )
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(zone, forKey: .zone)
        try container.encode(days, forKey: .days)
        try container.encode(times, forKey: .times)
    }
}
