/// A moment on the wall clock, in whole seconds since 1970-01-01T00:00:00Z.
public struct WallTime: Hashable, Sendable, Codable {
    /// Seconds since the epoch; leap seconds do not count.
    public let seconds: Int64

    /// Bounds of what is read.
    public enum Limits {
        /// Years that text may name.
        public static var years: ClosedRange<Int64> { 1970...9999 }
    }

    public init(seconds: Int64) { self.seconds = seconds }

    public init(from decoder: any Decoder) throws {
        seconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(seconds)
    }

    /// The moment `seconds` later; saturates.
    public func advanced(by seconds: Int64) -> WallTime {
        let (sum, overflow) = self.seconds.addingReportingOverflow(seconds)
        return WallTime(seconds: overflow ? (seconds < 0 ? .min : .max) : sum)
    }
}

extension WallTime: Comparable {
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.seconds < rhs.seconds }
}

extension WallTime: LosslessStringConvertible {
    /// RFC 3339 text with `Z` or an offset: `2026-06-01T09:00:00+02:00`; no fractions.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 || bytes.count == 25 else { return nil }
        func digits(_ range: Range<Int>) -> Int64? {
            let part = bytes[range]
            guard part.allSatisfy({ (48...57).contains($0) }) else { return nil }
            return part.reduce(0) { $0 * 10 + Int64($1 - 48) }
        }
        func isAt(_ offset: Int, _ character: Unicode.Scalar) -> Bool {
            bytes[offset] == UInt8(ascii: character)
        }
        guard isAt(4, "-"), isAt(7, "-"), isAt(10, "T") || isAt(10, " "), isAt(13, ":"),
            isAt(16, ":"), let year = digits(0..<4), let month = digits(5..<7),
            let day = digits(8..<10), let hour = digits(11..<13), let minute = digits(14..<16),
            let second = digits(17..<19), Limits.years.contains(year), (1...12).contains(month),
            (1...Self.dayCount(year: year, month: month)).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var offset: Int64 = 0
        if bytes.count == 25 {
            guard isAt(19, "+") || isAt(19, "-"), isAt(22, ":"), let hours = digits(20..<22),
                let minutes = digits(23..<25), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (isAt(19, "-") ? -60 : 60)
        } else if !isAt(19, "Z") {
            return nil
        }
        let days = Self.daysSinceEpoch(year: year, month: month, day: day)
        self.init(seconds: days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
    }

    /// RFC 3339 text in UTC.
    public var description: String { text(offsetSeconds: 0) + "Z" }

    /// `2026-06-01T09:00:00` at a place `offsetSeconds` east of UTC.
    func text(offsetSeconds: Int64) -> String {
        let local = advanced(by: offsetSeconds).seconds
        let (year, month, day) = Self.civil(days: local.flooredQuotient(86_400))
        let second = local.flooredRemainder(86_400)
        return "\(year)-\(month.twoDigits)-\(day.twoDigits)T\((second / 3_600).twoDigits):"
            + "\((second / 60 % 60).twoDigits):\((second % 60).twoDigits)"
    }

    private static func dayCount(year: Int64, month: Int64) -> Int64 {
        let next = month == 12 ? (year + 1, 1) : (year, month + 1)
        return daysSinceEpoch(year: next.0, month: next.1, day: 1)
            - daysSinceEpoch(year: year, month: month, day: 1)
    }

    /// Days from 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day
    /// is the last.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year.flooredQuotient(400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let yearOfEra = year - era * 400
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400
        return month < 10 ? (year, month + 3, day) : (year + 1, month - 9, day)
    }
}

extension Int64 {
    /// The quotient rounded towards minus infinity; `divisor` is positive.
    func flooredQuotient(_ divisor: Int64) -> Int64 {
        (self - flooredRemainder(divisor)) / divisor
    }

    /// The remainder, 0 ..< `divisor`; `divisor` is positive.
    func flooredRemainder(_ divisor: Int64) -> Int64 {
        let remainder = self % divisor
        return remainder < 0 ? remainder + divisor : remainder
    }

    /// The number with at least two digits.
    var twoDigits: String { self < 10 ? "0\(self)" : "\(self)" }
}
