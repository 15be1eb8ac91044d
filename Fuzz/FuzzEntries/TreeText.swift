internal import Policy

/// Reads the part of YAML that a configuration is exported in: sections by two spaces, lists by
/// hyphens, words with and without quotes, and lists in brackets. What it does not understand it
/// reads as something else; the program itself reads YAML with a library.
struct TreeText {
    /// Bounds of a document.
    private enum Limits {
        /// Nodes inside one another.
        static var depth: Int { 24 }
    }

    private struct Line {
        let number: Int
        let indent: Int
        let text: Substring
    }

    private var lines: ArraySlice<Line>

    static func parse(_ text: String) -> Node {
        var reader = TreeText(text)
        return reader.block(indent: 0, depth: 0)
    }

    private init(_ text: String) {
        var lines: [Line] = []
        let all = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in all.enumerated() {
            let body = line.drop { $0 == " " }
            guard !body.isEmpty else { continue }
            lines.append(Line(number: index + 1, indent: line.count - body.count, text: body))
        }
        self.lines = lines[...]
    }

    private mutating func block(indent: Int, depth: Int) -> Node {
        guard let first = lines.first, first.indent >= indent, depth < Limits.depth else {
            return Node(.null)
        }
        let place = Node.Place(line: first.number, column: first.indent + 1)
        return first.text.hasPrefix("-")
            ? list(first.indent, place, depth) : map(first.indent, place, depth)
    }

    private mutating func list(_ indent: Int, _ place: Node.Place, _ depth: Int) -> Node {
        var elements: [Node] = []
        while let line = lines.first, line.indent == indent, line.text.hasPrefix("-") {
            lines.removeFirst()
            let body = line.text.dropFirst().drop { $0 == " " }
            if Self.keyEnd(body) == nil {
                elements.append(Self.inline(body, line.number, depth + 1))
            } else {
                let inner = Line(number: line.number, indent: indent + 2, text: body)
                lines = [inner] + lines
                elements.append(block(indent: indent + 2, depth: depth + 1))
            }
        }
        return Node(.list(elements), at: place)
    }

    private mutating func map(_ indent: Int, _ place: Node.Place, _ depth: Int) -> Node {
        var entries: [Node.Entry] = []
        while let line = lines.first, line.indent == indent, let end = Self.keyEnd(line.text) {
            lines.removeFirst()
            let value = line.text[line.text.index(after: end)...].drop { $0 == " " }
            entries.append(
                Node.Entry(
                    key: Self.unquoted(line.text[..<end]),
                    place: Node.Place(line: line.number, column: indent + 1),
                    value: value.isEmpty
                        ? block(indent: indent + 1, depth: depth + 1)
                        : Self.inline(value, line.number, depth + 1)
                )
            )
        }
        return Node(.map(entries), at: place)
    }

    /// The colon behind the key, outside of quotes and followed by a space or nothing.
    private static func keyEnd(_ text: Substring) -> Substring.Index? {
        guard text.first != "[" else { return nil }
        var quotes = Quotes()
        for index in text.indices {
            guard !quotes.read(text[index]), text[index] == ":" else { continue }
            let next = text.index(after: index)
            if next == text.endIndex || text[next] == " " { return index }
        }
        return nil
    }

    private static func inline(_ text: Substring, _ line: Int, _ depth: Int) -> Node {
        let place = Node.Place(line: line, column: 1)
        if text == "null" || text.isEmpty { return Node(.null, at: place) }
        if text == "{}" { return Node(.map([]), at: place) }
        guard text.hasPrefix("["), text.hasSuffix("]"), text.count > 1, depth < Limits.depth else {
            return Node(.scalar(unquoted(text)), at: place)
        }
        let parts = parts(text.dropFirst().dropLast())
        return Node(.list(parts.map { inline($0, line, depth + 1) }), at: place)
    }

    /// What stands between commas that are in no brackets or quotes.
    private static func parts(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var quotes = Quotes()
        var (start, depth) = (text.startIndex, 0)
        for index in text.indices where !quotes.read(text[index]) {
            switch text[index] {
            case "[": depth += 1
            case "]": depth -= 1
            case "," where depth == 0:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        parts.append(text[start...])
        return parts.map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
    }

    /// Whether a reader is inside quotes.
    private struct Quotes {
        private var isInside = false
        private var isEscaped = false

        /// Whether `character` is quoted, or a quote.
        mutating func read(_ character: Character) -> Bool {
            if isEscaped {
                isEscaped = false
            } else if isInside, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isInside.toggle()
                return true
            }
            return isInside
        }
    }

    private static func unquoted(_ text: Substring) -> String {
        guard text.hasPrefix("\""), text.hasSuffix("\""), text.count > 1 else {
            return String(text)
        }
        var scalars = text.unicodeScalars.dropFirst().dropLast()
        var word = String.UnicodeScalarView()
        while let scalar = scalars.popFirst() {
            guard scalar == "\\", let escaped = scalars.popFirst() else {
                word.append(scalar)
                continue
            }
            switch escaped {
            case "n": word.append("\n")
            case "t": word.append("\t")
            case "x":
                let digits = String(String.UnicodeScalarView(scalars.prefix(2)))
                scalars = scalars.dropFirst(2)
                word.append(Unicode.Scalar(UInt8(digits, radix: 16) ?? 63))
            default: word.append(escaped)
            }
        }
        return String(word)
    }
}
