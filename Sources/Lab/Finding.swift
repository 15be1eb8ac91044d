/// One thing that was looked at in a lab, and what was seen: a line of a table.
public struct Finding: Sendable {
    let what: String
    let seen: String
    /// Whether it is as it must be.
    public let isRight: Bool

    init(_ what: String, _ seen: String, isRight: Bool) {
        self.what = what
        self.seen = String(seen.split(separator: "\n").joined(separator: " / ").prefix(600))
        self.isRight = isRight
    }

    /// The line, after the first column.
    public var line: String { "| \(what) | \(isRight ? "" : "WRONG: ")\(seen) |" }
}
