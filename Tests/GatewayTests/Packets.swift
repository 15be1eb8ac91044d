import Bytes
import IP

/// Addresses that the tests use.
enum Address {
    static func of(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }
    static let gateway = of("100.64.0.1")
    static let proxy1 = of("100.96.0.1")
    static let proxy2 = of("100.96.0.2")
    static let proxy6 = of("fd00:2021:1111:8000::1")
    static let real1 = of("10.1.0.10")
    static let real2 = of("10.1.0.11")
}

/// Packets as applications and resources send them.
enum Packet {
    static func tcp(
        from source: IPAddress,
        _ sourcePort: UInt16 = 40_000,
        to destination: IPAddress,
        _ port: UInt16 = 443,
        _ flags: TCPFlags = .syn,
        payload: [UInt8] = [],
        segmentSize: UInt16? = nil
    ) -> [UInt8] {
        var header = TCPHeader(sourcePort: sourcePort, destinationPort: port)
        header.flags = flags
        header.sequence = 1_000
        header.acknowledgment = flags.contains(.ack) ? 2_000 : 0
        if let segmentSize {
            header.options = [2, 4, UInt8(segmentSize >> 8), UInt8(segmentSize & 0xff)]
        }
        return IPHeader(from: source, to: destination).packet(header, payload: payload)
    }

    static func udp(
        from source: IPAddress,
        _ sourcePort: UInt16 = 40_000,
        to destination: IPAddress,
        _ port: UInt16 = 53,
        payload: [UInt8] = [1, 2, 3]
    ) -> [UInt8] {
        IPHeader(from: source, to: destination)
            .packet(UDPHeader(sourcePort: sourcePort, destinationPort: port), payload: payload)
    }

    static func ping(
        from source: IPAddress,
        to destination: IPAddress,
        id: UInt16 = 7,
        sequence: UInt16 = 1
    ) -> [UInt8] {
        IPHeader(from: source, to: destination).packet(
            ICMPHeader.echoRequest(source.family, identifier: id, sequence: sequence),
            body: [9, 9, 9, 9]
        )
    }

    static func pong(from source: IPAddress, to destination: IPAddress, id: UInt16) -> [UInt8] {
        IPHeader(from: source, to: destination).packet(
            ICMPHeader.echoReply(source.family, identifier: id, sequence: 1),
            body: [9, 9, 9, 9]
        )
    }

    /// An ICMP error about `packet`, to its sender.
    static func error(
        _ refusal: IP.Refusal = .portUnreachable,
        about packet: [UInt8],
        from source: IPAddress
    ) -> [UInt8] {
        (try? refusal.answer(to: packet.rawSpan, from: source)) ?? []
    }

    /// The header, when the packet can be read and its checksums are right.
    static func header(_ bytes: [UInt8]) -> PacketHeader? {
        guard let header = try? PacketHeader(bytes.rawSpan), hasRightChecksums(bytes, header) else {
            return nil
        }
        return header
    }

    /// The packet that an ICMP error quotes.
    static func quoted(_ bytes: [UInt8]) -> PacketHeader? {
        guard let header = header(bytes), header.isICMPError else { return nil }
        return try? PacketHeader(embedded: Array(bytes[header.payloadOffset...]).rawSpan)
    }

    static func hasRightChecksums(_ bytes: [UInt8], _ header: PacketHeader) -> Bool {
        if header.family == .ipv4 {
            let own = Array(bytes[..<header.ipHeaderByteCount])
            guard Checksum.sum(own.rawSpan) == 0xffff else { return false }
        }
        guard header.hasTransportHeader else { return true }
        let payload = Array(bytes[header.transportOffset..<header.totalByteCount])
        var sum = Checksum()
        if header.transportProtocol != .icmp {
            sum = Checksum(
                pseudoHeaderOf: header.transportProtocol,
                source: header.source,
                destination: header.destination,
                byteCount: payload.count
            )
        }
        sum.add(payload.rawSpan)
        return sum.folded == 0xffff
    }
}
