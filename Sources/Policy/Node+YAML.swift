extension Node {
    /// The node as a YAML document (1.2, which 1.1 readers read alike): words that could be
    /// something else stand in quotes.
    public var yaml: String {
        var text = ""
        write(to: &text, indent: 0, isInline: false)
        return text
    }

    private func write(to text: inout String, indent: Int, isInline: Bool) {
        let space = String(repeating: " ", count: indent)
        switch content {
        case .null: text += " null\n"
        case .scalar(let word): text += " \(Self.quoted(word))\n"
        case .list(let nodes) where nodes.allSatisfy(\.isScalar):
            text += " [\(nodes.map(\.inline).joined(separator: ", "))]\n"
        case .list(let nodes):
            text += "\n"
            for node in nodes {
                text += "\(space)-"
                node.write(to: &text, indent: indent + 2, isInline: true)
            }
        case .map(let entries) where entries.isEmpty: text += " {}\n"
        case .map(let entries):
            if !isInline, indent > 0 { text += "\n" }
            for (number, entry) in entries.enumerated() {
                text += isInline && number == 0 ? " " : space
                text += "\(Self.quoted(entry.key)):"
                entry.value.write(to: &text, indent: indent + 2, isInline: false)
            }
        }
    }

    private var isScalar: Bool {
        switch content {
        case .null, .scalar: true
        case .list, .map: false
        }
    }

    private var inline: String {
        if case .scalar(let word) = content { Self.quoted(word) } else { "null" }
    }

    /// The word as it is where nothing else could be meant, else in double quotes.
    private static func quoted(_ word: String) -> String {
        let words: Set = ["", "y", "n", "yes", "no", "on", "off", "null", "~"]
        let bytes = Array(word.utf8)
        let isPlain = bytes.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122: true
            default: "-_./@+= ".utf8.contains(byte)
            }
        }
        let isNumber = bytes.first.map { (48...57).contains($0) || "-+.=@".utf8.contains($0) }
        if isPlain, isNumber == false, !words.contains(word.lowercased()), bytes.first != 32,
            bytes.last != 32
        {
            return word
        }
        var text = "\""
        for scalar in word.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            default:
                if scalar.value < 32 || (127..<160).contains(scalar.value) {
                    let digits = String(scalar.value, radix: 16)
                    text += "\\x" + (digits.count < 2 ? "0" : "") + digits
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        return text + "\""
    }
}
