/// A pattern of names: literal labels, `*` and `?` inside a label, `**` for any number of labels.
///
/// `example.com` is that one name; `*.example.com` is every name below it at any depth, and the
/// name itself. Elsewhere `*` stands for any run of characters inside one label and `?` for one,
/// neither matches a dot; `**` between dots stands for any number of labels, also none. Matching
/// disregards the case of ASCII letters. A backslash takes a character's special meaning away.
public struct NamePattern: Sendable {
    /// One label of a pattern.
    enum Part: Hashable, Sendable {
        /// This label, in lower case.
        case literal([UInt8])
        /// One label of this form, in lower case.
        case wildcard(LabelPattern)
        /// Any number of labels.
        case anyLabels
    }

    /// The parts, rightmost first; no two `anyLabels` in a row.
    let parts: [Part]
    /// The text it was made from.
    public let text: String

    /// Reads a pattern.
    public init(_ text: String) throws(PatternError) {
        self.text = text
        var builder = PatternBuilder()
        var scanner = LabelScanner(text)
        while let item = try Self.next(&scanner) { try builder.take(item) }
        parts = try builder.finish(at: text.utf8.count)
    }

    private static func next(_ scanner: inout LabelScanner) throws(PatternError) -> LabelScanner
        .Item?
    {
        do {
            return try scanner.next()
        } catch .notASCII(let offset) {
            throw .notASCII(offset: offset)
        } catch {
            throw .badEscape(offset: scanner.escapeOffset)
        }
    }
}

/// Why a text is not a pattern, and where, as an offset in its UTF-8.
public enum PatternError: Error, Equatable {
    /// Nothing is there.
    case empty
    /// Two dots in a row, or a dot at the start.
    case emptyLabel(offset: Int)
    /// A label of more than 63 characters.
    case labelTooLong(offset: Int)
    /// More than 255 bytes in wire form.
    case tooLong(offset: Int)
    /// `**` together with other characters in one label.
    case doubleStarInLabel(offset: Int)
    /// A backslash with neither three digits up to 255 nor a character behind it.
    case badEscape(offset: Int)
    /// A character outside ASCII; such labels are written as A-labels (RFC 5890).
    case notASCII(offset: Int)
    /// A character that no host name and no service label has: a space, a slash, a colon …
    case badCharacter(offset: Int)

    /// Where in the text's UTF-8.
    public var offset: Int {
        switch self {
        case .empty: 0
        case .emptyLabel(let offset), .labelTooLong(let offset), .tooLong(let offset),
            .doubleStarInLabel(let offset), .badEscape(let offset), .notASCII(let offset),
            .badCharacter(let offset):
            offset
        }
    }
}

extension NamePattern: Hashable {
    /// Whether both match the same by the same parts; the texts may differ in case.
    public static func == (lhs: NamePattern, rhs: NamePattern) -> Bool { lhs.parts == rhs.parts }
    public func hash(into hasher: inout Hasher) { hasher.combine(parts) }
}

extension NamePattern: CustomStringConvertible {
    public var description: String { text }
}

extension NamePattern {
    /// Whether it is one name, without wildcards.
    public var isLiteral: Bool { literalSuffixCount == parts.count }

    /// The labels at the right end that every matching name has, as a name: what a routing domain
    /// is made from.
    public var literalSuffix: Name {
        var wire: [UInt8] = []
        for case .literal(let label) in parts.prefix(literalSuffixCount).reversed() {
            wire.append(UInt8(label.count))
            wire += label
        }
        return Name(unchecked: wire + [0])
    }

    private var literalSuffixCount: Int {
        parts.prefix { if case .literal = $0 { true } else { false } }.count
    }
}

// MARK: - Reading

/// Collects the labels of a pattern from the left.
private struct PatternBuilder {
    private var parts: [NamePattern.Part] = []
    private var tokens: [LabelPattern.Token] = []
    private var labelOffset = 0
    private var byteCount = 1

    mutating func take(_ item: LabelScanner.Item) throws(PatternError) {
        switch item {
        case .dot(let offset):
            guard !tokens.isEmpty else { throw .emptyLabel(offset: offset) }
            try endLabel(isFollowed: true)
            labelOffset = offset + 1
        case .plain(UInt8(ascii: "*"), _): tokens.append(.star)
        case .plain(UInt8(ascii: "?"), _): tokens.append(.one)
        case .plain(let byte, let offset):
            guard Self.isOrdinary(byte) else { throw .badCharacter(offset: offset) }
            tokens.append(.byte(byte.folded))
        case .escaped(let byte, _): tokens.append(.byte(byte.folded))
        }
    }

    mutating func finish(at end: Int) throws(PatternError) -> [NamePattern.Part] {
        if tokens.isEmpty {
            guard !parts.isEmpty else { throw end == 0 ? .empty : .emptyLabel(offset: 0) }
        } else {
            try endLabel(isFollowed: false)
        }
        return parts.reversed()
    }

    private mutating func endLabel(isFollowed: Bool) throws(PatternError) {
        defer { tokens.removeAll(keepingCapacity: true) }
        let isLeadingStar = parts.isEmpty && isFollowed && tokens == [.star]
        guard tokens != [.star, .star], !isLeadingStar else {
            if parts.last != .anyLabels { parts.append(.anyLabels) }
            return
        }
        let label = LabelPattern(tokens: tokens)
        for index in tokens.indices.dropFirst() where tokens[index] == .star {
            guard tokens[index - 1] != .star else {
                throw .doubleStarInLabel(offset: labelOffset)
            }
        }
        guard label.byteCountMin <= Name.Limits.labelByteCount else {
            throw .labelTooLong(offset: labelOffset)
        }
        byteCount += 1 + max(1, label.byteCountMin)
        guard byteCount <= Name.Limits.byteCount else { throw .tooLong(offset: labelOffset) }
        parts.append(label.literal.map { .literal($0) } ?? .wildcard(label))
    }

    private static func isOrdinary(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}
