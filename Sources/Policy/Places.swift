/// Where the parts of a section stood in its file. It says nothing about what they mean, so any two
/// are equal.
public struct Places: Hashable, Sendable {
    /// Where the section begins; nil when it was in no file.
    let start: Node.Place?
    private let ofKey: [String: Node.Place]

    /// Of what was in no file.
    public init() { (start, ofKey) = (nil, [:]) }

    init(_ start: Node.Place, _ entries: [Node.Entry]) {
        self.start = start
        ofKey = Dictionary(entries.map { ($0.key, $0.value.place) }) { first, _ in first }
    }

    /// Of two files that are read as one.
    init(_ first: Places, _ second: Places) {
        start = first.start ?? second.start
        ofKey = first.ofKey.merging(second.ofKey) { first, _ in first }
    }

    /// Where the value of `key` is.
    subscript(key: String) -> Node.Place? { ofKey[key] }

    /// What begins where the value of `key` is.
    func at(_ key: String) -> Places { ofKey[key].map { Places($0, []) } ?? Places() }

    public static func == (lhs: Self, rhs: Self) -> Bool { true }

    public func hash(into hasher: inout Hasher) {}
}
