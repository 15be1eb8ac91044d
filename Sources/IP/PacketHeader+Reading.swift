internal import Bytes

extension PacketHeader {
    @usableFromInline init(_ bytes: RawSpan, isEmbedded: Bool) throws(PacketError) {
        var route: Int?
        try self.init(bytes, isEmbedded: isEmbedded, route: &route)
        guard route == nil else { throw .sourceRoute }
    }

    /// Reads on behind routers that the sender names and the packet did not pass yet; `route` is
    /// then where they are: an IPv4 option, or the segments left of an IPv6 routing header.
    init(_ bytes: RawSpan, isEmbedded: Bool, route: inout Int?) throws(PacketError) {
        self.init()
        guard bytes.byteCount > 0 else { throw .truncated(available: 0, need: 20) }
        let version = bytes.byte(at: 0) >> 4
        switch version {
        case 4: try readIPv4(bytes, isEmbedded: isEmbedded, &route)
        case 6: try readIPv6(bytes, isEmbedded: isEmbedded, &route)
        default: throw .badVersion(version)
        }
        try readTransport(bytes, isEmbedded: isEmbedded)
    }

    private init() {}

    private mutating func readTotal(
        _ field: Int,
        _ bytes: RawSpan,
        isEmbedded: Bool
    ) throws(PacketError) {
        guard field <= 0xffff else { throw .badLength(field: field, available: bytes.byteCount) }
        guard isEmbedded || field <= bytes.byteCount else {
            throw .truncated(available: bytes.byteCount, need: field)
        }
        total = UInt32(truncatingIfNeeded: min(field, bytes.byteCount))
    }
}

// MARK: - IPv4

extension PacketHeader {
    /// RFC 791 3.1.
    private mutating func readIPv4(
        _ bytes: RawSpan,
        isEmbedded: Bool,
        _ route: inout Int?
    ) throws(PacketError) {
        guard bytes.byteCount >= 20 else {
            throw .truncated(available: bytes.byteCount, need: 20)
        }
        let headerByteCount = Int(bytes.byte(at: 0) & 0xf) * 4
        let field = Int(bytes.uint16(at: 2))
        guard headerByteCount >= 20 else { throw .badHeaderLength(headerByteCount) }
        guard field >= headerByteCount else {
            throw .badLength(field: field, available: bytes.byteCount)
        }
        try readTotal(field, bytes, isEmbedded: isEmbedded)
        guard headerByteCount <= total else { throw .badHeaderLength(headerByteCount) }
        trafficClass = bytes.byte(at: 1)
        identification = UInt32(bytes.uint16(at: 4))
        let fragment = bytes.uint16(at: 6)
        dontFragment = fragment & 0x4000 != 0
        moreFragments = fragment & 0x2000 != 0
        fragmentUnits = fragment & 0x1fff
        hopLimit = bytes.byte(at: 8)
        transportProtocol = TransportProtocol(rawValue: bytes.byte(at: 9))
        source = IPAddress(ipv4: bytes.uint32(at: 12))
        destination = IPAddress(ipv4: bytes.uint32(at: 16))
        transport = UInt16(truncatingIfNeeded: headerByteCount)
        guard fragmentOffset + field - headerByteCount <= 0xffff else { throw .badFragment }
        if headerByteCount > 20 { try readOptions(bytes, &route) }
    }

    /// RFC 791 3.1: only whether they are well formed and name a route that is not passed yet.
    private func readOptions(_ bytes: RawSpan, _ route: inout Int?) throws(PacketError) {
        var offset = 20
        while offset < transportOffset {
            let kind = bytes.byte(at: offset)
            if kind == 0 { return }
            if kind == 1 {
                offset += 1
                continue
            }
            guard offset + 1 < transportOffset else { throw .badOption(kind) }
            let byteCount = Int(bytes.byte(at: offset + 1))
            guard byteCount >= 2, offset + byteCount <= transportOffset else {
                throw .badOption(kind)
            }
            // A pointer behind the last address: the route ends here.
            if kind == 131 || kind == 137, byteCount < 3 || bytes.byte(at: offset + 2) <= byteCount
            {
                route = offset
            }
            offset += byteCount
        }
    }
}

// MARK: - IPv6

extension PacketHeader {
    /// RFC 8200 3 and 4.
    private mutating func readIPv6(
        _ bytes: RawSpan,
        isEmbedded: Bool,
        _ route: inout Int?
    ) throws(PacketError) {
        guard bytes.byteCount >= 40 else {
            throw .truncated(available: bytes.byteCount, need: 40)
        }
        try readTotal(40 + Int(bytes.uint16(at: 4)), bytes, isEmbedded: isEmbedded)
        family = .ipv6
        dontFragment = true
        trafficClass = UInt8(truncatingIfNeeded: bytes.uint16(at: 0) >> 4)
        hopLimit = bytes.byte(at: 7)
        source = IPAddress(high: bytes.uint64(at: 8), low: bytes.uint64(at: 16))
        destination = IPAddress(high: bytes.uint64(at: 24), low: bytes.uint64(at: 32))
        guard !source.isIPv4, !destination.isIPv4 else { throw .mappedAddress }
        transport = 40
        transportProtocol = TransportProtocol(rawValue: bytes.byte(at: 6))
        var walked = 0
        while fragmentUnits == 0, Self.isExtension(transportProtocol) {
            guard walked < Limits.extensionHeaders,
                walked == 0 || transportProtocol.rawValue != ExtensionHeader.hopByHop
            else { throw .badExtensionHeaders }
            try readExtension(bytes, &route)
            walked += 1
        }
    }

