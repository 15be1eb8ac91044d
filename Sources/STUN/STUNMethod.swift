/// What a message is about (RFC 8489 18.2, RFC 8656 17). Those from 0x080 on are not taken for STUN
/// on a socket that carries other protocols too (RFC 7983).
public struct STUNMethod: RawRepresentable, Hashable, Sendable {
    /// The 12 bits on the wire.
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue & 0xfff }

    /// Asks for the address that the server sees.
    public static let binding = STUNMethod(rawValue: 0x001)
    /// Asks for a relayed address.
    public static let allocate = STUNMethod(rawValue: 0x003)
    /// Keeps an allocation, or ends it.
    public static let refresh = STUNMethod(rawValue: 0x004)
    /// Indication: data from the client to a peer.
    public static let send = STUNMethod(rawValue: 0x006)
    /// Indication: data from a peer to the client.
    public static let data = STUNMethod(rawValue: 0x007)
    /// Lets peers' addresses send to the relayed address.
    public static let createPermission = STUNMethod(rawValue: 0x008)
    /// Gives a peer a channel number.
    public static let channelBind = STUNMethod(rawValue: 0x009)
}

/// Which of four a message is (RFC 8489 5).
public enum STUNClass: UInt8, Sendable, CaseIterable {
    case request = 0
    case indication = 1
    /// Success response.
    case success = 2
    /// Error response.
    case failure = 3
}

/// The 14 bits that a message begins with: method and class, interleaved (RFC 8489 5).
enum MessageTypeBits {
    static func join(_ messageClass: STUNClass, _ method: STUNMethod) -> UInt16 {
        let low = method.rawValue & 0x000f
        let middle = (method.rawValue & 0x0070) << 1
        let high = (method.rawValue & 0x0f80) << 2
        let bits = UInt16(messageClass.rawValue)
        return high | middle | low | (bits & 1) << 4 | (bits & 2) << 7
    }

    static func method(of bits: UInt16) -> STUNMethod {
        STUNMethod(rawValue: bits & 0x000f | (bits & 0x00e0) >> 1 | (bits & 0x3e00) >> 2)
    }

    static func messageClass(of bits: UInt16) -> STUNClass {
        switch (bits & 0x0100 != 0, bits & 0x0010 != 0) {
        case (false, false): .request
        case (false, true): .indication
        case (true, false): .success
        case (true, true): .failure
        }
    }
}

/// Ties an answer to its request: 96 bits that nobody else can guess.
public struct TransactionID: Hashable, Sendable {
    /// The first 32 bits.
    public let high: UInt32
    /// The other 64 bits.
    public let low: UInt64

    public init(high: UInt32, low: UInt64) { (self.high, self.low) = (high, low) }

    /// A new one.
    public init(from generator: inout some RandomNumberGenerator) {
        high = UInt32(truncatingIfNeeded: generator.next())
        low = generator.next()
    }
}
