public import Bytes

/// A packet that is rewritten in place, each change carried into the checksums that cover it
/// (RFC 1624), so that a checksum that was wrong stays wrong.
///
/// The bytes may be the headers of a large packet alone, as long as `header` was read from all of
/// it. Where the kernel left the transport checksum to be completed (``Offload/needsChecksum``),
/// the field holds the pseudo header's sum: addresses change it, ports do not. Nothing here traps;
/// what cannot be done returns false and changes nothing.
public struct MutablePacket: ~Copyable, ~Escapable {
    var bytes: MutableRawSpan
    /// What the packet says now; follows every change.
    public internal(set) var header: PacketHeader
    /// Whether the transport checksum covers the pseudo header only.
    let isPartial: Bool
    /// What IPv4 header and transport checksum must learn; applied at the end of each change.
    var ipChange = ChecksumChange()
    var transportChange = ChecksumChange()

    /// - Parameters:
    ///   - bytes: The packet, or its headers: at least ``PacketHeader/payloadOffset`` bytes.
    ///   - header: As read from these bytes.
    ///   - offload: What the kernel left to do.
    /// - Throws: `truncated` when the headers are not all there.
    @_lifetime(copy bytes)
    public init(
        _ bytes: consuming MutableRawSpan,
        header: PacketHeader,
        offload: Offload = .none
    ) throws(PacketError) {
        guard bytes.byteCount >= header.payloadOffset else {
            throw .truncated(available: bytes.byteCount, need: header.payloadOffset)
        }
        self.header = header
        isPartial = offload.needsChecksum && offload.checksumStart == header.transportOffset
        self.bytes = bytes
    }

    /// Reads the header first; `bytes` are the whole packet.
    @_lifetime(copy bytes)
    public init(_ bytes: consuming MutableRawSpan) throws(PacketError) {
        let header = try PacketHeader(bytes.bytes)
        try self.init(bytes, header: header)
    }

    private var isIPv4: Bool {
        switch header.family {
        case .ipv4: true
        case .ipv6: false
        }
    }
}

// MARK: - Addresses and ports

extension MutablePacket {
    /// Replaces the source address, and the source port (echo request: the identifier) where one is
    /// given and the packet has one.
    ///
    /// - Returns: False when the address is of the other family.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func setSource(_ address: IPAddress, port: UInt16? = nil) -> Bool {
        guard address.isIPv4 == isIPv4 else { return false }
        storeSource(address, port)
        applyChanges()
        return true
    }

    /// Replaces the destination address, and the destination port (echo reply: the identifier)
    /// where one is given and the packet has one.
    ///
    /// - Returns: False when the address is of the other family.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func setDestination(_ address: IPAddress, port: UInt16? = nil) -> Bool {
        guard address.isIPv4 == isIPv4 else { return false }
        storeDestination(address, port)
        applyChanges()
        return true
    }

    /// Replaces both ends at once, ports where the packet has them: cheaper than one by one.
    ///
    /// - Returns: False when an address is of the other family.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func setFlow(from source: Endpoint, to destination: Endpoint) -> Bool {
        guard source.address.isIPv4 == isIPv4, destination.address.isIPv4 == isIPv4 else {
            return false
        }
        storeSource(source.address, source.port)
        storeDestination(destination.address, destination.port)
        applyChanges()
        return true
    }

    @_lifetime(self: copy self)
    private mutating func storeSource(_ address: IPAddress, _ port: UInt16?) {
        storeAddress(address, over: header.source, at: isIPv4 ? 12 : 8)
        header.source = address
        if let port, let offset = sourcePortOffset {
            storePort(port, over: header.sourcePort, at: offset)
            header.sourcePort = port
        }
    }

    @_lifetime(self: copy self)
    private mutating func storeDestination(_ address: IPAddress, _ port: UInt16?) {
        storeAddress(address, over: header.destination, at: isIPv4 ? 16 : 24)
        header.destination = address
        if let port, let offset = destinationPortOffset {
            storePort(port, over: header.destinationPort, at: offset)
            header.destinationPort = port
        }
    }

    private var sourcePortOffset: Int? {
        if header.isTCP || header.isUDP { return header.transportOffset }
        return header.isEchoRequest ? header.transportOffset + 4 : nil
    }

    private var destinationPortOffset: Int? {
        if header.isTCP || header.isUDP { return header.transportOffset + 2 }
        return header.isEchoReply ? header.transportOffset + 4 : nil
    }

    @_lifetime(self: copy self)
    private mutating func storeAddress(_ new: IPAddress, over old: IPAddress, at offset: Int) {
        if isIPv4 {
            bytes.store(new.ipv4, at: offset)
            ipChange.replace(old, with: new)
        } else {
            bytes.store(new.high, at: offset)
            bytes.store(new.low, at: offset + 8)
        }
        // ICMPv4 alone has no pseudo header.
        if !(isIPv4 && header.isICMP) { transportChange.replace(old, with: new) }
    }

    @_lifetime(self: copy self)
    private mutating func storePort(_ new: UInt16, over old: UInt16, at offset: Int) {
        bytes.store(new, at: offset)
        if !isPartial { transportChange.replace(old, with: new) }
    }
}

