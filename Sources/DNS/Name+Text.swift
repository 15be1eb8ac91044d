extension Name {
    /// A name by its text (RFC 1035 section 5.1): labels between dots, the last dot optional, `\.`
    /// for a dot inside a label, `\DDD` for any byte by its decimal number.
    public init(text: String) throws(NameError) {
        guard text != "." else {
            self = .root
            return
        }
        var wire: [UInt8] = [0]
        var start = 0
        var scanner = LabelScanner(text)
        while let item = try scanner.next() {
            switch item {
            case .dot(let offset):
                guard wire.count > start + 1 else { throw .emptyLabel(offset: offset) }
                start = wire.count
                wire.append(0)
            case .plain(let byte, let offset), .escaped(let byte, let offset):
                guard wire.count - start <= Limits.labelByteCount else {
                    throw .labelTooLong(offset: offset)
                }
                wire.append(byte)
                wire[start] += 1
            }
        }
        guard wire.count > 1 else { throw .emptyLabel(offset: 0) }
        if wire[start] != 0 { wire.append(0) }
        guard wire.count <= Limits.byteCount else { throw .tooLong(byteCount: wire.count) }
        self.wire = wire
    }
}

extension Name: LosslessStringConvertible {
    /// The name of a text; nil where ``init(text:)`` throws.
    public init?(_ text: String) {
        guard let name = try? Name(text: text) else { return nil }
        self = name
    }

    /// The text without the last dot, `.` for the root; dots and backslashes inside labels escaped,
    /// what is not printable by number.
    public var description: String {
        guard !isRoot else { return "." }
        return labels.map { label in
            var text = ""
            for byte in label {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"):
                    text += "\\" + String(UnicodeScalar(byte))
                case 0x21...0x7e: text.unicodeScalars.append(UnicodeScalar(byte))
                default:
                    let digits = String(byte)
                    text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
                }
            }
            return text
        }.joined(separator: ".")
    }
}

extension Name: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        self = try Name(text: text)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Takes the text of a name or a pattern apart: dots, bytes, and bytes that were escaped.
struct LabelScanner {
    /// One item, with where it begins in the text's UTF-8.
    enum Item {
        case dot(offset: Int)
        case plain(UInt8, offset: Int)
        case escaped(UInt8, offset: Int)
    }

    private let text: [UInt8]
    private var offset = 0
    /// Where the last backslash stands.
    private(set) var escapeOffset = 0

    init(_ text: String) { self.text = Array(text.utf8) }

    /// The next item; nil at the end.
    mutating func next() throws(NameError) -> Item? {
        guard offset < text.count else { return nil }
        let start = offset
        let byte = text[start]
        guard byte < 0x80 else { throw .notASCII(offset: start) }
        offset += 1
        switch byte {
        case UInt8(ascii: "."): return .dot(offset: start)
        case UInt8(ascii: "\\"):
            escapeOffset = start
            return .escaped(try escaped(at: start), offset: start)
        default: return .plain(byte, offset: start)
        }
    }

    private mutating func escaped(at start: Int) throws(NameError) -> UInt8 {
        guard offset < text.count, text[offset] < 0x80 else { throw .badEscape(offset: start) }
        guard text[offset] >= 48, text[offset] <= 57 else {
            defer { offset += 1 }
            return text[offset]
        }
        guard offset + 3 <= text.count else { throw .badEscape(offset: start) }
        var value = 0
        for digit in text[offset..<offset + 3] {
            guard digit >= 48, digit <= 57 else { throw .badEscape(offset: start) }
            value = value * 10 + Int(digit - 48)
        }
        guard value < 256 else { throw .badEscape(offset: start) }
        offset += 3
        return UInt8(value)
    }
}
