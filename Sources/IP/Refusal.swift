internal import Bytes

/// Why no answer may be made to a packet.
public enum RefusalError: Error, Hashable, Sendable {
    /// The packet cannot be read.
    case packet(PacketError)
    /// It is an ICMP error or redirect itself, or a TCP reset.
    case answersNothing
    /// It is a fragment other than the first; for a reset, any fragment.
    case fragment
    /// It went to many, or came from an address that is not of one host.
    case notUnicast
    /// A reset in answer to something that is not TCP.
    case notTCP
    /// The address to answer from is of the other family.
    case wrongFamily
    /// The buffer is too small.
    case noRoom(need: Int)

    /// A stable name for counters.
    public var label: String {
        switch self {
        case .packet(let error): error.label
        case .answersNothing: "answers_nothing"
        case .fragment: "fragment"
        case .notUnicast: "not_unicast"
        case .notTCP: "not_tcp"
        case .wrongFamily: "wrong_family"
        case .noRoom: "no_room"
        }
    }
}

/// What is said to the sender of a packet that goes no further: an ICMP error of the packet's
/// family, or a TCP reset.
///
/// No answer is made where RFC 1812 4.3.2.7 or RFC 4443 2.4 (e) forbid it. Rate limits (RFC 1812
/// 4.3.2.8, RFC 4443 2.4 f) are the caller's.
public enum Refusal: Hashable, Sendable {
    /// No way to the network: type 3 code 0, or type 1 code 0.
    case networkUnreachable
    /// The host does not answer: type 3 code 1, or type 1 code 3.
    case hostUnreachable
    /// Nobody takes the protocol: type 3 code 2, or (ICMPv6 has none) type 1 code 4.
    case protocolUnreachable
    /// Nobody takes the port: type 3 code 3, or type 1 code 4.
    case portUnreachable
    /// A rule forbids it: type 3 code 13, or type 1 code 1.
    case prohibited
    /// The next link carries packets up to `maximumByteCount`: type 3 code 4 (RFC 1191), or type 2.
    case packetTooBig(maximumByteCount: Int)
    /// No hop was left: type 11 code 0, or type 3 code 0.
    case timeExceeded
    /// Routes that senders name are not followed: type 3 code 5, or type 4 code 0 (RFC 8200 4.4)
    /// with where the packet has it.
    case sourceRouteFailed(pointer: Int)
    /// The TCP connection does not exist (RFC 9293 3.5.2); comes from the packet's destination.
    case reset

    /// Bounds of an answer.
    public enum Limits {
        /// An ICMPv4 error as a whole (RFC 1812 4.3.2.3).
        public static var ipv4ByteCount: Int { 576 }
        /// An ICMPv6 error as a whole: the minimum MTU (RFC 4443 2.4 c).
        public static var ipv6ByteCount: Int { 1280 }
        /// Any answer: room to reserve.
        public static var byteCount: Int { 1280 }
        /// Hop limit of an answer.
        public static var hopLimit: UInt8 { 64 }
    }

    /// Writes the answer to the start of `bytes`.
    ///
    /// - Parameters:
    ///   - packet: The packet that goes no further; only its headers and what is quoted are needed.
    ///   - header: As read from `packet`; it is read here when not given.
    ///   - source: Whom an ICMP error comes from; a reset comes from the packet's destination.
    ///   - bytes: At least ``Limits/byteCount`` bytes hold any answer.
    /// - Returns: Bytes of the answer.
    /// - Throws: Why no answer may be made.
    @_lifetime(bytes: copy bytes)
    public func write(
        answering packet: RawSpan,
        header: PacketHeader? = nil,
        from source: IPAddress,
        into bytes: inout MutableRawSpan
    ) throws(RefusalError) -> Int {
        let header = if let header { header } else { try Self.read(packet) }
        try check(header)
        if self == .reset { return try writeReset(header, into: &bytes) }
        guard source.isIPv4 == header.source.isIPv4 else { throw .wrongFamily }
        return try writeError(packet, header, from: source, into: &bytes)
    }

    /// The answer as an array, for the control side and for tests; allocates.
    public func answer(
        to packet: RawSpan,
        from source: IPAddress
    ) throws(RefusalError) -> [UInt8] {
        var block = Block(byteCount: Limits.byteCount)
        var bytes = block.mutableBytes(0..<Limits.byteCount)
        let count = try write(answering: packet, from: source, into: &bytes)
        return block.bytes(0..<count).array
    }
}

// MARK: - Whether

extension Refusal {
    private static func read(_ packet: RawSpan) throws(RefusalError) -> PacketHeader {
        do { return try PacketHeader(packet) } catch { throw RefusalError.packet(error) }
    }

    private func check(_ header: PacketHeader) throws(RefusalError) {
        if header.isICMPError { throw .answersNothing }
        if self == .reset {
            guard !header.isFragment else { throw .fragment }
            guard header.isTCP else { throw .notTCP }
            if header.tcpFlags.contains(.rst) { throw .answersNothing }
        }
        guard !header.isLaterFragment else { throw .fragment }
        guard Self.isHost(header.source) else { throw .notUnicast }
        // Path MTU discovery works for multicast in IPv6 (RFC 4443 2.4 e.3).
        if case .packetTooBig = self, !header.source.isIPv4 { return }
        guard !header.destination.isMulticast, !header.destination.isBroadcast else {
            throw .notUnicast
        }
    }

