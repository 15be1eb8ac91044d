/// Days of the week, Monday first (ISO 8601).
public struct Weekdays: OptionSet, Hashable, Sendable, Codable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue & 0x7f }

    /// Every day.
    public static let all = Weekdays(rawValue: 0x7f)

    /// The words for the days, in order.
    static let words = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    /// The days' names, in order.
    static let names = [
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ]

    /// Whether day `index` (Monday is 0) is among them.
    public func contains(index: Int) -> Bool { rawValue >> UInt8(index) & 1 == 1 }
}

extension Weekdays: LosslessStringConvertible {
    /// `mon-fri`, `sat, sun`, `fri-mon`; nil when a word is no day.
    public init?(_ text: String) {
        var days: UInt8 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { word in
                Self.words.firstIndex(of: word.filter { $0 != " " }.lowercased())
            }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else {
                return nil
            }
            var day = first
            days |= 1 << UInt8(day)
            while day != last {
                day = (day + 1) % 7
                days |= 1 << UInt8(day)
            }
        }
        self.init(rawValue: days)
    }

    /// The shortest text, such as `mon-fri, sun`.
    public var description: String {
        guard rawValue != 0x7f else { return "mon-sun" }
        var parts: [String] = []
        var day = 0
        while day < 7 {
            guard contains(index: day) else {
                day += 1
                continue
            }
            let first = day
            while day < 6, contains(index: day + 1) { day += 1 }
            let word = Self.words[first]
            parts.append(first == day ? word : "\(word)-\(Self.words[day])")
            day += 1
        }
        return parts.joined(separator: ", ")
    }
}
