/// A network: an address and how many leading bits count.
public struct IPPrefix: Hashable, Sendable {
    /// The first address of the network; host bits are zero.
    public let address: IPAddress
    /// Leading bits that count: 0…32 or 0…128.
    public let bitCount: Int

    /// Host bits are cleared; nil when `bitCount` is out of the family's range.
    public init?(_ address: IPAddress, bitCount: Int) {
        let all = address.family.bitCount
        guard (0...all).contains(bitCount) else { return nil }
        self.bitCount = bitCount
        let kept = bitCount + 128 - all
        self.address = IPAddress(
            high: address.high & Self.mask(kept),
            low: address.low & Self.mask(kept - 64)
        )
    }

    /// The network of one address.
    public init(host address: IPAddress) {
        self.address = address
        bitCount = address.family.bitCount
    }

    /// The family.
    public var family: IPFamily { address.family }

    /// Whether `other` lies inside.
    public func contains(_ other: IPAddress) -> Bool {
        guard other.isIPv4 == address.isIPv4 else { return false }
        let kept = bitCount + (address.isIPv4 ? 96 : 0)
        return other.high & Self.mask(kept) == address.high
            && other.low & Self.mask(kept - 64) == address.low
    }

    /// Whether the two share an address.
    public func overlaps(_ other: IPPrefix) -> Bool {
        contains(other.address) || other.contains(address)
    }

    /// A word whose first `bits` bits are one; `bits` may be anything.
    private static func mask(_ bits: Int) -> UInt64 {
        bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits))
    }
}

extension IPPrefix: LosslessStringConvertible {
    /// `10.0.0.0/8`, `fd00::/8`, or an address alone, which is its own network.
    public init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { return nil }
            self.init(host: address)
            return
        }
        guard let address = IPAddress(String(text[..<slash])),
            let bits = UInt8(digits: text[text.index(after: slash)...])
        else { return nil }
        self.init(address, bitCount: Int(bits))
    }

    public var description: String { "\(address)/\(bitCount)" }
}

extension IPPrefix: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let prefix = IPPrefix(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not a network in CIDR notation"
            )
        }
        self = prefix
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