    /// Whether the address is of one host that an answer can reach.
    private static func isHost(_ address: IPAddress) -> Bool {
        guard address.isIPv4 else { return !address.isMulticast && !address.isUnspecified }
        // Network zero, loopback, and everything from multicast up (RFC 1812 4.3.2.7, 4.2.2.11).
        let first = address.ipv4 >> 24
        return first != 0 && first != 127 && first < 224
    }
}

// MARK: - ICMP

extension Refusal {
    private func icmpHeader(_ family: IPFamily) -> ICMPHeader {
        switch family {
        case .ipv4: icmpv4Header
        case .ipv6: icmpv6Header
        }
    }

    /// RFC 792, RFC 1191 4, RFC 1812 5.2.7.1. A reset has none; it never comes here.
    private var icmpv4Header: ICMPHeader {
        let type = ICMPType.unreachable(.ipv4)
        return switch self {
        case .networkUnreachable: ICMPHeader(type: type, code: 0)
        case .hostUnreachable: ICMPHeader(type: type, code: 1)
        case .protocolUnreachable: ICMPHeader(type: type, code: 2)
        case .portUnreachable, .reset: ICMPHeader(type: type, code: 3)
        case .prohibited: ICMPHeader(type: type, code: 13)
        case .packetTooBig(let size):
            ICMPHeader(type: type, code: 4, word: UInt32(UInt16(clamping: size)))
        case .timeExceeded: ICMPHeader(type: ICMPType.timeExceeded(.ipv4))
        case .sourceRouteFailed: ICMPHeader(type: type, code: 5)
        }
    }

    /// RFC 4443 3.1 to 3.3. A reset has none; it never comes here.
    private var icmpv6Header: ICMPHeader {
        let type = ICMPType.unreachable(.ipv6)
        return switch self {
        case .networkUnreachable: ICMPHeader(type: type, code: 0)
        case .prohibited: ICMPHeader(type: type, code: 1)
        case .hostUnreachable: ICMPHeader(type: type, code: 3)
        case .protocolUnreachable, .portUnreachable, .reset: ICMPHeader(type: type, code: 4)
        case .packetTooBig(let size):
            ICMPHeader(type: ICMPType.packetTooBig, word: UInt32(clamping: size))
        case .timeExceeded: ICMPHeader(type: ICMPType.timeExceeded(.ipv6))
        case .sourceRouteFailed(let pointer):
            ICMPHeader(type: ICMPType.parameterProblem(.ipv6), word: UInt32(clamping: pointer))
        }
    }

    /// RFC 792, RFC 1812 4.3.2; RFC 4443 3.
    @_lifetime(bytes: copy bytes)
    private func writeError(
        _ packet: RawSpan,
        _ header: PacketHeader,
        from source: IPAddress,
        into bytes: inout MutableRawSpan
    ) throws(RefusalError) -> Int {
        let isIPv4 = header.source.isIPv4
        let ip = IPHeader(
            from: source,
            to: header.source,
            transportProtocol: .icmp(header.family),
            hopLimit: Limits.hopLimit,
            // Internetwork control (RFC 1812 4.3.2.5).
            trafficClass: isIPv4 ? 0xc0 : 0
        )
        let icmp = icmpHeader(header.family)
        let start = ip.byteCount + icmp.byteCount
        let quotedMax = (isIPv4 ? Limits.ipv4ByteCount : Limits.ipv6ByteCount) - start
        let quoted = min(header.totalByteCount, packet.byteCount, quotedMax)
        guard start + quoted <= bytes.byteCount else { throw .noRoom(need: start + quoted) }
        bytes.write(packet.extracting(first: quoted), at: start)
        _ = ip.write(into: &bytes, payloadByteCount: icmp.byteCount + quoted)
        var message = bytes._mutatingExtracting(ip.byteCount..<start + quoted)
        _ = icmp.write(into: &message, under: ip)
        return start + quoted
    }
}

// MARK: - TCP reset

extension Refusal {
    /// RFC 9293 3.10.7.1.
    @_lifetime(bytes: copy bytes)
    private func writeReset(
        _ header: PacketHeader,
        into bytes: inout MutableRawSpan
    ) throws(RefusalError) -> Int {
        let ip = IPHeader(
            from: header.destination,
            to: header.source,
            transportProtocol: .tcp,
            hopLimit: Limits.hopLimit
        )
        var tcp = TCPHeader(
            sourcePort: header.destinationPort,
            destinationPort: header.sourcePort,
            window: 0
        )
        if header.tcpFlags.contains(.ack) {
            tcp.flags = .rst
            tcp.sequence = header.acknowledgment
        } else {
            tcp.flags = [.rst, .ack]
            tcp.acknowledgment = header.sequence &+ Self.segmentLength(header)
        }
        let total = ip.byteCount + tcp.byteCount
        guard total <= bytes.byteCount else { throw .noRoom(need: total) }
        _ = ip.write(into: &bytes, payloadByteCount: tcp.byteCount)
        var segment = bytes._mutatingExtracting(ip.byteCount..<total)
        _ = tcp.write(into: &segment, under: ip)
        return total
    }

    /// SEG.LEN: SYN and FIN count one each (RFC 9293 3.4).
    private static func segmentLength(_ header: PacketHeader) -> UInt32 {
        UInt32(truncatingIfNeeded: header.payloadByteCount)
            + (header.tcpFlags.contains(.syn) ? 1 : 0)
            + (header.tcpFlags.contains(.fin) ? 1 : 0)
    }
}
