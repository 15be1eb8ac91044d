import Bytes
import IP
import SansIO
import Testing

@testable import Translation

/// What a fragmenter makes, as whole packets.
enum Cutting {
    static func pieces(_ result: Bench.Result) throws -> [[UInt8]] {
        var block = Block(byteCount: Translator.Limits.headerByteCount)
        let offset = result.translated.header.payloadOffset
        let payload = result.packet.rawSpan.extracting(droppingFirst: offset)
        let fragmenter = try Fragmenter(
            headers: result.packet.rawSpan.extracting(first: offset),
            payload: payload,
            result.translated
        )
        return try (0..<fragmenter.count).map { index in
            var bytes = block.mutableBytes(0..<block.byteCount)
            let header = fragmenter.writeHeaders(index, into: &bytes)
            let piece = try #require(header)
            let part = payload.extracting(fragmenter.payloadRange(of: index)).array
            let packet = block.bytes(0..<piece.payloadOffset).array + part
            #expect(try PacketHeader(packet.rawSpan) == piece)
            return packet
        }
    }

    /// Joins pieces, in the order that they are given.
    static func join(_ pieces: [[UInt8]]) throws -> [UInt8]? {
        var reassembly = Reassembly()
        for piece in pieces {
            let header = try PacketHeader(piece.rawSpan)
            let outcome = reassembly.receive(
                piece.rawSpan,
                header: header,
                at: Instant(nanoseconds: 1)
            )
            if case .whole(let packet) = outcome { return packet }
        }
        return nil
    }
}

@Suite("Cutting what is too large")
struct FragmentTests {
    @Test("RFC 7915 4.1: pieces of 1,280 bytes at most, each with a fragment header")
    func toIPv6() throws {
        for count in [1_233, 1_472, 4_000, 65_507] {
            var bench = Bench()
            let packet = Sample.udp(.ipv4, count, dontFragment: false)
            let result = try bench.translate(packet)
            let pieces = try Cutting.pieces(result)
            #expect(pieces.allSatisfy { $0.count <= 1_280 && $0[6] == 44 })
            let headers = try pieces.map { try PacketHeader($0.rawSpan) }
            #expect(headers.allSatisfy { $0.identification == 0x1234 })
            #expect(headers.dropLast().allSatisfy { $0.moreFragments })
            #expect(headers.last?.moreFragments == false)
            guard count < 65_000 else { continue }
            let joined = try #require(try Cutting.join(pieces))
            let plain = [UInt8](joined[48...])
            #expect(plain == Array(result.packet[48...]))
            #expect(try FullCheck.accepts(joined))
        }
    }

    @Test("RFC 7915 4.1: a piece that becomes too large is cut again, its place kept")
    func again() throws {
        var bench = Bench()
        let whole = Sample.udp(.ipv4, 4_000, dontFragment: false)
        var all: [[UInt8]] = []
        for piece in Sample.pieces(whole, 1_480) {
            let result = try bench.translate(piece)
            all +=
                result.translated.pieceByteCountMax == nil
                ? [result.packet] : try Cutting.pieces(result)
        }
        #expect(all.count > 3 && all.allSatisfy { $0.count <= 1_280 })
        let joined = try #require(try Cutting.join(all.reversed()))
        #expect(try FullCheck.accepts(joined))
        #expect(Array(joined[48...].dropFirst(8)) == Array(whole[28...]))
    }

    @Test("RFC 791 3.2: towards IPv4, pieces of what the next hop carries")
    func toIPv4() throws {
        var bench = Bench(limits: PathLimits(ipv4: 576))
        let chain: [(UInt8, [UInt8])] = [(44, Sample.fragmentHeader(0, more: false, 0x4321))]
        for packet in [
            Sample.udp(.ipv6, 1_200), Sample.with(extensions: chain, Sample.tcp(.ipv6, 3_000)),
        ] {
            let result = try bench.translate(packet)
            let pieces = try Cutting.pieces(result)
            #expect(pieces.count > 2 && pieces.allSatisfy { $0.count <= 576 })
            for piece in pieces {
                #expect(FullCheck.sum(Array(piece[..<20])) == 0xffff)
            }
            let joined = try #require(try Cutting.join(pieces))
            #expect(joined == result.packet)
        }
    }

    @Test("a checksum that was left to be completed is complete in the first piece")
    func partial() throws {
        var bench = Bench()
        var packet = Sample.udp(.ipv4, 2_001, dontFragment: false)
        let header = try PacketHeader(packet.rawSpan)
        let sum = Checksum(
            pseudoHeaderOf: .udp,
            source: header.source,
            destination: header.destination,
            byteCount: 2_009
        ).folded
        (packet[26], packet[27]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        let offload = Offload(
            segmentation: .none,
            needsChecksum: true,
            checksumStart: 20,
            checksumOffset: 6,
            headerByteCount: 0,
            segmentByteCount: 0
        )
        let pieces = try Cutting.pieces(try bench.translate(packet, offload: offload))
        let joined = try #require(try Cutting.join(pieces))
        #expect(try FullCheck.accepts(joined))
    }

    @Test("what may not be cut is not")
    func refused() throws {
        var bench = Bench()
        let result = try bench.translate(Sample.udp(.ipv6, 1_400))
        let headers = result.packet.rawSpan.extracting(first: 28)
        let payload = result.packet.rawSpan.extracting(droppingFirst: 28)
        do {
            _ = try Fragmenter(headers: headers, payload: payload, result.translated)
            Issue.record("it was cut")
        } catch {
            #expect(error == .mayNotBeCut)
        }
    }
}
