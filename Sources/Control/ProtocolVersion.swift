/// A version of the protocol between roles and portal; compared as numbers, so 1.10 follows 1.9.
public struct ProtocolVersion: Hashable, Sendable {
    /// Raised when old peers cannot follow.
    public let major: UInt16
    /// Raised when something is added.
    public let minor: UInt16

    public init(major: UInt16, minor: UInt16) { (self.major, self.minor) = (major, minor) }

    /// 1.1: nothing is authorised before the first packet.
    public static let current = ProtocolVersion(major: 1, minor: 1)

    /// What this build speaks, best first.
    public static let spoken = [current]

    /// The highest version that a peer who offers `offered` and this build both speak.
    public static func agreed(offered: [ProtocolVersion]) -> ProtocolVersion? {
        spoken.filter(offered.contains).max()
    }
}

extension ProtocolVersion: Comparable {
    public static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.major, lhs.minor) < (rhs.major, rhs.minor)
    }
}

extension ProtocolVersion: LosslessStringConvertible {
    /// `1.1`: two numbers without leading zeros.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt16(parts[0]), let minor = UInt16(parts[1]) else {
            return nil
        }
        self.init(major: major, minor: minor)
        guard description == text else { return nil }
    }

    public var description: String { "\(major).\(minor)" }
}

extension ProtocolVersion: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let version = ProtocolVersion(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not a protocol version"
            )
        }
        self = version
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
