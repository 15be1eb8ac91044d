internal import Foundation
internal import Policy

/// The clocks of the time zones that policies name, from the machine's time zone database.
struct ZoneTable {
    /// Bounds of what is looked up.
    enum Limits {
        /// How far ahead changes of clocks are looked for, in seconds; more than a week and a day.
        static let horizon = 20.0 * 86_400
        /// How long a look-up is good for, in seconds.
        static let lifetime = 86_400.0
    }

    private var names: [String] = []
    private var offsets = ZoneOffsets()
    private var validUntil = Date.distantPast

    /// The clocks of `names` around `now`.
    mutating func offsets(for names: [String], at now: Date) -> ZoneOffsets {
        if names != self.names || now >= validUntil {
            (self.names, offsets) = (names, Self.lookUp(names, at: now))
            validUntil = now.addingTimeInterval(Limits.lifetime)
        }
        return offsets
    }

    /// The clocks of `names` around any moment.
    static func lookUp(_ names: [String], at now: Date) -> ZoneOffsets {
        var offsets = ZoneOffsets()
        for name in names {
            guard let zone = TimeZone(identifier: name) else { continue }
            var transitions: [ZoneOffsets.Transition] = []
            var last = now
            while let next = zone.nextDaylightSavingTimeTransition(after: last), next > last,
                next < now.addingTimeInterval(Limits.horizon)
            {
                transitions.append(
                    ZoneOffsets.Transition(
                        at: WallTime(next),
                        offsetSeconds: Int64(zone.secondsFromGMT(for: next))
                    )
                )
                last = next
            }
            offsets[name] = ZoneOffsets.Zone(
                offsetSeconds: Int64(zone.secondsFromGMT(for: now)),
                transitions: transitions
            )
        }
        return offsets
    }
}

extension WallTime {
    /// A date in whole seconds.
    init(_ date: Date) { self.init(seconds: Int64(date.timeIntervalSince1970.rounded(.down))) }

    /// The same moment.
    var date: Date { Date(timeIntervalSince1970: Double(seconds)) }
}
