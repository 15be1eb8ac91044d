internal import Bytes
internal import IP

/// Whether a packet is as a kernel wants it, checksums included.
enum PacketCheck {
    /// What is wrong with it; nil when nothing is.
    static func problem(_ packet: [UInt8]) -> String? {
        guard let header = try? PacketHeader(packet.rawSpan) else { return "cannot be read" }
        guard header.totalByteCount == packet.count else { return "has a wrong length" }
        if header.family == .ipv4 {
            let sum = Checksum.sum(packet.rawSpan.extracting(0..<header.ipHeaderByteCount))
            guard sum == 0xffff else { return "has a wrong header checksum" }
        }
        guard header.checksumOffset != nil, !header.isFragment else { return nil }
        let transport = packet.rawSpan.extracting(header.transportOffset..<packet.count)
        var checksum = Checksum()
        if !(header.family == .ipv4 && header.isICMP) {
            checksum = Checksum(
                pseudoHeaderOf: header.transportProtocol,
                source: header.source,
                destination: header.destination,
                byteCount: transport.byteCount
            )
        }
        checksum.add(transport)
        return checksum.folded == 0xffff ? nil : "has a wrong transport checksum"
    }
}

/// What the payload of a probe says: who it is, and bytes that follow from that.
struct ProbePayload: Equatable {
    private static let magic: UInt64 = 0x6375_6c76_6572_7421
    static let byteCountMin = 16
    /// The number of what nobody with a right sent.
    static let stranger: UInt64 = .max

    let probe: UInt64
    let byteCount: Int

    var bytes: [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(byteCount)
        all.append(bigEndian: Self.magic)
        all.append(bigEndian: probe)
        var word = probe &* 0x9e37_79b9_7f4a_7c15
        while all.count < byteCount {
            word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            all.append(UInt8(truncatingIfNeeded: word >> 56))
        }
        return all
    }

    /// Reads a payload; nil when it is none of ours or damaged.
    static func read(_ bytes: [UInt8]) -> ProbePayload? {
        guard bytes.count >= byteCountMin, bytes.rawSpan.uint64(at: 0) == magic else { return nil }
        let payload = ProbePayload(probe: bytes.rawSpan.uint64(at: 8), byteCount: bytes.count)
        return payload.bytes == bytes ? payload : nil
    }

    init(probe: UInt64, byteCount: Int) {
        self.probe = probe
        self.byteCount = max(byteCount, Self.byteCountMin)
    }

    /// Whether a datagram shows what only the inside of the tunnel may know.
    static func shows(in datagram: [UInt8]) -> Bool {
        let pattern: [UInt8] = [0x63, 0x75, 0x6c, 0x76, 0x65, 0x72, 0x74, 0x21]
        guard datagram.count >= pattern.count else { return false }
        for start in 0...datagram.count - pattern.count where datagram[start] == pattern[0] {
            if datagram[start..<start + pattern.count].elementsEqual(pattern) { return true }
        }
        return false
    }
}
