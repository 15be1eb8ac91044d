import Bytes
import IP
import Testing

@testable import Translation

@Suite("Large packets and checksums that are left to be completed")
struct OffloadTests {
    private func offload(
        _ header: PacketHeader,
        _ kind: Offload.Segmentation,
        _ segment: Int
    ) throws -> Offload {
        Offload(
            segmentation: kind,
            needsChecksum: true,
            checksumStart: header.transportOffset,
            checksumOffset: try #require(header.checksumOffset) - header.transportOffset,
            headerByteCount: header.payloadOffset,
            segmentByteCount: segment
        )
    }

    /// The packet with the pseudo header's sum in its checksum field, as kernels leave it.
    private func partial(_ packet: [UInt8]) throws -> [UInt8] {
        let header = try PacketHeader(packet.rawSpan)
        let sum = Checksum(
            pseudoHeaderOf: header.transportProtocol,
            source: header.source,
            destination: header.destination,
            byteCount: header.totalByteCount - header.transportOffset
        ).folded
        var packet = packet
        let field = try #require(header.checksumOffset)
        (packet[field], packet[field + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        return packet
    }

    private func segments(_ result: Bench.Result) throws -> [[UInt8]] {
        let headers = result.packet.rawSpan.extracting(
            first: result.translated.header.payloadOffset
        )
        let payload = result.packet.rawSpan.extracting(droppingFirst: headers.byteCount)
        let segmenter = try Segmenter(
            headers: headers,
            payload: payload,
            result.translated.offload,
            header: result.translated.header
        )
        var block = Block(byteCount: segmenter.byteCountMax)
        var segments: [[UInt8]] = []
        for index in 0..<segmenter.count {
            var bytes = block.mutableBytes(0..<segmenter.byteCountMax)
            let count = segmenter.write(index, into: &bytes)
            segments.append(block.bytes(0..<count).array)
        }
        return segments
    }

    @Test("a lone packet's partial checksum goes over", arguments: [IPFamily.ipv4, .ipv6])
    func lone(family: IPFamily) throws {
        for whole in [Sample.tcp(family, 500), Sample.udp(family, 501)] {
            var bench = Bench()
            let packet = try partial(whole)
            let header = try PacketHeader(packet.rawSpan)
            let result = try bench.translate(packet, offload: try offload(header, .none, 0))
            #expect(result.translated.offload.checksumStart == (family == .ipv4 ? 40 : 20))
            let completed = try segments(result)[0]
            #expect(try FullCheck.accepts(completed))
        }
    }

    @Test("a large packet is cut as its segments would be", arguments: [IPFamily.ipv4, .ipv6])
    func large(family: IPFamily) throws {
        for (isTCP, count) in [(true, 60_000), (true, 65_475), (false, 30_000)] {
            var bench = Bench()
            let whole =
                isTCP
                ? Sample.tcp(family, family == .ipv4 ? count : min(count, 65_440))
                : Sample.udp(family, count)
            let packet = try partial(whole)
            let header = try PacketHeader(packet.rawSpan)
            let kind: Offload.Segmentation =
                isTCP ? (family == .ipv4 ? .tcpIPv4 : .tcpIPv6) : .udp
            let result = try bench.translate(packet, offload: try offload(header, kind, 1_200))
            #expect(result.translated.header.payloadByteCount == header.payloadByteCount)
            var joined: [UInt8] = []
            for segment in try segments(result) {
                #expect(try FullCheck.accepts(segment))
                let header = try PacketHeader(segment.rawSpan)
                #expect(header.family == family.other)
                joined += segment[header.payloadOffset...]
            }
            #expect(joined == Array(packet[header.payloadOffset...]))
        }
    }

    @Test("RFC 7915 4.1: the size of a large packet is that of its segments")
    func sizes() throws {
        var bench = Bench(limits: PathLimits(ipv6: 1_280))
        let packet = try partial(Sample.tcp(.ipv4, 20_000))
        let header = try PacketHeader(packet.rawSpan)
        let fits = try offload(header, .tcpIPv4, 1_220)
        #expect(try bench.translate(packet, offload: fits).translated.pieceByteCountMax == nil)
        let large = try offload(header, .tcpIPv4, 1_221)
        #expect(throws: TranslationError.tooBig(maximumByteCount: 1_260)) {
            try bench.translate(packet, offload: large)
        }
        let free = Sample.changed(packet) { $0[6] = 0 }
        #expect(throws: TranslationError.needsSegmenting) {
            try bench.translate(free, offload: large)
        }
    }

    @Test("RFC 7915 5.1: segments have identifications of their own")
    func identifications() throws {
        var bench = Bench()
        let packet = try partial(Sample.tcp(.ipv6, 12_000))
        let header = try PacketHeader(packet.rawSpan)
        let result = try bench.translate(packet, offload: try offload(header, .tcpIPv6, 1_200))
        let last = try segments(result)[9]
        let next = try bench(Sample.tcp(.ipv6))
        #expect(last.rawSpan.uint16(at: 4) &+ 1 == next.rawSpan.uint16(at: 4))
    }

    @Test("an offload that is not the packet's is refused")
    func wrong() throws {
        var bench = Bench()
        let packet = try partial(Sample.tcp(.ipv4, 5_000))
        let header = try PacketHeader(packet.rawSpan)
        let right = try offload(header, .tcpIPv4, 1_000)
        var wrong = [Offload](repeating: right, count: 5)
        wrong[0].checksumStart = 0
        wrong[1].checksumOffset = 4
        wrong[2].segmentation = .tcpIPv6
        wrong[3].segmentation = .udp
        wrong[4].segmentByteCount = 0
        for offload in wrong {
            #expect(throws: TranslationError.badOffload) {
                try bench.translate(packet, offload: offload)
            }
        }
    }
}
