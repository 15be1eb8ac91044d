internal import Bytes
internal import Ciphers
internal import STUN
internal import SansIO

/// Nonces that need no memory: the time and a code over time and client, under a key that lives as
/// long as the process. So a nonce is good for one client endpoint, and for an hour.
struct NonceMint: Sendable {
    /// Bounds of a nonce.
    enum Limits {
        /// How long a nonce is good.
        static var life: Duration { .seconds(3_600) }
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    )
    /// Short, because answers to strangers should be.
    private static let codeByteCount = 8
    private static let features = Array(SecurityFeatures.passwordAlgorithms.noncePrefix.utf8)
    private let key: [UInt8]

    init(from random: inout RandomSource) { key = random.bytes(32) }

    /// A nonce for `client`.
    func nonce(for client: Endpoint, at now: Instant) -> [UInt8] {
        nonce(for: client, second: now.second)
    }

    /// Whether `nonce` was made for `client` and is not too old.
    func isGood(_ nonce: [UInt8], for client: Endpoint, at now: Instant) -> Bool {
        guard let second = Self.second(of: nonce) else { return false }
        let age = now.second &- second
        guard UInt64(age) < UInt64(Limits.life.components.seconds) else { return false }
        let expected = self.nonce(for: client, second: second)
        return expected.rawSpan.isEqualInConstantTime(to: nonce.rawSpan)
    }

    private func nonce(for client: Endpoint, second: UInt32) -> [UInt8] {
        var message: [UInt8] = []
        message.append(bigEndian: second)
        var body = message
        message.append(bigEndian: client.high)
        message.append(bigEndian: client.low)
        message.append(bigEndian: client.port)
        let code = HMAC.sha256(message.rawSpan, key: key.rawSpan)
        body += code.rawSpan.extracting(first: Self.codeByteCount).array
        return Self.features + Self.text(of: body)
    }

    /// The second that a nonce was made in; nil: it is none of ours.
    private static func second(of nonce: [UInt8]) -> UInt32? {
        guard nonce.count == features.count + (4 + codeByteCount) * 4 / 3 else { return nil }
        var bits: UInt64 = 0
        for character in nonce[features.count..<features.count + 6] {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = bits << 6 | UInt64(value)
        }
        return UInt32(truncatingIfNeeded: bits >> 4)
    }

    /// Six bits a character; `bytes` are a multiple of three.
    private static func text(of bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let word = bytes[start..<start + 3].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            for shift in stride(from: 18, through: 0, by: -6) as StrideThrough<UInt32> {
                text.append(alphabet[Int(word >> shift & 63)])
            }
        }
        return text
    }
}

extension Instant {
    /// Whole seconds, as a nonce tells them.
    fileprivate var second: UInt32 { UInt32(truncatingIfNeeded: nanoseconds / 1_000_000_000) }
}
