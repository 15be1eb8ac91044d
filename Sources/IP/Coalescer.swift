public import Bytes

/// Joins packets that follow each other in one flow into one large packet for the tunnel device, as
/// a network card's receive offload does (GRO).
///
/// A packet joins the last one of the outbox or is committed alone, so the order of packets never
/// changes and nothing is held back. It joins only where ``Segmenter`` would give back both byte
/// for byte: same headers but for what a segmenter counts up, contiguous, the packets before it
/// full, and both checksums right. It keeps no state about packets, so other code may commit in
/// between.
public struct Coalescer: Sendable {
    /// Bounds of joining.
    public enum Limits {
        /// Bytes of a large packet; the IPv4 total length is 16 bits.
        public static var byteCount: Int { 65_535 }
        /// Smallest payload of a full segment that is worth joining, in bytes.
        public static var segmentByteCountMin: Int { 64 }
        /// UDP_MAX_SEGMENTS of Linux before 6.9: datagrams in one packet.
        public static var datagrams: Int { 64 }
    }

    /// Whether the tunnel device takes large TCP packets (TSO).
    public var joinsTCP: Bool
    /// Whether the tunnel device takes large UDP packets (USO).
    public var joinsUDP: Bool
    /// Packets that joined another, since the start.
    public private(set) var joinedCount: UInt64 = 0

    public init(joinsTCP: Bool = true, joinsUDP: Bool = false) {
        self.joinsTCP = joinsTCP
        self.joinsUDP = joinsUDP
    }

    /// The first `byteCount` reserved bytes of the tunnel side, one whole packet with complete
    /// checksums, join the last packet or are committed alone.
    ///
    /// - Parameters:
    ///   - byteCount: Bytes of the packet.
    ///   - header: As read from the packet; it is read here when not given.
    ///   - outbox: Where the packet is reserved.
    /// - Returns: Whether the packet joined.
    @discardableResult
    public mutating func commit(
        byteCount: Int,
        header: PacketHeader? = nil,
        in outbox: inout Outbox
    ) -> Bool {
        guard let join = join(byteCount, header, outbox) else {
            outbox.commitTunnel(byteCount: byteCount, offload: .none)
            return false
        }
        outbox.joinLastTunnelPacket(payload: join.payload, offload: join.offload)
        var whole = outbox.lastTunnelPacketBytes()
        join.writeHeaders(&whole)
        joinedCount &+= 1
        return true
    }

    /// How the reserved packet joins the last one; nil when it does not.
    private func join(_ byteCount: Int, _ header: PacketHeader?, _ outbox: borrowing Outbox)
        -> Join?
    {
        guard outbox.tunnelPacketCount > 0 else { return nil }
        let reserved = outbox.peekReservedTunnelBytes()
        guard byteCount <= reserved.byteCount else { return nil }
        let packet = reserved.extracting(first: byteCount)
        guard let header = header ?? (try? PacketHeader(packet)), takes(header),
            header.totalByteCount == byteCount
        else { return nil }
        let index = outbox.tunnelPacketCount - 1
        let last = outbox.bytes(ofTunnelPacket: index)
        return Join(packet, header, to: last, outbox.tunnelPacket(index).offload)
    }

    private func takes(_ header: PacketHeader) -> Bool {
        guard header.transportOffset == (header.source.isIPv4 ? 20 : 40), !header.isFragment else {
            return false
        }
        if header.isTCP {
            let others: TCPFlags = [.syn, .rst, .urg, .cwr]
            return joinsTCP && header.tcpFlags.contains(.ack)
                && header.tcpFlags.isDisjoint(with: others)
        }
        return joinsUDP && header.isUDP
    }
}

/// One packet that joins the one before it.
private struct Join {
    /// The payload, in the packet.
    let payload: Range<Int>
    /// What the large packet needs.
    let offload: Offload
    private let isIPv4: Bool
    private let isTCP: Bool
    /// FIN and PSH of the packet, which the large packet takes over.
    private let flags: TCPFlags

    private enum Place {
        static let sequence = 4
        static let flags = 13
    }

    init?(_ packet: RawSpan, _ header: PacketHeader, to last: RawSpan, _ offload: Offload) {
        isIPv4 = header.source.isIPv4
        isTCP = header.isTCP
        flags = header.tcpFlags.intersection([.fin, .psh])
        payload = header.payloadOffset..<packet.byteCount
        let start = header.payloadOffset
        let kind: Offload.Segmentation = isTCP ? (isIPv4 ? .tcpIPv4 : .tcpIPv6) : .udp
        let held = last.byteCount - start
        let isFirst = offload == .none
        let segment = isFirst ? held : offload.segmentByteCount
        guard segment >= Coalescer.Limits.segmentByteCountMin, segment <= held,
            isFirst || offload.segmentation == kind, held % segment == 0,
            (1...segment).contains(payload.count),
            last.byteCount + payload.count <= Coalescer.Limits.byteCount,
            isTCP || held / segment < Coalescer.Limits.datagrams
        else { return nil }
        self.offload = Offload(
            segmentation: kind,
            needsChecksum: true,
            checksumStart: header.transportOffset,
            checksumOffset: isTCP ? 16 : 6,
            headerByteCount: start,
            segmentByteCount: segment
        )
        guard continues(packet, last, count: held / segment, held: held), isValid(packet),
            !isFirst || (hasLength(last) && isValid(last))
        else { return nil }
    }

