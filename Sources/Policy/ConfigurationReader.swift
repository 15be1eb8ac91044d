/// Reads a section of a configuration file: keys are taken by name, and what was not taken at the
/// end is unknown. Problems are gathered, so that all are told at once.
struct SectionReader {
    private(set) var problems: [ConfigurationError.Problem] = []
    private let entries: [Node.Entry]
    /// Where the section is.
    let place: Node.Place
    private var known: Set<String> = []
    /// Whether it is a section at all; if not, that is said, and nothing is missing in it.
    private let isSection: Bool

    /// Reads `node`, which sentences call `name`.
    init(_ node: Node, _ name: String) {
        place = node.place
        switch node.content {
        case .map(let entries):
            self.entries = entries
            isSection = true
            var seen: Set<String> = []
            for entry in entries where !seen.insert(entry.key).inserted {
                report("“\(entry.key)” stands here twice; keep one.", at: entry.place)
            }
        case .null: (entries, isSection) = ([], true)
        case .scalar, .list:
            (entries, isSection) = ([], false)
            report("\(name) must be a section of keys and values, not \(node.kind).", at: place)
        }
    }

    /// Where its parts are.
    var places: Places { Places(place, entries) }

    mutating func report(_ sentence: String, at place: Node.Place) {
        problems.append(ConfigurationError.Problem(place: place, sentence: sentence))
    }

    mutating func report(_ problems: [ConfigurationError.Problem]) { self.problems += problems }

    /// The value of `key`; nil when it is not there.
    mutating func take(_ key: String) -> Node? {
        known.insert(key)
        return entries.first { $0.key == key }?.value
    }

    /// Whether `key` is there.
    func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// All entries, whatever their keys.
    mutating func takeAll() -> [Node.Entry] {
        for entry in entries { known.insert(entry.key) }
        return entries
    }

    /// A word; nil when it is not there or, reported, is none.
    mutating func text(_ key: String) -> String? {
        guard let node = take(key) else { return nil }
        guard case .scalar(let word) = node.content, !word.isEmpty else {
            report(
                "“\(key)” must be a word, not \(node.isEmptyText ? "nothing" : node.kind).",
                at: node.place
            )
            return nil
        }
        return word
    }

    /// A word that must be there; empty when, reported, it is not.
    mutating func requiredText(_ key: String) -> String {
        require(key)
        return text(key) ?? ""
    }

    /// Reports a key that is not there.
    mutating func require(_ key: String) {
        if take(key) == nil, isSection { report("“\(key)” is missing here.", at: place) }
    }

    /// A word that `read` understands, or says in a sentence why not.
    mutating func value<Value>(
        _ key: String,
        _ read: (String) -> Result<Value, Complaint>
    ) -> Value? {
        let place = entries.first { $0.key == key }?.value.place ?? place
        guard let word = text(key) else { return nil }
        switch read(word) {
        case .success(let value): return value
        case .failure(let complaint):
            report(complaint.sentence, at: place)
            return nil
        }
    }

    /// A list of words, each of which `read` understands; nil when it is not there. One word alone
    /// is a list of one.
    mutating func list<Value>(
        _ key: String,
        _ read: (String) -> Result<Value, Complaint>
    ) -> [Value]? {
        guard let node = take(key) else { return nil }
        var values: [Value] = []
        for element in node.elements {
            guard case .scalar(let word) = element.content else {
                report("“\(key)” must be a list of words, not \(element.kind).", at: element.place)
                continue
            }
            switch read(word) {
            case .success(let value): values.append(value)
            case .failure(let complaint): report(complaint.sentence, at: element.place)
            }
        }
        return values
    }

    /// A list of sections, each read by `read`; nil when it is not there.
    mutating func sections<Value>(
        _ key: String,
        _ read: (inout SectionReader) -> Value
    ) -> [Value]? {
        guard let node = take(key) else { return nil }
        guard case .list(let elements) = node.content else {
            if case .null = node.content { return [] }
            report("“\(key)” must be a list, not \(node.kind).", at: node.place)
            return []
        }
        return elements.map { element in
            var reader = SectionReader(element, "An element of “\(key)”")
            let value = read(&reader)
            report(reader.finish())
            return value
        }
    }

    /// One section, read by `read`; nil when it is not there.
    mutating func section<Value>(
        _ key: String,
        _ read: (inout SectionReader) -> Value
    ) -> Value? {
        guard let node = take(key) else { return nil }
        var reader = SectionReader(node, "“\(key)”")
        let value = read(&reader)
        report(reader.finish())
        return value
    }

    /// Reports the keys that nobody took; all problems of the section.
    mutating func finish() -> [ConfigurationError.Problem] {
        for entry in entries where !known.contains(entry.key) {
            let near = known.sorted().first { Self.isNear($0, entry.key) }
            let advice =
                near.map { "did you mean “\($0)”?" }
                ?? "known are \(known.sorted().joined(separator: ", "))."
            report("“\(entry.key)” is not known here; \(advice)", at: entry.place)
        }
        return problems
    }

    /// Whether two keys differ in one letter at most, or in case and hyphens alone.
    private static func isNear(_ lhs: String, _ rhs: String) -> Bool {
        func letters(_ text: String) -> [Character] {
            text.lowercased().filter { $0 != "_" && $0 != "-" }
        }
        let (left, right) = (letters(lhs), letters(rhs))
        let start = zip(left, right).prefix { $0 == $1 }.count
        let end = zip(left.dropFirst(start).reversed(), right.dropFirst(start).reversed())
            .prefix { $0 == $1 }.count
        return max(left.count, right.count) - start - end <= 1
    }
}

/// Why a word is not understood.
struct Complaint: Error {
    let sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

extension Node {
    /// The elements of a list; a word alone is a list of one.
    fileprivate var elements: [Node] {
        switch content {
        case .list(let elements): elements
        case .null: []
        case .scalar, .map: [self]
        }
    }

    fileprivate var isEmptyText: Bool { content == .scalar("") }
}
