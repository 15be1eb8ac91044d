/// What an IP packet carries: the protocol number (IPv4) or the last next-header value (IPv6).
public struct TransportProtocol: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// RFC 792; means ICMP in IPv4 packets only.
    @inlinable public static var icmp: Self { Self(rawValue: 1) }
    /// RFC 9293.
    @inlinable public static var tcp: Self { Self(rawValue: 6) }
    /// RFC 768.
    @inlinable public static var udp: Self { Self(rawValue: 17) }
    /// RFC 4443; means ICMP in IPv6 packets only.
    @inlinable public static var icmpv6: Self { Self(rawValue: 58) }

    /// ICMP as `family` spells it.
    @inlinable public static func icmp(_ family: IPFamily) -> Self {
        switch family {
        case .ipv4: .icmp
        case .ipv6: .icmpv6
        }
    }

    /// Compares the numbers; spelt out because the general one is slow when not optimised.
    @inlinable public static func == (lhs: Self, rhs: Self) -> Bool { lhs.rawValue == rhs.rawValue }
}

extension TransportProtocol: CustomStringConvertible {
    /// The name where it is one of the four, else the number.
    public var description: String {
        switch rawValue {
        case 1: "icmp"
        case 6: "tcp"
        case 17: "udp"
        case 58: "icmpv6"
        default: String(rawValue)
        }
    }
}
