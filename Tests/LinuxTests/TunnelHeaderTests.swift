internal import Bytes
internal import SansIO
internal import Testing

@testable internal import Linux

@Suite("The header of the tunnel device")
struct TunnelHeaderTests {
    static let large = Offload(
        segmentation: .tcpIPv4,
        needsChecksum: true,
        checksumStart: 20,
        checksumOffset: 16,
        headerByteCount: 52,
        segmentByteCount: 1_228
    )

    static func header(_ offload: Offload) -> [UInt8] {
        var words = InlineArray<5, UInt16>(repeating: 0)
        TunnelHeader.write(offload, to: &words)
        return (0..<5).flatMap { index in
            bytes(of: words[index])
        }
    }

    private static func bytes(of word: UInt16) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(native: word)
        return bytes
    }

    /// An IPv4 packet whose TCP header has 12 bytes of options.
    static let packet: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 5_000)
        bytes[0] = 0x45
        bytes[32] = 0x80
        return bytes
    }()

    @Test("what is written is read again, the header length taken from the packet")
    func roundTrip() {
        var written = Self.large
        // The kernel's own length is a hint, and may count payload.
        written.headerByteCount = 1_400
        for offload in [Offload.none, written] {
            let header = Self.header(offload)
            let read = TunnelHeader.offload(header.rawSpan, packet: Self.packet.rawSpan)
            #expect(read == (offload == .none ? Offload.none : Self.large))
        }
    }

    @Test(
        "a header that makes no sense is refused",
        arguments: [
            ("a type that does not exist", 1, 7), ("no segment size", 4, 0),
            ("a checksum outside the packet", 7, 0xff), ("a large packet without checksum", 0, 0),
        ]
    )
    func refused(what: String, at offset: Int, byte: UInt8) {
        var header = Self.header(Self.large)
        header[offset] = byte
        if offset == 4 { header[5] = 0 }
        #expect(TunnelHeader.offload(header.rawSpan, packet: Self.packet.rawSpan) == nil)
    }

    @Test("any bytes give an offload or nothing")
    func anything() {
        var random = Kernel.randomSource()
        for _ in 0..<2_000 {
            let header = random.bytes(TunnelHeader.byteCount)
            let packet = random.bytes(Int(random.next() % 80))
            let offload = TunnelHeader.offload(header.rawSpan, packet: packet.rawSpan)
            if let offload, offload.segmentation != .none {
                #expect(offload.headerByteCount < packet.count)
                #expect(offload.segmentByteCount > 0)
            }
        }
    }
}