    /// Whether the length fields of the packet before say what is there.
    private func hasLength(_ last: RawSpan) -> Bool {
        let total = isIPv4 ? Int(last.uint16(at: 2)) : 40 + Int(last.uint16(at: 4))
        let start = offload.checksumStart
        return total == last.byteCount
            && (isTCP || Int(last.uint16(at: start + 4)) == total - start)
    }

    /// Whether the headers are those that a segmenter would write next.
    private func continues(_ packet: RawSpan, _ last: RawSpan, count: Int, held: Int) -> Bool {
        guard isIPv4 ? continuesIPv4(packet, last, count) : continuesIPv6(packet, last) else {
            return false
        }
        let start = offload.checksumStart
        guard packet.uint32(at: start) == last.uint32(at: start) else { return false }
        guard isTCP else {
            return Int(packet.uint16(at: start + 4)) == packet.byteCount - start
        }
        let sequence = last.uint32(at: start + Place.sequence) &+ UInt32(truncatingIfNeeded: held)
        let lastFlags = TCPFlags(rawValue: last.byte(at: start + Place.flags))
        let packetFlags = TCPFlags(rawValue: packet.byte(at: start + Place.flags))
        guard packet.uint32(at: start + Place.sequence) == sequence,
            packet.uint32(at: start + 8) == last.uint32(at: start + 8),
            packet.byte(at: start + 12) == last.byte(at: start + 12),
            lastFlags == packetFlags.subtracting([.fin, .psh]),
            packet.uint16(at: start + 14) == last.uint16(at: start + 14),
            packet.uint16(at: start + 18) == last.uint16(at: start + 18)
        else { return false }
        // Options are whole words.
        for offset in stride(from: start + 20, to: offload.headerByteCount, by: 4) {
            guard packet.uint32(at: offset) == last.uint32(at: offset) else { return false }
        }
        return true
    }

    /// Version, traffic class, flags, hop limit, protocol and addresses; the identification counts.
    private func continuesIPv4(_ packet: RawSpan, _ last: RawSpan, _ count: Int) -> Bool {
        let identification = last.uint16(at: 4) &+ UInt16(truncatingIfNeeded: count)
        return packet.uint16(at: 0) == last.uint16(at: 0)
            && packet.uint16(at: 4) == identification
            && packet.uint32(at: 6) == last.uint32(at: 6)
            && packet.uint64(at: 12) == last.uint64(at: 12)
    }

    /// Version, traffic class, flow label, next header, hop limit and addresses.
    private func continuesIPv6(_ packet: RawSpan, _ last: RawSpan) -> Bool {
        packet.uint32(at: 0) == last.uint32(at: 0) && packet.uint16(at: 6) == last.uint16(at: 6)
            && packet.uint64(at: 8) == last.uint64(at: 8)
            && packet.uint64(at: 16) == last.uint64(at: 16)
            && packet.uint64(at: 24) == last.uint64(at: 24)
            && packet.uint64(at: 32) == last.uint64(at: 32)
    }

    /// Whether a whole packet's checksums are right; none (UDP) is not.
    private func isValid(_ packet: RawSpan) -> Bool {
        let start = offload.checksumStart
        guard !isIPv4 || Checksum.sum(packet.extracting(first: 20)) == 0xffff else { return false }
        guard isTCP || packet.uint16(at: start + offload.checksumOffset) != 0 else { return false }
        var sum = pseudoHeader(packet)
        sum.add(packet.extracting(droppingFirst: start))
        return sum.folded == 0xffff
    }

    private func pseudoHeader(_ packet: RawSpan) -> Checksum {
        var sum = Checksum()
        sum.add(packet.extracting(isIPv4 ? 12..<20 : 8..<40))
        sum.add(isTCP ? UInt16(6) : UInt16(17))
        sum.add(UInt16(truncatingIfNeeded: packet.byteCount - offload.checksumStart))
        return sum
    }

    /// The large packet's lengths, flags, IPv4 checksum and partial transport checksum.
    @_lifetime(whole: copy whole)
    func writeHeaders(_ whole: inout MutableRawSpan) {
        let start = offload.checksumStart
        let total = whole.byteCount
        if isIPv4 {
            whole.store(UInt16(total), at: 2)
            whole.store(UInt16(0), at: 10)
            whole.store(~Checksum.sum(whole.bytes.extracting(first: 20)), at: 10)
        } else {
            whole.store(UInt16(total - 40), at: 4)
        }
        if isTCP {
            let flags = flags.union(TCPFlags(rawValue: whole.bytes.byte(at: start + Place.flags)))
            whole.store(flags.rawValue, at: start + Place.flags)
        } else {
            whole.store(UInt16(total - start), at: start + 4)
        }
        let partial = pseudoHeader(whole.bytes).folded
        whole.store(partial, at: start + offload.checksumOffset)
    }
}
