internal import Bytes
internal import Ciphers

/// Bytes from hexadecimal text; spaces are skipped.
func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
}

/// Hexadecimal text of bytes.
func hexadecimal(_ bytes: RawSpan) -> String {
    var text = ""
    for offset in 0..<bytes.byteCount {
        let byte = bytes.byte(at: offset)
        text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
    return text
}

/// 0, 1, 2, … as bytes.
func counting(_ count: Int, from first: Int = 0) -> [UInt8] {
    (first..<first + count).map { UInt8(truncatingIfNeeded: $0) }
}

func secret(_ bytes: [UInt8]) -> Secret { Secret(copying: bytes.rawSpan) }
