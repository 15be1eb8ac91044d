internal import IP

extension FlowKey.Transport {
    /// The protocol of a packet that can belong to a flow; nil for every other.
    init?(of header: PacketHeader) {
        if header.isTCP {
            self = .tcp
        } else if header.isUDP {
            self = .udp
        } else if header.isEcho {
            self = .icmp
        } else {
            return nil
        }
    }
}

extension FlowKey {
    /// The key of a client's packet; nil when it cannot belong to a flow that the client began.
    init?(outbound header: PacketHeader) {
        guard let transport = Transport(of: header), !header.isEchoReply else { return nil }
        self.init(
            transport: transport,
            sourcePort: header.sourcePort,
            destination: header.destination,
            destinationPort: header.destinationPort
        )
    }

    /// The outside key of the flow that a resource's packet answers; nil when it answers none.
    init?(inbound header: PacketHeader) {
        guard let transport = Transport(of: header), !header.isEchoRequest else { return nil }
        self.init(
            transport: transport,
            sourcePort: header.destinationPort,
            destination: header.source,
            destinationPort: header.sourcePort
        )
    }
}

extension NATFlow {
    /// Whether packets pass as they are.
    var isUnchanged: Bool { outsidePort == inside.sourcePort && real == inside.destination }
}

extension PacketHeader {
    /// A TCP segment that asks for a connection.
    var isOpeningTCP: Bool { isTCP && tcpFlags.contains(.syn) && !tcpFlags.contains(.ack) }

    /// A TCP segment that belongs to a connection, which an ICMP error would not end.
    var isStrayTCP: Bool { isTCP && !tcpFlags.contains(.syn) }

    /// Whether it may be the first packet of a flow.
    var beginsFlow: Bool { isUDP || isEchoRequest || isOpeningTCP && !tcpFlags.contains(.rst) }

    /// The largest segment that fits the tunnel without options.
    var segmentSizeMax: UInt16 {
        UInt16(Gateway.Limits.tunnelByteCount - (source.isIPv4 ? 40 : 60))
    }
}
