internal import Bytes
internal import IP
internal import Lab
internal import SansIO
internal import Translation

/// Our translator with tayga's addresses, so that both make the same of a packet: stateless, each
/// packet by itself but for pieces that must be joined.
struct TaygaTranslator {
    private var translator: Translator
    private var reassembly = Reassembly()
    private var now = Instant(nanoseconds: 0)
    private let limits = PathLimits(ipv4: Tayga.byteCountMax, ipv6: Tayga.byteCountMax)
    private let maps: [(IPAddress, IPAddress)]
    private let own: [IPAddress]
    private let prefix: IPAddress

    init() {
        var random = RandomSource(seed: 64)
        translator = Translator(random: &random)
        maps = Tayga.maps.compactMap { four, six in
            IPAddress(four).flatMap { four in IPAddress(six).map { (four, $0) } }
        }
        own = [Tayga.own.ipv4, Tayga.own.ipv6].compactMap { IPAddress($0) }
        prefix = IPAddress(Tayga.prefix) ?? IPAddress(high: 0, low: 0)
    }

    /// What comes out for a packet, and why nothing does.
    mutating func translate(_ packet: [UInt8]) -> (packets: [[UInt8]], reason: String) {
        now = now.advanced(by: .milliseconds(1))
        if let route = SourceRoute(packet.rawSpan) {
            return refuse(route.refusal, packet, route.header, "source_route")
        }
        let header: PacketHeader
        do { header = try PacketHeader(packet.rawSpan) } catch { return ([], error.label) }
        guard !reassembly.awaits(header, at: now) else { return join(packet, header) }
        do throws(TranslationError) {
            guard !header.isICMPError else { return (try translateError(packet, header), "") }
            return (try translate(packet, header), "")
        } catch .needsReassembly {
            return join(packet, header)
        } catch {
            guard let refusal = error.refusal else { return ([], error.label) }
            return refuse(refusal, packet, header, error.label)
        }
    }

    private mutating func join(
        _ packet: [UInt8],
        _ header: PacketHeader
    ) -> (packets: [[UInt8]], reason: String) {
        let outcome = reassembly.receive(packet.rawSpan, header: header, at: now)
        guard case .whole(let whole) = outcome else { return ([], "needs_reassembly") }
        return translate(whole)
    }

    private func refuse(
        _ refusal: IP.Refusal,
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ reason: String
    ) -> (packets: [[UInt8]], reason: String) {
        var block = Block(byteCount: IP.Refusal.Limits.byteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let count = try? refusal.write(
            answering: packet.rawSpan,
            header: header,
            from: own[header.family == .ipv4 ? 0 : 1],
            into: &bytes
        )
        return (count.map { [block.bytes(0..<$0).array] } ?? [], reason)
    }

    /// The address in the other family.
    private func counterpart(of address: IPAddress) throws(TranslationError) -> IPAddress {
        for (four, six) in maps {
            if four == address { return six }
            if six == address { return four }
        }
        if address.isIPv4 {
            return IPAddress(high: prefix.high, low: prefix.low | UInt64(address.ipv4))
        }
        guard address.high == prefix.high, address.low >> 32 == 0 else { throw .wrongFamily }
        return IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low))
    }

    private mutating func translate(
        _ packet: [UInt8],
        _ header: PacketHeader
    ) throws(TranslationError) -> [[UInt8]] {
        let payload = packet.rawSpan.extracting(header.payloadOffset..<header.totalByteCount)
        let source = try counterpart(of: header.source)
        let destination = try counterpart(of: header.destination)
        var block = Block(byteCount: Translator.Limits.headerByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let translated = try translator.translate(
            headers: packet.rawSpan,
            payload: payload,
            header: header,
            offload: .none,
            from: Endpoint(source, port: header.sourcePort),
            to: Endpoint(destination, port: header.destinationPort),
            limits: limits,
            into: &bytes
        )
        guard translated.pieceByteCountMax != nil else {
            return [block.bytes(0..<translated.header.payloadOffset).array + payload.array]
        }
        let headers = block.bytes(0..<translated.header.payloadOffset).array
        guard
            let fragmenter = try? Fragmenter(
                headers: headers.rawSpan,
                payload: payload,
                translated
            )
        else { throw .noRoom }
        var pieces: [[UInt8]] = []
        for index in 0..<fragmenter.count {
            var bytes = block.mutableBytes(0..<block.byteCount)
            guard let piece = fragmenter.writeHeaders(index, into: &bytes) else { throw .noRoom }
            let part = payload.extracting(fragmenter.payloadRange(of: index)).array
            pieces.append(block.bytes(0..<piece.payloadOffset).array + part)
        }
        return pieces
    }

    private mutating func translateError(
        _ packet: [UInt8],
        _ header: PacketHeader
    ) throws(TranslationError) -> [[UInt8]] {
        let quoted = Self.quoted(packet, header)
        let from = try counterpart(of: quoted?.source ?? header.destination)
        let to = try counterpart(of: quoted?.destination ?? header.source)
        var block = Block(byteCount: Translator.Limits.errorByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let count = try translator.translateError(
            packet.rawSpan,
            header: header,
            from: try counterpart(of: header.source),
            to: try counterpart(of: header.destination),
            quoting: Endpoint(from, port: quoted?.sourcePort ?? 0),
            and: Endpoint(to, port: quoted?.destinationPort ?? 0),
            limits: limits,
            into: &bytes
        )
        return [block.bytes(0..<count).array]
    }

    /// The header of the packet that an ICMP error quotes.
    private static func quoted(_ packet: [UInt8], _ header: PacketHeader) -> PacketHeader? {
        let content = packet.rawSpan.extracting(header.transportOffset..<header.totalByteCount)
        guard let message = try? ICMPMessage(content) else { return nil }
        return try? PacketHeader(embedded: message.quotation(header.family))
    }
}
