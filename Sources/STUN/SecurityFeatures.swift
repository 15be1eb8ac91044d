internal import Bytes

/// What a server can do, told in the first bytes of its nonces so that nobody on the way can hide
/// it: who changes the nonce is refused (RFC 8489 9.2, 18.1).
public struct SecurityFeatures: OptionSet, Hashable, Sendable {
    /// 24 bits; the first is the highest.
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue & 0xff_ffff }

    /// PASSWORD-ALGORITHMS is offered.
    public static let passwordAlgorithms = SecurityFeatures(rawValue: 0x80_0000)
    /// USERHASH is taken in place of USERNAME.
    public static let userAnonymity = SecurityFeatures(rawValue: 0x40_0000)

    /// What such a nonce begins with.
    private static let cookie = Array("obMatJos2".utf8)
    /// Bytes of a nonce before the server's own part: the cookie, and the bits in base64.
    public static let prefixByteCount = 13

    /// The beginning of a nonce that tells these features.
    public var noncePrefix: String {
        let bits = [
            UInt8(truncatingIfNeeded: rawValue >> 16), UInt8(truncatingIfNeeded: rawValue >> 8),
            UInt8(truncatingIfNeeded: rawValue),
        ]
        return String(decoding: Self.cookie, as: UTF8.self) + Base64.encode(bits, as: .standard)
    }

    /// The features that `nonce` tells; nil: it does not begin with the cookie.
    public init?(nonce: [UInt8]) {
        guard nonce.count >= Self.prefixByteCount, nonce.starts(with: Self.cookie) else {
            return nil
        }
        let text = String(decoding: nonce[Self.cookie.count..<Self.prefixByteCount], as: UTF8.self)
        guard let bits = try? Base64.decode(text, as: .standard), bits.count == 3 else {
            return nil
        }
        self.init(rawValue: bits.reduce(0) { $0 << 8 | UInt32($1) })
    }
}
