import Bytes
import IP
import SansIO
import Testing

@Suite("Segmenter")
struct SegmenterTests {
    /// A large packet as a kernel hands it over, and what to do with it.
    struct Large {
        var packet: [UInt8]
        var offload: Offload
    }

    static func segments(_ large: Large) throws -> [[UInt8]] {
        let segmenter = try Segmenter(large.packet.rawSpan, large.offload)
        var all: [[UInt8]] = []
        for index in 0..<segmenter.count {
            var block = Block(byteCount: 3 + segmenter.byteCountMax)
            var room = block.mutableBytes(0..<3 + segmenter.byteCountMax)
            let count = segmenter.write(index, into: &room, at: 3)
            #expect(count == segmenter.byteCount(of: index))
            all.append(block.bytes(3..<3 + count).array)
        }
        return all
    }

    static let payload = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    @Test("TCP: sequence, flags, identification, lengths and checksums are each segment's own")
    func tcp() throws {
        for family in IPFamily.allCases {
            let options: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
            let packet = Sample.tcp(
                family,
                flags: [.ack, .psh, .fin, .cwr, .ece],
                sequence: .max - 1000,
                options: options,
                payload: Self.payload
            )
            let segments = try Self.segments(try Large(packet, segmentByteCount: 1200))
            #expect(segments.map(\.count).count == 5)
            var joined: [UInt8] = []
            for (index, segment) in segments.enumerated() {
                #expect(try SlowChecksum.accepts(segment), "\(family) \(index)")
                let header = try PacketHeader(segment.rawSpan)
                #expect(header.totalByteCount == segment.count)
                #expect(header.sequence == UInt32.max - 1000 &+ UInt32(index * 1200))
                #expect(header.acknowledgment == 2000)
                let common: TCPFlags = [.ack, .ece]
                #expect(
                    header.tcpFlags
                        == common.union(index == 0 ? .cwr : index == 4 ? [.psh, .fin] : [])
                )
                #expect(header.identification == (family == .ipv4 ? 77 + UInt32(index) : 0))
                joined += segment[header.payloadOffset...]
            }
            #expect(joined == Self.payload)
        }
    }

    @Test("UDP: each datagram has its own length and checksum", arguments: IPFamily.allCases)
    func udp(_ family: IPFamily) throws {
        let packet = Sample.udp(family, payload: Self.payload)
        let segments = try Self.segments(try Large(packet, segmentByteCount: 1300))
        #expect(segments.count == 4)
        var joined: [UInt8] = []
        for segment in segments {
            #expect(try SlowChecksum.accepts(segment))
            let header = try PacketHeader(segment.rawSpan)
            #expect(segment.rawSpan.uint16(at: header.transportOffset + 6) != 0)
            joined += segment[header.payloadOffset...]
        }
        #expect(joined == Self.payload)
    }

    @Test("any size of segment and payload comes out whole and valid")
    func randomSizes() throws {
        var random = RandomSource(seed: 64)
        for seed in 0..<300 {
            let family = IPFamily.allCases.randomElement(using: &random) ?? .ipv4
            let payload = random.bytes(Int.random(in: 0...4000, using: &random))
            let packet =
                Bool.random(using: &random)
                ? Sample.udp(family, payload: payload)
                : Sample.tcp(family, flags: [.ack, .psh], payload: payload)
            let size = Int.random(in: 1...1500, using: &random)
            let segments = try Self.segments(try Large(packet, segmentByteCount: size))
            #expect(segments.count == max(1, (payload.count + size - 1) / size), "\(seed)")
            var joined: [UInt8] = []
            for segment in segments {
                #expect(try SlowChecksum.accepts(segment), "\(seed)")
                joined += segment[(try PacketHeader(segment.rawSpan).payloadOffset)...]
            }
            #expect(joined == payload, "\(seed)")
        }
    }

    @Test("a UDP segment whose checksum computes as zero carries all ones")
    func udpZero() throws {
        var packet = Sample.udp(.ipv4, payload: [0, 0] + Self.payload.prefix(8))
        let segment = try Self.segments(try Large(packet, segmentByteCount: 2))[0]
        (packet[28], packet[29]) = (segment[26], segment[27])
        let zero = try Self.segments(try Large(packet, segmentByteCount: 2))[0]
        #expect(zero[26..<28] == [0xff, 0xff])
        #expect(try SlowChecksum.accepts(zero))
    }

    @Test("a copy of the headers, rewritten, serves for all segments")
    func rewrittenHeaders() throws {
        let large = try Large(Sample.tcp(.ipv6, payload: Self.payload), segmentByteCount: 1000)
        let header = try PacketHeader(large.packet.rawSpan)
        let start = header.payloadOffset
        let headers = try rewriting(Array(large.packet[..<start])) { bytes in
            var packet = try MutablePacket(bytes, header: header, offload: large.offload)
            packet.setSource(Sample.other6, port: 9)
        }
        let segmenter = try Segmenter(
            headers: headers.rawSpan,
            payload: large.packet.rawSpan.extracting(start..<large.packet.count),
            large.offload,
            header: header
        )
        for index in 0..<segmenter.count {
            let segment = rewriting([UInt8](repeating: 0, count: segmenter.byteCount(of: index))) {
                var room = $0
                segmenter.write(index, into: &room)
            }
            #expect(try SlowChecksum.accepts(segment))
            #expect(
                try PacketHeader(segment.rawSpan).sourceEndpoint == Endpoint(Sample.other6, port: 9)
            )
        }
    }

    @Test("a lone packet passes unchanged, without its trailing bytes")
    func lone() throws {
        let packet = Sample.udp(.ipv6)
        var large = try Large(packet + [0, 0], segmentByteCount: 0)
        large.offload = .none
        #expect(try Self.segments(large) == [packet])
    }

    @Test(
        "a lone packet's partial checksum is completed",
        arguments: MutablePacketOffloadTests.cases
    )
    func completes(_ family: IPFamily, _ isTCP: Bool) throws {
        let (packet, _, offload) = try MutablePacketOffloadTests.sample(family, isTCP: isTCP)
        #expect(try !SlowChecksum.accepts(packet))
        #expect(try SlowChecksum.accepts(MutablePacketOffloadTests.completed(packet, offload)))
    }

    @Test("RFC 768: a completed UDP checksum that computes as zero is all ones")
    func completesZero() throws {
        let (original, header, offload) = try MutablePacketOffloadTests.sample(.ipv4, isTCP: false)
        var packet = original
        let completed = try MutablePacketOffloadTests.completed(packet, offload)
        let field = completed.rawSpan.uint16(at: 26)
        let old = packet.rawSpan.uint16(at: header.payloadOffset)
        let new = Checksum.fold(UInt64(old) + UInt64(field))
        packet[header.payloadOffset] = UInt8(new >> 8)
        packet[header.payloadOffset + 1] = UInt8(new & 0xff)
        let zero = try MutablePacketOffloadTests.completed(packet, offload)
        #expect(zero[26..<28] == [0xff, 0xff])
        #expect(try SlowChecksum.accepts(zero))
    }

    @Test("what cannot be cut has a typed error")
    func errors() throws {
        let tcp = Sample.tcp(.ipv4, payload: Self.payload)
        var large = try Large(tcp, segmentByteCount: 0)
        #expect(throws: SegmenterError.noSegmentSize) { try Self.segments(large) }
        large.offload.segmentByteCount = 100
        for kind: Offload.Segmentation in [.tcpIPv6, .udp] {
            large.offload.segmentation = kind
            #expect(throws: SegmenterError.wrongKind) { try Self.segments(large) }
        }
        large.offload.segmentation = .tcpIPv4
        large.packet[6] = 0x20
        #expect(throws: SegmenterError.wrongKind) { try Self.segments(large) }
        large.packet = [0x45]
        #expect(throws: SegmenterError.packet(.truncated(available: 1, need: 20))) {
            try Self.segments(large)
        }
        large = try Large(tcp, segmentByteCount: 0)
        large.offload.segmentation = .none
        large.offload.checksumStart = tcp.count - 1
        #expect(throws: SegmenterError.badChecksumPlace(start: tcp.count - 1, offset: 16)) {
            try Self.segments(large)
        }
    }

    @Test("no room, or no such segment: nothing is written")
    func noRoom() throws {
        let large = try Large(Sample.tcp(.ipv4, payload: Self.payload), segmentByteCount: 1000)
        let segmenter = try Segmenter(large.packet.rawSpan, large.offload)
        let (size, count) = (segmenter.byteCountMax, segmenter.count)
        for (index, room, offset) in [
            (0, size - 1, 0), (0, size, 1), (count, size, 0), (-1, size, 0), (0, size, -1),
        ] {
            let bytes = rewriting([UInt8](repeating: 7, count: room)) {
                var span = $0
                let written = segmenter.write(index, into: &span, at: offset)
                #expect(written == 0)
            }
            #expect(bytes == [UInt8](repeating: 7, count: room))
        }
    }
}

extension SegmenterTests.Large {
    init(_ packet: [UInt8], segmentByteCount: Int) throws {
        let header = try PacketHeader(packet.rawSpan)
        self.packet = packet
        offload = Offload(
            segmentation: header.isUDP ? .udp : header.family == .ipv4 ? .tcpIPv4 : .tcpIPv6,
            needsChecksum: true,
            checksumStart: header.transportOffset,
            checksumOffset: header.isUDP ? 6 : 16,
            headerByteCount: 0,
            segmentByteCount: segmentByteCount
        )
    }
}
