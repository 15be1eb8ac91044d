internal import Bytes
internal import IP

/// Any bytes as a packet of the tunnel device: the first eight choose an offload, the rest are the
/// packet. Parsers, rewriting, refusals, segmentation and coalescing must not trap, and what they
/// write must read back as they say.
enum IPEntry {
    static func run(_ input: [UInt8]) {
        guard input.count > 8 else { return }
        let offload = Offload(
            segmentation: Offload.Segmentation(rawValue: input[0] & 3) ?? .none,
            needsChecksum: input[1] & 1 == 1,
            checksumStart: Int(input[2]),
            checksumOffset: Int(input[3]),
            headerByteCount: Int(input[4]),
            segmentByteCount: Int(input[5]) << 8 | Int(input[6])
        )
        let packet = Array(input[8...])
        readViews(packet)
        guard let header = try? PacketHeader(packet.rawSpan) else { return }
        refuse(packet, header)
        rewrite(packet, header, offload)
        cut(packet, offload)
        coalesce(packet, header, isUDP: input[7] & 1 == 1)
    }

    private static func readViews(_ packet: [UInt8]) {
        _ = try? PacketHeader(embedded: packet.rawSpan)
        _ = (try? IPv4Packet(packet.rawSpan))?.hasValidChecksum
        _ = (try? IPv6Packet(packet.rawSpan))?.payload.byteCount
        _ = (try? TCPSegment(packet.rawSpan))?.maximumSegmentSize
        _ = (try? UDPDatagram(packet.rawSpan))?.payload.byteCount
        _ = (try? ICMPMessage(packet.rawSpan))?.quotation(.ipv4).byteCount
    }

    private static func other(_ family: IPFamily) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: 0x6440_0001)
        case .ipv6: IPAddress(high: 0xfd00_2021_1111_0000, low: 1)
        }
    }

    /// An answer reads back, and is never answered itself.
    private static func refuse(_ packet: [UInt8], _ header: PacketHeader) {
        let source = other(header.family)
        let refusals: [Refusal] = [
            .hostUnreachable, .packetTooBig(maximumByteCount: 1280), .timeExceeded, .reset,
        ]
        for refusal in refusals {
            guard let answer = try? refusal.answer(to: packet.rawSpan, from: source) else {
                continue
            }
            precondition((try? PacketHeader(answer.rawSpan))?.destination == header.source)
            precondition((try? refusal.answer(to: answer.rawSpan, from: source)) == nil)
        }
    }

    /// The header that a rewrite promises is the one that the bytes have.
    private static func rewrite(_ packet: [UInt8], _ header: PacketHeader, _ offload: Offload) {
        let new = other(header.family)
        var block = Block(byteCount: packet.count)
        var bytes = block.mutableBytes(0..<packet.count)
        bytes.write(packet.rawSpan, at: 0)
        guard var mutable = try? MutablePacket(bytes, header: header, offload: offload) else {
            return
        }
        mutable.setFlow(from: Endpoint(new, port: 3), to: Endpoint(header.source, port: 4))
        _ = mutable.decrementHopLimit()
        _ = mutable.takeOuterECN(3)
        mutable.clampMaximumSegmentSize(to: 1200)
        mutable.setQuotedSource(new, port: 5)
        mutable.setQuotedDestination(new, port: 6)
        let promised = mutable.header
        precondition((try? PacketHeader(block.bytes(0..<packet.count))) == promised)
    }

    /// Every segment fits what was said of it.
    private static func cut(_ packet: [UInt8], _ offload: Offload) {
        guard let segmenter = try? Segmenter(packet.rawSpan, offload) else { return }
        var block = Block(byteCount: segmenter.byteCountMax)
        for index in 0..<min(segmenter.count, 100) {
            var room = block.mutableBytes(0..<segmenter.byteCountMax)
            let written = segmenter.write(index, into: &room)
            precondition(written == segmenter.byteCount(of: index))
        }
    }

    /// A packet twice, the second time as the segment that would follow.
    private static func coalesce(_ packet: [UInt8], _ header: PacketHeader, isUDP: Bool) {
        var outbox = Outbox(byteCount: 1 << 17)
        var coalescer = Coalescer(joinsUDP: isUDP)
        for _ in 0..<2 {
            var room = outbox.reserveTunnel(min(packet.count, 1 << 16))
            room.write(packet.rawSpan.extracting(first: room.byteCount), at: 0)
            coalescer.commit(byteCount: room.byteCount, header: nil, in: &outbox)
        }
        for index in 0..<outbox.tunnelPacketCount where outbox.tunnelPacket(index).offload != .none
        {
            let large = outbox.bytes(ofTunnelPacket: index)
            precondition((try? Segmenter(large, outbox.tunnelPacket(index).offload)) != nil)
        }
    }
}