// MARK: - The IP header's other fields

extension MutablePacket {
    /// One hop less (RFC 1812 5.3.1, RFC 8200 3).
    ///
    /// - Returns: False when none is left: the packet must not go on, and stays as it is.
    @_lifetime(self: copy self)
    public mutating func decrementHopLimit() -> Bool {
        guard header.hopLimit > 1 else { return false }
        let new = header.hopLimit - 1
        if isIPv4 {
            let transport = UInt16(header.transportProtocol.rawValue)
            ipChange.replace(
                UInt16(header.hopLimit) << 8 | transport,
                with: UInt16(new) << 8 | transport
            )
            bytes.store(new, at: 8)
        } else {
            bytes.store(new, at: 7)
        }
        header.hopLimit = new
        applyChanges()
        return true
    }

    /// Replaces DSCP and ECN.
    @_lifetime(self: copy self)
    public mutating func setTrafficClass(_ new: UInt8) {
        let word = bytes.bytes.uint16(at: 0)
        if isIPv4 {
            let changed = word & 0xff00 | UInt16(new)
            ipChange.replace(word, with: changed)
            bytes.store(changed, at: 0)
        } else {
            bytes.store(word & 0xf00f | UInt16(new) << 4, at: 0)
        }
        header.trafficClass = new
        applyChanges()
    }

    /// Replaces the lower two bits of the traffic class.
    @_lifetime(self: copy self)
    public mutating func setECN(_ ecn: UInt8) {
        setTrafficClass(header.trafficClass & 0xfc | ecn & 3)
    }

    /// Takes over what the network said about the outer packet of a tunnel (RFC 6040 4.2).
    ///
    /// - Returns: False when the packet must be dropped: congestion was marked on the outside, and
    ///   the sender inside would not understand it.
    @_lifetime(self: copy self)
    public mutating func takeOuterECN(_ outer: UInt8) -> Bool {
        switch (header.ecn, outer & 3) {
        case (0, 3): return false
        case (1, 3), (2, 3): setECN(3)
        case (2, 1): setECN(1)
        default: break
        }
        return true
    }
}

// MARK: - TCP

extension MutablePacket {
    /// Lowers the maximum segment size that a SYN offers (RFC 9293 3.7.1).
    ///
    /// - Returns: Whether it was lowered.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func clampMaximumSegmentSize(to max: UInt16) -> Bool {
        guard let offset = maximumSegmentSizeOffset else { return false }
        let old = bytes.bytes.uint16(at: offset)
        guard old > max else { return false }
        bytes.store(max, at: offset)
        if !isPartial {
            let isOdd = (offset - header.transportOffset) & 1 == 1
            transportChange.replace(
                isOdd ? old.byteSwapped : old,
                with: isOdd ? max.byteSwapped : max
            )
        }
        applyChanges()
        return true
    }

    /// Where the option's value lies in the packet, when it is a SYN that has one.
    private var maximumSegmentSizeOffset: Int? {
        guard header.isTCP, header.tcpFlags.contains(.syn) else { return nil }
        let start = header.transportOffset + TCPSegment.headerByteCount
        guard start < header.payloadOffset else { return nil }
        let options = bytes.bytes.extracting(start..<header.payloadOffset)
        return TCPSegment.maximumSegmentSizeOffset(in: options).map { start + $0 }
    }
}

// MARK: - Checksums

extension MutablePacket {
    /// Carries the collected changes into the checksum fields.
    @_lifetime(self: copy self)
    mutating func applyChanges() {
        let (ip, transport) = (ipChange, transportChange)
        (ipChange, transportChange) = (ChecksumChange(), ChecksumChange())
        if isIPv4 {
            let field = ip.applied(to: bytes.bytes.uint16(at: 10))
            bytes.store(field, at: 10)
        }
        if let offset = header.checksumOffset, offset + 2 <= bytes.byteCount {
            let field = changed(bytes.bytes.uint16(at: offset), by: transport)
            bytes.store(field, at: offset)
        }
    }

    private func changed(_ field: UInt16, by change: ChecksumChange) -> UInt16 {
        guard !isPartial else { return change.applied(toPartial: field) }
        switch header.transportProtocol {
        case .tcp, .icmpv6: return change.applied(to: field)
        // No checksum stays none (RFC 768).
        case .udp where field == 0: return 0
        // An ICMPv4 echo of zeros sums to 0: its field is 0xFFFF, and 0 would be wrong. Wherever
        // else the field would be 0, 0xFFFF is right too.
        default: return Checksum.nonZero(change.applied(to: field))
        }
    }
}
