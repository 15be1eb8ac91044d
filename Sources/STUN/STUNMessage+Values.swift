internal import Bytes
public import IP

extension STUNMessage {
    /// ERROR-CODE; nil in an answer that lacks it.
    public var errorCode: STUNErrorCode? { first(.errorCode).map { code(at: $0) } }

    /// ERROR-CODE's words.
    public var reason: String? {
        first(.errorCode).map { attribute in
            let words = bytes.extracting(attribute.range).extracting(droppingFirst: 4)
            return String(decoding: words.array, as: UTF8.self)
        }
    }

    /// LIFETIME, in seconds.
    public var lifetime: UInt32? {
        first(.lifetime).map { bytes.uint32(at: $0.range.lowerBound) }
    }

    /// CHANNEL-NUMBER, whatever it is.
    public var channelNumber: UInt16? {
        first(.channelNumber).map { bytes.uint16(at: $0.range.lowerBound) }
    }

    /// REQUESTED-TRANSPORT: an IP protocol number.
    public var requestedTransport: UInt8? {
        first(.requestedTransport).map { bytes.byte(at: $0.range.lowerBound) }
    }

    /// REQUESTED-ADDRESS-FAMILY.
    public var requestedFamily: RequestedFamily? {
        first(.requestedAddressFamily).map { family(at: $0) }
    }

    /// ADDITIONAL-ADDRESS-FAMILY, by its number or by that of a draft, which coturn's clients use.
    public var additionalFamily: RequestedFamily? {
        (first(.additionalAddressFamily) ?? first(.additionalAddressFamilyOfDraft))
            .map { family(at: $0) }
    }

    /// EVEN-PORT: whether the next port is to be reserved too; nil: no such wish.
    public var evenPortReserves: Bool? {
        first(.evenPort).map { bytes.byte(at: $0.range.lowerBound) & 0x80 != 0 }
    }

    /// RESERVATION-TOKEN.
    public var reservationToken: UInt64? {
        first(.reservationToken).map { bytes.uint64(at: $0.range.lowerBound) }
    }

    /// DATA: where it lies in the message.
    public var dataRange: Range<Int>? { first(.data)?.range }

    /// ADDRESS-ERROR-CODE: the families that an allocation could not have, and why.
    public var addressErrors: [(family: RequestedFamily, code: STUNErrorCode)] {
        var all: [(family: RequestedFamily, code: STUNErrorCode)] = []
        var found = attribute()
        while let attribute = found {
            if attribute.type == .addressErrorCode {
                all.append((family(at: attribute), code(at: attribute)))
            }
            found = self.attribute(after: attribute)
        }
        return all
    }

    private func code(at attribute: STUNAttribute) -> STUNErrorCode {
        let start = attribute.range.lowerBound
        let hundreds = UInt16(bytes.byte(at: start + 2) & 7)
        return STUNErrorCode(rawValue: hundreds * 100 + UInt16(bytes.byte(at: start + 3)))
    }

    private func family(at attribute: STUNAttribute) -> RequestedFamily {
        RequestedFamily(rawValue: bytes.byte(at: attribute.range.lowerBound))
    }
}

/// A family by its number in STUN (RFC 8489 14.1), which may be one that nobody knows.
public struct RequestedFamily: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public init(_ family: IPFamily) { rawValue = family == .ipv4 ? 1 : 2 }

    /// The family; nil: none that is known.
    public var family: IPFamily? {
        switch rawValue {
        case 1: .ipv4
        case 2: .ipv6
        default: nil
        }
    }
}
