import Bytes
import IP
import SansIO
import Testing

@Suite("Checksum")
struct ChecksumTests {
    @Test("RFC 1071 section 3: the example sums to ddf2")
    func example() {
        let bytes: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        #expect(Checksum.sum(bytes.rawSpan) == 0xddf2)
        var checksum = Checksum()
        checksum.add(bytes.rawSpan)
        #expect(checksum.field == 0x220d)
    }

    @Test("any length and any offset sum as the slow model does")
    func model() {
        var random = RandomSource(seed: 1071)
        let bytes = random.bytes(4096)
        for _ in 0..<2000 {
            let start = Int.random(in: 0...200, using: &random)
            let count = Int.random(in: 0...1500, using: &random)
            let part = Array(bytes[start..<start + count])
            let sum = Checksum.sum(bytes.rawSpan.extracting(start..<start + count))
            #expect(sum == SlowChecksum.sum(part), "\(start) \(count)")
        }
    }

    @Test("the longest packet of ones does not overflow")
    func ones() {
        let bytes = [UInt8](repeating: 0xff, count: 65_535)
        #expect(Checksum.sum(bytes.rawSpan) == SlowChecksum.sum(bytes))
    }

    @Test("RFC 1071 section 2 B: pieces of odd lengths sum as the whole")
    func pieces() {
        var random = RandomSource(seed: 2)
        for seed in 0..<500 {
            let bytes = random.bytes(Int.random(in: 0...200, using: &random))
            var checksum = Checksum()
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...rest.count, using: &random)
                checksum.add(Array(rest.prefix(count)).rawSpan)
                rest = rest.dropFirst(count)
            }
            #expect(checksum.folded == SlowChecksum.sum(bytes), "\(seed)")
        }
    }

    @Test("RFC 1624 section 4: 0x5555 becoming 0x3285 gives 0x0000, not 0xFFFF")
    func incrementalExample() {
        var change = ChecksumChange()
        change.replace(UInt16(0x5555), with: UInt16(0x3285))
        #expect(change.applied(to: 0xdd2f) == 0x0000)
    }

    @Test("RFC 1624 equation 3 gives what summing anew gives, but for the two zeros")
    func incremental() {
        var random = RandomSource(seed: 1624)
        for seed in 0..<2000 {
            var bytes = random.bytes(40)
            let field = ~SlowChecksum.sum(bytes)
            var change = ChecksumChange()
            let (old16, new16) = (Self.word(bytes, 2), UInt16(truncatingIfNeeded: random.next()))
            change.replace(old16, with: new16)
            Self.store(UInt64(new16), 2, into: &bytes, at: 2)
            let new32 = UInt32(truncatingIfNeeded: random.next())
            change.replace(bytes.rawSpan.uint32(at: 4), with: new32)
            Self.store(UInt64(new32), 4, into: &bytes, at: 4)
            let old = IPAddress(
                high: bytes.rawSpan.uint64(at: 8),
                low: bytes.rawSpan.uint64(at: 16)
            )
            let new = IPAddress(high: random.next(), low: random.next())
            change.replace(old, with: new)
            Self.store(new.high, 8, into: &bytes, at: 8)
            Self.store(new.low, 8, into: &bytes, at: 16)
            let (updated, anew) = (change.applied(to: field), ~SlowChecksum.sum(bytes))
            #expect(updated == anew, "\(seed)")
            #expect(change.applied(toPartial: ~field) == ~anew, "\(seed)")
        }
    }

    @Test("RFC 768: a UDP checksum that computes as zero is sent as all ones")
    func udpZero() {
        var checksum = Checksum(partial: 0xffff)
        #expect(checksum.field == 0)
        #expect(checksum.fieldForUDP == 0xffff)
        checksum.add(UInt16(1))
        #expect(checksum.fieldForUDP == 0xfffe)
    }

    @Test("the pseudo header sums addresses, protocol and length of both families")
    func pseudoHeader() {
        for family in IPFamily.allCases {
            let packet = Sample.udp(family)
            let sum = Checksum(
                pseudoHeaderOf: .udp,
                source: Sample.client(family),
                destination: Sample.server(family),
                byteCount: 11
            )
            let expected = SlowChecksum.sum(SlowChecksum.pseudoHeader(packet, 17, 11))
            #expect(sum.folded == expected)
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        bytes.rawSpan.uint16(at: offset)
    }

    private static func store(
        _ value: UInt64,
        _ count: Int,
        into bytes: inout [UInt8],
        at offset: Int
    ) {
        for index in 0..<count {
            bytes[offset + index] = UInt8(
                truncatingIfNeeded: value >> (8 * UInt64(count - 1 - index))
            )
        }
    }
}
