internal import Bytes
internal import IP
internal import SansIO
internal import Translation

/// A stateless translator at one tunnel device, and nothing else: what the benchmark runs beside
/// tayga.
struct NAT64Machine: ~Copyable, PacketMachine {
    /// It is told nothing.
    enum Command: Sendable {}
    /// It asks nothing of its host.
    enum Output: Sendable {}

    private var translator: Translator
    private let maps: [(ipv4: IPAddress, ipv6: IPAddress)]
    private var headers = Block(byteCount: Translator.Limits.headerByteCount)

    /// - Parameters:
    ///   - maps: Addresses of both families for each host.
    ///   - random: Where identifications begin.
    init(maps: [(ipv4: IPAddress, ipv6: IPAddress)], random: inout RandomSource) {
        self.maps = maps
        translator = Translator(random: &random)
    }

    var nextDeadline: Instant? { nil }

    mutating func handle(_ command: Command, at now: Instant, into outbox: inout Outbox) {}

    mutating func advance(to now: Instant, into outbox: inout Outbox) {}

    mutating func pollOutput() -> Output? { nil }

    mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        var taken = 0
        for index in batch.indices {
            guard translate(batch, index, into: &outbox) else { break }
            taken += 1
        }
        return taken
    }

    /// Translates a packet; what cannot go on whole is dropped.
    ///
    /// - Returns: False when there is no room for it.
    private mutating func translate(
        _ batch: borrowing Batch,
        _ index: Int,
        into outbox: inout Outbox
    ) -> Bool {
        let packet = batch.bytes(of: index)
        guard let header = try? PacketHeader(packet), let source = counterpart(of: header.source),
            let destination = counterpart(of: header.destination)
        else { return true }
        let payload = packet.extracting(header.payloadOffset..<header.totalByteCount)
        let translated = try? Self.translate(
            packet,
            payload,
            header,
            batch[index].offload,
            from: Endpoint(source, port: header.sourcePort),
            to: Endpoint(destination, port: header.destinationPort),
            by: &translator,
            into: &headers
        )
        guard let translated, translated.pieceByteCountMax == nil else { return true }
        let headerByteCount = translated.header.payloadOffset
        let byteCount = headerByteCount + payload.byteCount
        guard byteCount <= Outbox.Limits.tunnelPacketByteCount else { return true }
        guard outbox.hasTunnelRoom(packets: 1, byteCount: byteCount) else { return false }
        var bytes = outbox.reserveTunnel(byteCount)
        bytes.write(headers.bytes(0..<headerByteCount), at: 0)
        bytes.write(payload, at: headerByteCount)
        outbox.commitTunnel(byteCount: byteCount, offload: translated.offload)
        return true
    }

    /// Writes the new headers into `headers`.
    private static func translate(
        _ packet: RawSpan,
        _ payload: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        from source: Endpoint,
        to destination: Endpoint,
        by translator: inout Translator,
        into headers: inout Block
    ) throws(TranslationError) -> TranslatedPacket {
        var room = headers.mutableBytes(0..<Translator.Limits.headerByteCount)
        return try translator.translate(
            headers: packet,
            payload: payload,
            header: header,
            offload: offload,
            from: source,
            to: destination,
            limits: PathLimits(),
            into: &room
        )
    }

    private func counterpart(of address: IPAddress) -> IPAddress? {
        for (ipv4, ipv6) in maps {
            if address == ipv4 { return ipv6 }
            if address == ipv6 { return ipv4 }
        }
        return nil
    }
}