    private enum ExtensionHeader {
        static let hopByHop: UInt8 = 0
        static let routing: UInt8 = 43
        static let fragment: UInt8 = 44
        static let destinationOptions: UInt8 = 60
    }

    private static func isExtension(_ transport: TransportProtocol) -> Bool {
        switch transport.rawValue {
        case ExtensionHeader.hopByHop, ExtensionHeader.routing, ExtensionHeader.fragment,
            ExtensionHeader.destinationOptions:
            true
        default: false
        }
    }

    private mutating func readExtension(_ bytes: RawSpan, _ route: inout Int?) throws(PacketError) {
        let offset = transportOffset
        guard totalByteCount - offset >= 8 else {
            throw .truncated(available: totalByteCount, need: offset + 8)
        }
        var byteCount = 8
        switch transportProtocol.rawValue {
        case ExtensionHeader.fragment:
            let field = bytes.uint16(at: offset + 2)
            fragmentUnits = field >> 3
            moreFragments = field & 1 != 0
            identification = bytes.uint32(at: offset + 4)
            let end = fragmentOffset + totalByteCount - offset - 8
            guard end <= 0xffff else { throw .badFragment }
        case ExtensionHeader.routing where bytes.byte(at: offset + 3) != 0:
            route = route ?? offset + 3
            byteCount += Int(bytes.byte(at: offset + 1)) * 8
        default:
            byteCount += Int(bytes.byte(at: offset + 1)) * 8
        }
        guard totalByteCount - offset >= byteCount else {
            throw .truncated(available: totalByteCount, need: offset + byteCount)
        }
        transportProtocol = TransportProtocol(rawValue: bytes.byte(at: offset))
        transport = UInt16(truncatingIfNeeded: offset + byteCount)
    }
}

// MARK: - Transport

extension PacketHeader {
    private mutating func readTransport(_ bytes: RawSpan, isEmbedded: Bool) throws(PacketError) {
        payload = transport
        guard fragmentUnits == 0 else { return }
        switch (transportProtocol, family) {
        case (.tcp, _): try readTCP(bytes, isEmbedded: isEmbedded)
        case (.udp, _): try readUDP(bytes, isEmbedded: isEmbedded)
        case (.icmp, .ipv4), (.icmpv6, .ipv6): try readICMP(bytes)
        default: break
        }
    }

    private func require(_ byteCount: Int) throws(PacketError) {
        guard totalByteCount - transportOffset >= byteCount else {
            throw .truncated(available: totalByteCount, need: transportOffset + byteCount)
        }
    }

    /// RFC 9293 3.1.
    private mutating func readTCP(_ bytes: RawSpan, isEmbedded: Bool) throws(PacketError) {
        try require(isEmbedded ? 8 : 20)
        let offset = transportOffset
        hasTransportHeader = true
        sourcePort = bytes.uint16(at: offset)
        destinationPort = bytes.uint16(at: offset + 2)
        sequence = bytes.uint32(at: offset + 4)
        guard totalByteCount - offset >= 20 else {
            payload = UInt16(truncatingIfNeeded: total)
            return
        }
        acknowledgment = bytes.uint32(at: offset + 8)
        tcpFlags = TCPFlags(rawValue: bytes.byte(at: offset + 13))
        let byteCount = Int(bytes.byte(at: offset + 12) >> 4) * 4
        guard byteCount >= 20, isEmbedded || byteCount <= totalByteCount - offset else {
            throw .badHeaderLength(byteCount)
        }
        payload = UInt16(truncatingIfNeeded: min(offset + byteCount, totalByteCount))
    }

    /// RFC 768.
    private mutating func readUDP(_ bytes: RawSpan, isEmbedded: Bool) throws(PacketError) {
        try require(8)
        let offset = transportOffset
        hasTransportHeader = true
        sourcePort = bytes.uint16(at: offset)
        destinationPort = bytes.uint16(at: offset + 2)
        payload = transport + 8
        let field = Int(bytes.uint16(at: offset + 4))
        guard !isEmbedded, !moreFragments else { return }
        guard field >= 8, field <= totalByteCount - offset else {
            throw .badLength(field: field, available: totalByteCount - offset)
        }
    }

    /// RFC 792, RFC 4443 2.1.
    private mutating func readICMP(_ bytes: RawSpan) throws(PacketError) {
        try require(8)
        let offset = transportOffset
        hasTransportHeader = true
        icmpType = bytes.byte(at: offset)
        icmpCode = bytes.byte(at: offset + 1)
        payload = transport + 8
        if icmpType == ICMPType.echoRequest(family) {
            sourcePort = bytes.uint16(at: offset + 4)
        } else if icmpType == ICMPType.echoReply(family) {
            destinationPort = bytes.uint16(at: offset + 4)
        }
    }
}
