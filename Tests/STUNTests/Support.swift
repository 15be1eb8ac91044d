internal import Bytes
internal import Ciphers
internal import IP
internal import SansIO
internal import STUN

/// Bytes from hexadecimal text; spaces are skipped.
func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] * 16 + digits[$0 + 1])
    }
}

func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(high: 0, low: 0) }

func endpoint(_ text: String) -> Endpoint { Endpoint(text) ?? .unspecified }

extension Instant {
    /// When tests begin.
    static let start = Instant(nanoseconds: 1_000_000_000_000)

    static func + (lhs: Instant, rhs: Duration) -> Instant { lhs.advanced(by: rhs) }
}

func sha256Code(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let code = HMAC.sha256(message.rawSpan, key: key.rawSpan)
    return code.rawSpan.array
}
