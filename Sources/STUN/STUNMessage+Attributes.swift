public import Bytes
internal import IP

extension STUNMessage {
    /// The attribute after `previous`, nil: the first; those behind an integrity do not count.
    public func attribute(after previous: STUNAttribute? = nil) -> STUNAttribute? {
        let offset = previous?.end ?? Self.headerByteCount
        guard offset < attributesEnd else { return nil }
        return STUNAttribute(in: bytes, at: offset)
    }

    /// The first attribute of `type`: of several only the first counts (RFC 8489 14), but for
    /// addresses.
    public func first(_ type: STUNAttributeType) -> STUNAttribute? {
        var found = attribute()
        while let attribute = found, attribute.type != type {
            found = self.attribute(after: attribute)
        }
        return found
    }

    /// Whether there is an attribute of `type`.
    public func has(_ type: STUNAttributeType) -> Bool { first(type) != nil }

    /// The value of an attribute of this message, lent.
    @_lifetime(copy self)
    public func value(of attribute: STUNAttribute) -> RawSpan { bytes.extracting(attribute.range) }

    /// A copy of the first value of `type`; nil when there is none.
    public func array(_ type: STUNAttributeType) -> [UInt8]? {
        first(type).map { bytes.extracting($0.range).array }
    }

    /// The first value of `type` as text; what is not UTF-8 is replaced.
    public func text(_ type: STUNAttributeType) -> String? {
        array(type).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Those that must be understood and are not among `known`, each once; for UNKNOWN-ATTRIBUTES.
    public func unknownAttributes(besides known: [STUNAttributeType]) -> [STUNAttributeType] {
        var unknown: [STUNAttributeType] = []
        var found = attribute()
        while let attribute = found {
            let type = attribute.type
            if type.mustBeUnderstood, !known.contains(type), !unknown.contains(type) {
                unknown.append(type)
            }
            found = self.attribute(after: attribute)
        }
        return unknown
    }
}

// MARK: - Addresses

extension STUNMessage {
    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of an old server.
    public var mappedAddress: Endpoint? {
        if let attribute = first(.xorMappedAddress) { return xorAddress(attribute) }
        return first(.mappedAddress).flatMap { XORAddress.checked(plainAddress($0), $0) }
    }

    /// The first XOR-PEER-ADDRESS.
    public var peerAddress: Endpoint? { first(.xorPeerAddress).flatMap { xorAddress($0) } }

    /// All XOR-PEER-ADDRESS, in their order.
    public var peerAddresses: [Endpoint] { xorAddresses(.xorPeerAddress) }

    /// All XOR-RELAYED-ADDRESS, in their order.
    public var relayedAddresses: [Endpoint] { xorAddresses(.xorRelayedAddress) }

    /// ALTERNATE-SERVER.
    public var alternateServer: Endpoint? {
        first(.alternateServer).flatMap { XORAddress.checked(plainAddress($0), $0) }
    }

    private func xorAddresses(_ type: STUNAttributeType) -> [Endpoint] {
        var all: [Endpoint] = []
        var found = attribute()
        while let attribute = found {
            if attribute.type == type, let address = xorAddress(attribute) { all.append(address) }
            found = self.attribute(after: attribute)
        }
        return all
    }

    /// RFC 8489 14.2.
    private func xorAddress(_ attribute: STUNAttribute) -> Endpoint? {
        let isIPv4 = attribute.range.count == 8
        let plain = XORAddress.flip(plainAddress(attribute), isIPv4: isIPv4, transaction)
        return XORAddress.checked(plain, attribute)
    }

    /// RFC 8489 14.1; the bits as they are.
    private func plainAddress(_ attribute: STUNAttribute) -> Endpoint {
        let start = attribute.range.lowerBound
        let port = bytes.uint16(at: start + 2)
        if attribute.range.count == 8 {
            return Endpoint(IPAddress(ipv4: bytes.uint32(at: start + 4)), port: port)
        }
        let (high, low) = (bytes.uint64(at: start + 4), bytes.uint64(at: start + 12))
        return Endpoint(high: high, low: low, port: port)
    }
}

/// How an address is hidden from those who rewrite addresses on the way (RFC 8489 14.2).
enum XORAddress {
    /// There and back again.
    static func flip(
        _ endpoint: Endpoint,
        isIPv4: Bool,
        _ transaction: TransactionID
    ) -> Endpoint {
        var flipped = endpoint
        flipped.port ^= UInt16(truncatingIfNeeded: STUNMessage.cookie >> 16)
        if isIPv4 {
            flipped.low ^= UInt64(STUNMessage.cookie)
        } else {
            flipped.high ^= UInt64(STUNMessage.cookie) << 32 | UInt64(transaction.high)
            flipped.low ^= transaction.low
        }
        return flipped
    }

    /// nil: an IPv4 address in the form of an IPv6 one, which would be two families at once.
    static func checked(_ endpoint: Endpoint, _ attribute: STUNAttribute) -> Endpoint? {
        endpoint.address.isIPv4 == (attribute.range.count == 8) ? endpoint : nil
    }
}
