public import Bytes

extension PacketHeader {
    /// The header of this packet once another IP header stands before its transport header.
    ///
    /// What is not named stays. Ports are taken where the packet has them, as
    /// ``MutablePacket/setFlow(from:to:)`` does.
    ///
    /// - Parameters:
    ///   - source: The new source; its family becomes the packet's.
    ///   - destination: The new destination.
    ///   - hopLimit: The new time to live.
    ///   - transportProtocol: What is carried, as the new family spells it.
    ///   - icmpType: The type of an ICMP message, as the new family spells it.
    ///   - identification: As ``identification``.
    ///   - dontFragment: As ``dontFragment``.
    ///   - transportOffset: Bytes of the new IP header with its extension headers.
    /// - Returns: What ``init(_:)`` reads from the new packet.
    public func rewritten(
        from source: Endpoint,
        to destination: Endpoint,
        hopLimit: UInt8,
        transportProtocol: TransportProtocol,
        icmpType: UInt8,
        identification: UInt32,
        dontFragment: Bool,
        transportOffset: Int
    ) -> PacketHeader {
        var new = self
        if isTCP || isUDP || isEchoRequest { new.sourcePort = source.port }
        if isTCP || isUDP || isEchoReply { new.destinationPort = destination.port }
        (new.source, new.destination) = (source.address, destination.address)
        new.family = new.source.family
        new.hopLimit = hopLimit
        new.transportProtocol = transportProtocol
        new.icmpType = icmpType
        new.identification = identification
        new.dontFragment = dontFragment
        let shift = transportOffset - self.transportOffset
        new.total = UInt32(truncatingIfNeeded: totalByteCount + shift)
        new.transport = UInt16(truncatingIfNeeded: transportOffset)
        new.payload = UInt16(truncatingIfNeeded: payloadOffset + shift)
        return new
    }

    /// The header of a piece of this packet.
    ///
    /// - Parameters:
    ///   - range: Which bytes behind the IP header it carries; begins at a multiple of 8.
    ///   - isLast: Whether none of this packet follows; more may follow of the whole that this
    ///     packet is itself a piece of.
    /// - Returns: What ``init(_:)`` reads from the piece.
    public func piece(_ range: Range<Int>, isLast: Bool) -> PacketHeader {
        var new = self
        new.fragmentUnits += UInt16(truncatingIfNeeded: range.lowerBound / 8)
        new.moreFragments = moreFragments || !isLast
        new.total = UInt32(truncatingIfNeeded: transportOffset + range.count)
        guard range.lowerBound > 0 else { return new }
        new.payload = transport
        new.hasTransportHeader = false
        (new.sourcePort, new.destinationPort) = (0, 0)
        new.tcpFlags = TCPFlags()
        (new.sequence, new.acknowledgment) = (0, 0)
        (new.icmpType, new.icmpCode) = (0, 0)
        return new
    }
}
