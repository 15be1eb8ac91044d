public import IP

extension Name {
    /// The name that PTR records of `address` stand at: `9.113.0.203.in-addr.arpa` (RFC 1035
    /// section 3.5) or 32 nibbles below `ip6.arpa` (RFC 3596 section 2.5).
    public init(reverse address: IPAddress) {
        var wire: [UInt8] = []
        for byte in address.bytes.reversed() {
            if address.isIPv4 {
                let digits = Array(String(byte).utf8)
                wire.append(UInt8(digits.count))
                wire += digits
            } else {
                wire += [1, Self.digit(byte & 15), 1, Self.digit(byte >> 4)]
            }
        }
        wire += (address.isIPv4 ? Self.inAddrArpa : Self.ip6Arpa).wire
        self.init(unchecked: wire)
    }

    /// The address whose PTR records stand here; nil for any other name, also for one with labels
    /// too many or too few.
    public var reverseAddress: IPAddress? {
        if isAtOrBelow(Self.inAddrArpa) { return reverseIPv4 }
        if isAtOrBelow(Self.ip6Arpa) { return reverseIPv6 }
        return nil
    }

    static let inAddrArpa = Name(unchecked: [7] + "in-addr".utf8 + [4] + "arpa".utf8 + [0])
    static let ip6Arpa = Name(unchecked: [3] + "ip6".utf8 + [4] + "arpa".utf8 + [0])

    private var reverseIPv4: IPAddress? {
        let labels = labels
        guard labels.count == 6 else { return nil }
        var value: UInt32 = 0
        for label in labels.prefix(4).reversed() {
            guard let byte = Self.decimal(label) else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return IPAddress(ipv4: value)
    }

    private var reverseIPv6: IPAddress? {
        guard wire.count == 2 * 32 + Self.ip6Arpa.wire.count else { return nil }
        var (high, low) = (UInt64(0), UInt64(0))
        for index in (0..<32).reversed() {
            guard wire[2 * index] == 1, let nibble = Self.nibble(wire[2 * index + 1]) else {
                return nil
            }
            high = high << 4 | low >> 60
            low = low << 4 | UInt64(nibble)
        }
        let address = IPAddress(high: high, low: low)
        return address.isIPv4 ? nil : address
    }

    private static func decimal(_ label: [UInt8]) -> UInt8? {
        guard label.count <= 3, label.count == 1 || label[0] != 48 else { return nil }
        var value = 0
        for digit in label {
            guard digit >= 48, digit <= 57 else { return nil }
            value = value * 10 + Int(digit - 48)
        }
        return UInt8(exactly: value)
    }

    private static func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 65...70: digit - 55
        case 97...102: digit - 87
        default: nil
        }
    }
}
