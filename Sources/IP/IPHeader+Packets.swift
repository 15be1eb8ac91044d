public import Bytes

// Whole packets in arrays, for the control side and for tests: these allocate.
extension IPHeader {
    /// A TCP packet; `transportProtocol` is set, empty when the payload is too long.
    public func packet(_ tcp: TCPHeader, payload: [UInt8] = []) -> [UInt8] {
        var header = self
        header.transportProtocol = .tcp
        return header.packet(transportByteCount: tcp.byteCount, payload) { bytes in
            tcp.write(into: &bytes, under: header)
        }
    }

    /// A UDP packet; `transportProtocol` is set, empty when the payload is too long.
    public func packet(_ udp: UDPHeader, payload: [UInt8] = []) -> [UInt8] {
        var header = self
        header.transportProtocol = .udp
        return header.packet(transportByteCount: udp.byteCount, payload) { bytes in
            udp.write(into: &bytes, under: header)
        }
    }

    /// An ICMP packet; `transportProtocol` is set, empty when the body is too long.
    public func packet(_ icmp: ICMPHeader, body: [UInt8] = []) -> [UInt8] {
        var header = self
        header.transportProtocol = .icmp(family)
        return header.packet(transportByteCount: icmp.byteCount, body) { bytes in
            icmp.write(into: &bytes, under: header)
        }
    }

    /// A packet of any protocol; empty when the payload is too long.
    public func packet(payload: [UInt8]) -> [UInt8] {
        packet(transportByteCount: 0, payload) { _ in true }
    }

    private func packet(
        transportByteCount: Int,
        _ payload: [UInt8],
        _ writeTransport: (inout MutableRawSpan) -> Bool
    ) -> [UInt8] {
        let start = byteCount + transportByteCount
        let total = start + payload.count
        var block = Block(byteCount: total)
        var bytes = block.mutableBytes(0..<total)
        bytes.write(payload.rawSpan, at: start)
        guard write(into: &bytes, payloadByteCount: total - byteCount) else { return [] }
        var rest = block.mutableBytes(byteCount..<total)
        return writeTransport(&rest) ? block.bytes(0..<total).array : []
    }
}

extension UDPHeader {
    /// A whole datagram of our own between two endpoints of one family; empty when the payload is
    /// too long.
    public static func packet(
        from source: Endpoint,
        to destination: Endpoint,
        payload: [UInt8]
    ) -> [UInt8] {
        let ip = IPHeader(
            from: source.address,
            to: destination.address,
            transportProtocol: .udp,
            hopLimit: Refusal.Limits.hopLimit
        )
        let udp = UDPHeader(sourcePort: source.port, destinationPort: destination.port)
        return ip.packet(udp, payload: payload)
    }
}
