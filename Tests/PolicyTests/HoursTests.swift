import Policy
import SansIO
import Testing

@Suite("Hours")
struct HoursTests {
    @Test(
        "days are read and written",
        arguments: [
            ("mon-fri", "mon-fri"), ("sat,sun", "sat-sun"), ("fri-mon", "mon, fri-sun"),
            ("mon-sun", "mon-sun"), ("Wed", "wed"), ("mon, wed, fri", "mon, wed, fri"),
            ("sun-sat", "mon-sun"),
        ]
    )
    func days(text: String, canonical: String) throws {
        let days = try #require(Weekdays(text))
        #expect(days.description == canonical)
        #expect(Weekdays(canonical) == days)
    }

    @Test("what is no day", arguments: ["", "mo", "mon-", "-fri", "mon-tue-wed", "mon,,fri", "1"])
    func badDays(text: String) { #expect(Weekdays(text) == nil) }

    @Test(
        "times are read and written",
        arguments: [
            ("08:00-18:30", "08:00-18:30"), ("8:00-9:05", "08:00-09:05"),
            ("22:00-06:00", "22:00-06:00"), ("00:00-24:00", "00:00-24:00"),
            ("22:00-00:00", "22:00-24:00"), ("22:00-24:00", "22:00-24:00"),
        ]
    )
    func times(text: String, canonical: String) throws {
        #expect(try #require(Hours.TimeRange(text)).description == canonical)
    }

    @Test(
        "what is no range of times",
        arguments: [
            "", "08:00", "08:00-08:00", "24:00-25:00", "08:60-09:00", "8-9", "08:00-24:01",
            "24:00-08:00",
            "08:00-09:00-10:00", "-8:00-09:00", "08:0-09:00",
        ]
    )
    func badTimes(text: String) { #expect(Hours.TimeRange(text) == nil) }

    /// A zone with a clock change on most days, at odd moments and of odd sizes.
    private func zone(_ random: inout RandomSource, around time: Int64) -> ZoneOffsets.Zone {
        let transitions = (0..<Int.random(in: 0...6, using: &random)).map { _ in
            ZoneOffsets.Transition(
                at: WallTime(
                    seconds: time + 60 * Int64.random(in: -3_000...12_000, using: &random)
                ),
                offsetSeconds: 900 * Int64.random(in: -48...56, using: &random)
            )
        }
        return ZoneOffsets.Zone(
            offsetSeconds: 900 * Int64.random(in: -48...56, using: &random),
            transitions: transitions
        )
    }

    /// Whether the clocks show a time inside, said as plainly as can be.
    private func isInside(_ hours: Hours, _ time: Int64, _ zone: ZoneOffsets.Zone) -> Bool {
        let local = time + zone.offset(at: WallTime(seconds: time)) + 86_400 * 7 * 4_000
        let day = Int((local / 86_400 + 3) % 7)
        let minute = Int(local % 86_400 / 60)
        guard !hours.times.isEmpty else { return hours.days.contains(index: day) }
        return hours.times.contains { range in
            if range.start < range.end {
                return hours.days.contains(index: day) && (range.start..<range.end).contains(minute)
            }
            return hours.days.contains(index: day) && minute >= range.start
                || hours.days.contains(index: (day + 6) % 7) && minute < range.end
        }
    }

    @Test("at random, every minute of eight days agrees with the plain model")
    func model() throws {
        for seed in UInt64(0)..<16 {
            var random = RandomSource(seed: seed)
            let start = 60 * Int64.random(in: 29_000_000...29_900_000, using: &random)
            let zone = zone(&random, around: start)
            let times = (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in
                Hours.TimeRange(
                    start: Int.random(in: 0..<1_440, using: &random),
                    end: Int.random(in: 1...1_440, using: &random)
                )
            }
            let hours = Hours(
                zone: "Test/Zone",
                days: Weekdays(rawValue: UInt8.random(in: 0...127, using: &random)),
                times: times
            )
            var states: [Bool] = []
            for minute in 0..<Int64(8 * 1_440) {
                states.append(isInside(hours, start + 60 * minute, zone))
            }
            var next: Int64?
            for minute in stride(from: Int64(8 * 1_440 - 2), through: 0, by: -1) {
                if states[Int(minute + 1)] != states[Int(minute)] { next = minute + 1 }
                guard minute % 7 == 0, minute < 1_440 else { continue }
                let time = WallTime(seconds: start + 60 * minute)
                #expect(hours.contains(time, in: zone) == states[Int(minute)], "seed \(seed)")
                let expected = next.map { WallTime(seconds: start + 60 * $0) }
                let found = hours.nextChange(after: time, in: zone)
                if expected != nil || found.map({ $0.seconds < start + 8 * 86_400 - 60 }) ?? false {
                    #expect(found == expected, "seed \(seed), minute \(minute), \(hours)")
                }
            }
        }
    }

    @Test(
        "wall time is read and written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-06-01T09:00:00+02:00", 1_780_297_200), ("2026-06-01 07:00:00Z", 1_780_297_200),
            ("2026-05-31T23:30:00-07:30", 1_780_297_200), ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] as [(String, Int64)]
    )
    func wallTime(text: String, seconds: Int64) throws {
        let time = try #require(WallTime(text))
        #expect(time.seconds == seconds)
        #expect(WallTime(time.description) == time)
    }

    @Test(
        "what is no time",
        arguments: [
            "", "2026-06-01", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-06-01T24:00:00Z",
            "2026-06-01T09:00:00", "2026-06-01T09:00:00+24:00", "1969-12-31T23:59:59Z",
            "2026-06-01T09:00:00.5Z", "2026-06-00T09:00:00Z",
        ]
    )
    func badWallTime(text: String) { #expect(WallTime(text) == nil) }
}
