/// Base64 (RFC 4648): the standard alphabet with padding, and the one for URLs without.
public enum Base64 {
    /// Which of the two alphabets.
    public enum Alphabet: Sendable {
        /// Section 4: `+` and `/`, padded.
        case standard
        /// Section 5: `-` and `_`, not padded.
        case url
    }

    /// Why a text is not base64.
    public enum DecodingError: Error, Equatable {
        /// A character outside the alphabet; its place, in bytes.
        case badCharacter(offset: Int)
        /// No whole number of bytes, or bits left over that are not zero.
        case badLength(Int)
    }

    /// The text of `bytes`.
    public static func encode(_ bytes: some Sequence<UInt8>, as alphabet: Alphabet) -> String {
        var text: [UInt8] = []
        var (bits, bitCount) = (UInt32(0), 0)
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                text.append(character(bits >> UInt32(bitCount) & 63, alphabet))
            }
        }
        if bitCount > 0 { text.append(character(bits << UInt32(6 - bitCount) & 63, alphabet)) }
        while alphabet == .standard, text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of `text`; exactly one text stands for each sequence of bytes.
    public static func decode(
        _ text: some StringProtocol,
        as alphabet: Alphabet
    ) throws(DecodingError) -> [UInt8] {
        let characters = Array(text.utf8)
        var body = characters[...]
        if alphabet == .standard {
            guard characters.count % 4 == 0 else { throw .badLength(characters.count) }
            for _ in 0..<2 where body.last == UInt8(ascii: "=") { body.removeLast() }
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count * 3 / 4)
        var (bits, bitCount) = (UInt32(0), 0)
        for (offset, character) in body.enumerated() {
            guard let value = value(of: character, alphabet) else {
                throw .badCharacter(offset: offset)
            }
            bits = bits << 6 | value
            bitCount += 6
            guard bitCount >= 8 else { continue }
            bitCount -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
        }
        guard bitCount < 6, bits & (1 << UInt32(bitCount) - 1) == 0 else {
            throw .badLength(characters.count)
        }
        return bytes
    }

    private static func character(_ value: UInt32, _ alphabet: Alphabet) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: value)
        return switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + value - 26
        case 52..<62: UInt8(ascii: "0") + value - 52
        case 62: alphabet == .url ? UInt8(ascii: "-") : UInt8(ascii: "+")
        default: alphabet == .url ? UInt8(ascii: "_") : UInt8(ascii: "/")
        }
    }

    private static func value(of character: UInt8, _ alphabet: Alphabet) -> UInt32? {
        switch (character, alphabet) {
        case (65...90, _): UInt32(character - 65)
        case (97...122, _): UInt32(character - 97) + 26
        case (48...57, _): UInt32(character - 48) + 52
        case (UInt8(ascii: "+"), .standard), (UInt8(ascii: "-"), .url): 62
        case (UInt8(ascii: "/"), .standard), (UInt8(ascii: "_"), .url): 63
        default: nil
        }
    }
}
