public import Bytes

/// All that a router needs to know of a packet, read in one pass and checked: the hot path's value.
///
/// Reading never traps. It checks lengths and structure, not checksums. Bytes after the packet's
/// total length are ignored. Offsets are from the packet's first byte.
public struct PacketHeader: Hashable, Sendable {
    /// Bounds of a packet's header.
    public enum Limits {
        /// IPv6 extension headers that are walked.
        public static var extensionHeaders: Int { 8 }
    }

    /// IPv4 or IPv6.
    public internal(set) var family = IPFamily.ipv4
    public internal(set) var source = IPAddress(ipv4: 0)
    public internal(set) var destination = IPAddress(ipv4: 0)
    /// What is carried, behind the extension headers.
    public internal(set) var transportProtocol = TransportProtocol(rawValue: 59)
    /// TCP, UDP: the source port. ICMP echo request: its identifier. Otherwise 0.
    public internal(set) var sourcePort: UInt16 = 0
    /// TCP, UDP: the destination port. ICMP echo reply: its identifier. Otherwise 0.
    public internal(set) var destinationPort: UInt16 = 0
    /// Time to live, or hop limit.
    public internal(set) var hopLimit: UInt8 = 0
    /// DSCP (6 bits) and ECN (2 bits).
    public internal(set) var trafficClass: UInt8 = 0
    /// IPv4: may not be fragmented on the way. IPv6 always behaves so and says true.
    public internal(set) var dontFragment = false
    /// Whether fragments follow this one.
    public internal(set) var moreFragments = false
    var fragmentUnits: UInt16 = 0
    /// IPv4 identification, or that of an IPv6 fragment header, else 0.
    public internal(set) var identification: UInt32 = 0
    /// TCP control bits.
    public internal(set) var tcpFlags = TCPFlags()
    /// TCP sequence number.
    public internal(set) var sequence: UInt32 = 0
    /// TCP acknowledgment number.
    public internal(set) var acknowledgment: UInt32 = 0
    /// ICMP type; means something with ``isICMP`` only.
    public internal(set) var icmpType: UInt8 = 0
    /// ICMP code; means something with ``isICMP`` only.
    public internal(set) var icmpCode: UInt8 = 0
    /// Whether ports, or an ICMP type, were there to read: not in later fragments, nor in protocols
    /// other than TCP, UDP and ICMP.
    public internal(set) var hasTransportHeader = false

    /// 32 bits: a large IPv4 packet that becomes IPv6 grows beyond 65,535 bytes.
    var total: UInt32 = 0
    var transport: UInt16 = 0
    var payload: UInt16 = 0

    /// Reads a whole packet.
    @inlinable public init(_ bytes: RawSpan) throws(PacketError) {
        try self.init(bytes, isEmbedded: false)
    }

    /// Reads the start of a packet, as an ICMP error quotes it: its length may exceed the bytes
    /// that are there, and eight bytes of TCP are enough (RFC 792).
    public init(embedded bytes: RawSpan) throws(PacketError) {
        try self.init(bytes, isEmbedded: true)
    }
}

// MARK: - What follows from the fields

extension PacketHeader {
    /// Bytes of the packet; what lies behind is not part of it.
    public var totalByteCount: Int { Int(total) }

    /// Where the transport header begins: bytes of IP header, options and extension headers.
    public var transportOffset: Int { Int(transport) }

    /// Where the payload begins: bytes of all headers. Equals ``transportOffset`` where the
    /// transport has no header that we read.
    public var payloadOffset: Int { Int(payload) }

    /// Bytes behind the headers.
    public var payloadByteCount: Int { Int(total) - Int(payload) }

    /// Bytes of the IP header without IPv6 extension headers (IPv4: with options).
    public var ipHeaderByteCount: Int { source.isIPv4 ? Int(transport) : 40 }

    /// Whether the packet is one part of several.
    public var isFragment: Bool { fragmentUnits != 0 || moreFragments }

    /// Whether it is a part other than the first: it has no ports.
    public var isLaterFragment: Bool { fragmentUnits != 0 }

    /// Where the fragment's bytes belong in the whole's payload.
    public var fragmentOffset: Int { Int(fragmentUnits) * 8 }

    /// The lower two bits of the traffic class (RFC 3168).
    public var ecn: UInt8 { trafficClass & 3 }

    public var isTCP: Bool { hasTransportHeader && transportProtocol == .tcp }

    public var isUDP: Bool { hasTransportHeader && transportProtocol == .udp }

    /// Whether it is ICMP of the packet's own family.
    public var isICMP: Bool {
        hasTransportHeader && transportProtocol == TransportProtocol.icmp(family)
    }

    /// Whether it is an ICMP echo request or reply.
    public var isEcho: Bool { isEchoRequest || isEchoReply }

    public var isEchoRequest: Bool { isICMP && icmpType == ICMPType.echoRequest(family) }

    public var isEchoReply: Bool { isICMP && icmpType == ICMPType.echoReply(family) }

    /// Whether it is an ICMP error or redirect: it quotes a packet, and must not be answered by an
    /// error (RFC 1122 3.2.2, RFC 4443 2.4 e).
    public var isICMPError: Bool { isICMP && ICMPType.isError(icmpType, family) }

    /// Where the transport's checksum field is; nil where there is none that we know.
    public var checksumOffset: Int? {
        guard hasTransportHeader else { return nil }
        switch transportProtocol {
        case .tcp: return transportOffset + 16
        case .udp: return transportOffset + 6
        default: return transportOffset + 2
        }
    }

    /// What a protocol's filter or a flow table compares: the packet's way, with ports.
    public var sourceEndpoint: Endpoint { Endpoint(source, port: sourcePort) }

    /// What a protocol's filter or a flow table compares: the packet's way, with ports.
    public var destinationEndpoint: Endpoint { Endpoint(destination, port: destinationPort) }
}
