import Bytes
import IP
import SansIO
import Testing

/// Any bytes give a value or a typed error: these tests fail by a trap.
@Suite("Hostile bytes")
struct HostileBytesTests {
    static let rounds = 20_000

    @Test("random bytes never trap a parser, a rewrite, a refusal, a segmenter or a coalescer")
    func randomBytes() {
        var random = RandomSource(seed: 4)
        for _ in 0..<Self.rounds {
            var bytes = random.bytes(Int.random(in: 0...120, using: &random))
            if !bytes.isEmpty, Bool.random(using: &random) {
                bytes[0] = Bool.random(using: &random) ? 0x45 : 0x60
            }
            exercise(bytes, &random)
        }
    }

    @Test("packets with some bytes changed or cut off never trap either")
    func mutatedPackets() {
        var random = RandomSource(seed: 5)
        for _ in 0..<Self.rounds {
            var bytes = Sample.random(&random)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let offset = Int.random(in: 0..<min(bytes.count, 90), using: &random)
                bytes[offset] = UInt8(truncatingIfNeeded: random.next())
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            exercise(bytes, &random)
        }
    }

    private func exercise(_ bytes: [UInt8], _ random: inout RandomSource) {
        _ = try? PacketHeader(embedded: bytes.rawSpan)
        readViews(bytes)
        guard let header = try? PacketHeader(bytes.rawSpan) else { return }
        for refusal: Refusal in [.portUnreachable, .packetTooBig(maximumByteCount: 1280), .reset] {
            _ = try? refusal.answer(to: bytes.rawSpan, from: Sample.other(header.family))
        }
        let offload = Self.offload(&random)
        rewrite(bytes, header, offload)
        cut(bytes, offload)
        var outbox = Outbox(byteCount: 4096)
        var coalescer = Coalescer(joinsUDP: true)
        for _ in 0..<2 {
            var room = outbox.reserveTunnel(bytes.count)
            room.write(bytes.rawSpan, at: 0)
            coalescer.commit(byteCount: bytes.count, in: &outbox)
        }
    }

    private func readViews(_ bytes: [UInt8]) {
        if let packet = try? IPv4Packet(bytes.rawSpan) {
            _ = (packet.options.byteCount, packet.payload.byteCount, packet.hasValidChecksum)
        }
        if let packet = try? IPv6Packet(bytes.rawSpan) { _ = packet.payload.byteCount }
        if let segment = try? TCPSegment(bytes.rawSpan) {
            _ = (segment.options.byteCount, segment.payload.byteCount, segment.maximumSegmentSize)
        }
        if let datagram = try? UDPDatagram(bytes.rawSpan) { _ = datagram.payload.byteCount }
        if let message = try? ICMPMessage(bytes.rawSpan) {
            _ = (message.quotation(.ipv4).byteCount, message.quotation(.ipv6).byteCount)
        }
    }

    private func rewrite(_ bytes: [UInt8], _ header: PacketHeader, _ offload: Offload) {
        let (new, family) = (Sample.other(header.family), header.family)
        _ = rewriting(bytes) { span in
            guard var packet = try? MutablePacket(span, header: header, offload: offload) else {
                return
            }
            packet.setSource(new, port: 1)
            packet.setDestination(new, port: 2)
            packet.setFlow(from: Endpoint(new, port: 3), to: Endpoint(new, port: 4))
            _ = packet.decrementHopLimit()
            _ = packet.takeOuterECN(3)
            packet.clampMaximumSegmentSize(to: 1200)
            packet.setQuotedSource(new, port: 5)
            packet.setQuotedDestination(Sample.server(family), port: 6)
        }
    }

    private func cut(_ bytes: [UInt8], _ offload: Offload) {
        guard let segmenter = try? Segmenter(bytes.rawSpan, offload) else { return }
        var block = Block(byteCount: 200)
        var room = block.mutableBytes(0..<200)
        for index in -1...min(segmenter.count, 5) { segmenter.write(index, into: &room, at: 7) }
    }

    private static func offload(_ random: inout RandomSource) -> Offload {
        Offload(
            segmentation: Offload.Segmentation(rawValue: UInt8.random(in: 0...3, using: &random))
                ?? .none,
            needsChecksum: Bool.random(using: &random),
            checksumStart: [20, 40, -1, .max, 0].randomElement(using: &random) ?? 0,
            checksumOffset: [6, 16, -1, .max, 0].randomElement(using: &random) ?? 0,
            headerByteCount: Int.random(in: -1...100, using: &random),
            segmentByteCount: [0, 1, 50, .max, -5].randomElement(using: &random) ?? 0
        )
    }
}
