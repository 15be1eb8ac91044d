import Policy

/// Reads the part of YAML that the tests write: sections by two spaces, lists by hyphens, words,
/// and lists and sections in brackets. For tests alone; the program reads YAML with a library.
struct NodeText {
    private struct Line {
        let number: Int
        let indent: Int
        let text: Substring
    }

    private var lines: ArraySlice<Line>

    static func parse(_ text: String) -> Node {
        var reader = NodeText(text)
        return reader.block(indent: 0)
    }

    private init(_ text: String) {
        var lines: [Line] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let body = line.drop { $0 == " " }
            guard !body.isEmpty else { continue }
            lines.append(Line(number: index + 1, indent: line.count - body.count, text: body))
        }
        self.lines = lines[...]
    }

    private mutating func block(indent: Int) -> Node {
        guard let first = lines.first, first.indent >= indent else { return Node(.null) }
        let place = Node.Place(line: first.number, column: first.indent + 1)
        let isList = first.text.hasPrefix("- ")
        return isList ? list(first.indent, place) : map(first.indent, place)
    }

    private mutating func list(_ indent: Int, _ place: Node.Place) -> Node {
        var elements: [Node] = []
        while let line = lines.first, line.indent == indent, line.text.hasPrefix("- ") {
            lines.removeFirst()
            let body = line.text.dropFirst(2)
            if Self.keyEnd(body) != nil {
                let inner = Line(number: line.number, indent: indent + 2, text: body)
                lines = [inner] + lines
                elements.append(block(indent: indent + 2))
            } else {
                elements.append(Self.inline(body, line.number, indent + 3))
            }
        }
        return Node(.list(elements), at: place)
    }

    private mutating func map(_ indent: Int, _ place: Node.Place) -> Node {
        var entries: [Node.Entry] = []
        while let line = lines.first, line.indent == indent, let end = Self.keyEnd(line.text) {
            lines.removeFirst()
            let value = line.text[line.text.index(after: end)...].drop { $0 == " " }
            let column = indent + 1 + line.text.count - value.count
            entries.append(
                Node.Entry(
                    key: Self.unquoted(line.text[..<end]),
                    place: Node.Place(line: line.number, column: indent + 1),
                    value: value.isEmpty
                        ? block(indent: indent + 1) : Self.inline(value, line.number, column)
                )
            )
        }
        return Node(.map(entries), at: place)
    }

    /// The colon behind the key, outside of quotes and followed by a space or nothing.
    private static func keyEnd(_ text: Substring) -> Substring.Index? {
        guard text.first != "[", text.first != "{" else { return nil }
        var isQuoted = false
        for index in text.indices {
            if text[index] == "\"" { isQuoted.toggle() }
            let next = text.index(after: index)
            if text[index] == ":", !isQuoted, next == text.endIndex || text[next] == " " {
                return index
            }
        }
        return nil
    }

    private static func inline(_ text: Substring, _ line: Int, _ column: Int) -> Node {
        let place = Node.Place(line: line, column: column)
        let text = text.trimmingSpaces
        if text == "null" { return Node(.null, at: place) }
        if text.hasPrefix("["), text.hasSuffix("]") {
            let parts = parts(text.dropFirst().dropLast())
            return Node(.list(parts.map { inline($0, line, column + 1) }), at: place)
        }
        if text.hasPrefix("{"), text.hasSuffix("}") {
            let entries = parts(text.dropFirst().dropLast()).compactMap { part -> Node.Entry? in
                let part = part.trimmingSpaces
                guard let end = keyEnd(part) else { return nil }
                let value = inline(part[part.index(after: end)...], line, column + 1)
                return Node.Entry(key: unquoted(part[..<end]), place: place, value: value)
            }
            return Node(.map(entries), at: place)
        }
        return Node(.scalar(unquoted(text)), at: place)
    }

    /// What stands between commas that are in no brackets or quotes.
    private static func parts(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var (start, depth, isQuoted) = (text.startIndex, 0, false)
        for index in text.indices {
            switch text[index] {
            case "\"": isQuoted.toggle()
            case "[", "{": depth += 1
            case "]", "}": depth -= 1
            case "," where depth == 0 && !isQuoted:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        let last = text[start...]
        if !last.trimmingSpaces.isEmpty { parts.append(last) }
        return parts
    }

    private static func unquoted(_ text: Substring) -> String {
        guard text.hasPrefix("\""), text.hasSuffix("\""), text.count > 1 else {
            return String(text)
        }
        return String(text.dropFirst().dropLast()).replacing("\\\"", with: "\"")
            .replacing("\\\\", with: "\\")
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }
}
