/// The control bits of a TCP header (RFC 9293 3.1, RFC 3168 6.1).
public struct TCPFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public static var fin: Self { Self(rawValue: 0x01) }
    @inlinable public static var syn: Self { Self(rawValue: 0x02) }
    @inlinable public static var rst: Self { Self(rawValue: 0x04) }
    @inlinable public static var psh: Self { Self(rawValue: 0x08) }
    @inlinable public static var ack: Self { Self(rawValue: 0x10) }
    @inlinable public static var urg: Self { Self(rawValue: 0x20) }
    @inlinable public static var ece: Self { Self(rawValue: 0x40) }
    @inlinable public static var cwr: Self { Self(rawValue: 0x80) }
}
