internal import Bytes

/// An IP address of either family: 128 bits, IPv4 mapped (`::ffff:a.b.c.d`).
public struct IPAddress: Hashable, Sendable {
    /// The upper 64 bits.
    public var high: UInt64
    /// The lower 64 bits.
    public var low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// An IPv4 address by its 32 bits.
    @inlinable public init(ipv4: UInt32) {
        self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4))
    }

    /// Whether it is IPv4.
    @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    /// The 32 bits of an IPv4 address; meaningless for IPv6.
    @inlinable public var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    /// The family.
    @inlinable public var family: IPFamily { isIPv4 ? .ipv4 : .ipv6 }
}

/// The two versions of the Internet Protocol.
public enum IPFamily: String, Sendable, Codable, CaseIterable {
    case ipv4, ipv6

    /// Bits of an address: 32 or 128.
    public var bitCount: Int { self == .ipv4 ? 32 : 128 }
}

extension IPAddress: Comparable {
    public static func < (lhs: IPAddress, rhs: IPAddress) -> Bool {
        (lhs.high, lhs.low) < (rhs.high, rhs.low)
    }
}

extension IPAddress {
    /// The address `offset` places further, wrapping at the end of the 128 bits.
    public func advanced(by offset: UInt64) -> IPAddress {
        let (sum, overflow) = low.addingReportingOverflow(offset)
        return IPAddress(high: overflow ? high &+ 1 : high, low: sum)
    }

    /// The 4 or 16 bytes of the address, network order.
    public var bytes: [UInt8] {
        var all: [UInt8] = []
        if isIPv4 {
            all.append(bigEndian: ipv4)
        } else {
            all.append(bigEndian: high)
            all.append(bigEndian: low)
        }
        return all
    }

    /// An address of 4 or 16 bytes; nil for any other length, and for a mapped address in 16.
    public init?(bytes: RawSpan) {
        switch bytes.byteCount {
        case 4: self.init(ipv4: bytes.uint32(at: 0))
        case 16:
            self.init(high: bytes.uint64(at: 0), low: bytes.uint64(at: 8))
            if isIPv4 { return nil }
        default: return nil
        }
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Dotted decimal, or RFC 4291 text with or without `::`; no zone, no port, no brackets.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        if let ipv4 = Self.parseIPv4(bytes[...]) {
            self.init(ipv4: ipv4)
        } else if let (high, low) = Self.parseIPv6(bytes) {
            self.init(high: high, low: low)
            if isIPv4 { return nil }
        } else {
            return nil
        }
    }

    /// RFC 5952 text.
    public var description: String {
        if isIPv4 {
            return (0..<4).map { String(ipv4 >> (24 - 8 * $0) & 0xff) }.joined(separator: ".")
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> (48 - 16 * UInt64(index % 4)))
        }
        var (longest, start) = (0, 0)
        var index = 0
        while index < 8 {
            let run = groups[index...].prefix { $0 == 0 }.count
            if run > longest { (longest, start) = (run, index) }
            index += max(run, 1)
        }
        func text(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard longest > 1 else { return text(groups[...]) }
        return text(groups[..<start]) + "::" + text(groups[(start + longest)...])
    }

    private static func parseIPv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }),
                part.count == 1 || part.first != 48
            else { return nil }
            let number = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 48) }
            guard number < 256 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    private static func parseIPv6(_ text: [UInt8]) -> (UInt64, UInt64)? {
        let colon = UInt8(ascii: ":")
        var before: [UInt16] = []
        var after: [UInt16] = []
        var gap = false
        var rest = text[...]
        if rest.starts(with: [colon, colon]) {
            gap = true
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != colon }
            if part.contains(UInt8(ascii: ".")) {
                guard part.endIndex == rest.endIndex, let ipv4 = parseIPv4(part) else { return nil }
                let words = [
                    UInt16(truncatingIfNeeded: ipv4 >> 16), UInt16(truncatingIfNeeded: ipv4),
                ]
                if gap { after += words } else { before += words }
                rest = []
                break
            }
            guard let group = parseGroup(part) else { return nil }
            if gap { after.append(group) } else { before.append(group) }
            rest = rest[part.endIndex...]
            guard !rest.isEmpty else { break }
            rest = rest.dropFirst()
            if rest.first == colon {
                guard !gap else { return nil }
                gap = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let count = before.count + after.count
        guard gap ? count <= 7 : count == 8 else { return nil }
        let groups = before + Array(repeating: 0, count: 8 - count) + after
        func half(_ part: ArraySlice<UInt16>) -> UInt64 { part.reduce(0) { $0 << 16 | UInt64($1) } }
        return (half(groups[..<4]), half(groups[4...]))
    }

    private static func parseGroup(_ part: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(part.count) else { return nil }
        var value: UInt16 = 0
        for digit in part {
            switch digit {
            case 48...57: value = value << 4 | UInt16(digit - 48)
            case 65...70: value = value << 4 | UInt16(digit - 55)
            case 97...102: value = value << 4 | UInt16(digit - 87)
            default: return nil
            }
        }
        return value
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let address = IPAddress(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not an IP address"
            )
        }
        self = address
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
