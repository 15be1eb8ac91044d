import DNS
import SansIO
import Testing

/// A name that is surely one.
func name(_ text: String) throws -> Name { try Name(text: text) }

/// A pattern that is surely one.
func pattern(_ text: String) throws -> NamePattern { try NamePattern(text) }

/// Bytes of words: numbers in hexadecimal, texts in quotes.
func bytes(_ text: String) -> [UInt8] {
    text.split(separator: " ").flatMap { word -> [UInt8] in
        if word.hasPrefix("'") { return Array(word.dropFirst().dropLast().utf8) }
        return UInt8(word, radix: 16).map { [$0] } ?? []
    }
}

extension RandomSource {
    /// Any of `all`, which is not empty.
    mutating func pick<Element>(_ all: [Element]) -> Element {
        all[Int(next() % UInt64(all.count))]
    }

    /// A number below `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
