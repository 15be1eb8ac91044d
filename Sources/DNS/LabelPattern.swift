/// A pattern inside one label: bytes, `?` for one byte and `*` for any run of bytes.
struct LabelPattern: Hashable, Sendable {
    enum Token: Hashable, Sendable {
        case byte(UInt8)
        case one
        case star
    }

    /// In lower case; no two stars in a row.
    let tokens: [Token]

    /// Bytes that a label must have at least.
    var byteCountMin: Int { tokens.count { $0 != .star } }

    /// The label, where no wildcard is in it.
    var literal: [UInt8]? {
        var bytes: [UInt8] = []
        for token in tokens {
            guard case .byte(let byte) = token else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    var hasStar: Bool { tokens.contains(.star) }

    /// Literal bytes in it: more make it more specific.
    var literalByteCount: Int {
        tokens.count { if case .byte = $0 { true } else { false } }
    }

    /// Whether the label in `range` of `wire` has this form; steps back to the last star only, so
    /// the time is the product of both lengths at worst.
    func matches(_ wire: [UInt8], _ range: Range<Int>) -> Bool {
        var (token, position) = (0, range.lowerBound)
        var lastStar: (token: Int, position: Int)?
        while position < range.upperBound {
            if token < tokens.count, tokens[token] == .star {
                lastStar = (token, position)
                token += 1
            } else if token < tokens.count, Self.fits(tokens[token], wire[position]) {
                token += 1
                position += 1
            } else if let star = lastStar {
                lastStar = (star.token, star.position + 1)
                (token, position) = (star.token + 1, star.position + 1)
            } else {
                return false
            }
        }
        while token < tokens.count, tokens[token] == .star { token += 1 }
        return token == tokens.count
    }

    private static func fits(_ token: Token, _ byte: UInt8) -> Bool {
        switch token {
        case .byte(let literal): literal == byte.folded
        case .one: true
        case .star: false
        }
    }
}
