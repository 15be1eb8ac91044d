internal import Bytes
internal import IP
internal import SansIO
internal import Translation

/// Any bytes as packets that one side sends to the other family: a byte chooses limits and offload,
/// then packets follow, each behind its length in two bytes. What is translated must read as it was
/// promised and keep a checksum as right as it was; what is cut must be whole again when joined.
enum TranslationEntry {
    private static let four = (IPAddress(ipv4: 0xc000_020a), IPAddress(ipv4: 0xc633_6414))
    private static let six = (
        IPAddress(high: 0x2001_0db8_0001_0000, low: 0x10),
        IPAddress(high: 0x2001_0db8_0002_0000, low: 0x20)
    )

    static func run(_ input: [UInt8]) {
        guard let choice = input.first else { return }
        var random = RandomSource(seed: 1)
        var translator = Translator(random: &random)
        var reassembly = Reassembly()
        let limits = PathLimits(
            ipv4: choice & 1 == 0 ? 65_535 : 576,
            ipv6: choice & 2 == 0 ? 65_535 : 1_280
        )
        var rest = input.dropFirst()
        var now = Instant(nanoseconds: 0)
        while rest.count > 2 {
            let count = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            let packet = Array(rest.dropFirst(2).prefix(count))
            rest = rest.dropFirst(2 + packet.count)
            now = now.advanced(by: .milliseconds(Int64(choice) * 10))
            tryPacket(packet, choice, limits, &translator)
            join(packet, limits, &translator, &reassembly, at: now)
        }
        precondition(reassembly.count <= Reassembly.Limits.datagrams)
        reassembly.advance(to: now.advanced(by: Reassembly.Limits.patience))
        precondition(reassembly.count == 0)
    }

    private static func join(
        _ packet: [UInt8],
        _ limits: PathLimits,
        _ translator: inout Translator,
        _ reassembly: inout Reassembly,
        at now: Instant
    ) {
        guard let header = try? PacketHeader(packet.rawSpan) else { return }
        let outcome = reassembly.receive(packet.rawSpan, header: header, at: now)
        guard case .whole(let whole) = outcome else { return }
        guard let header = try? PacketHeader(whole.rawSpan) else { return }
        precondition(!header.isFragment && header.totalByteCount == whole.count)
        tryPacket(whole, 0, limits, &translator)
    }

    private static func tryPacket(
        _ packet: [UInt8],
        _ choice: UInt8,
        _ limits: PathLimits,
        _ translator: inout Translator
    ) {
        guard let header = try? PacketHeader(packet.rawSpan) else {
            _ = SourceRoute(packet.rawSpan)?.refusal
            return
        }
        let (from, to) = header.source.isIPv4 ? six : four
        tryError(packet, header, from, to, limits, &translator)
        let offload = offload(choice, header)
        let payload = packet.rawSpan.extracting(header.payloadOffset..<header.totalByteCount)
        var block = Block(byteCount: Translator.Limits.headerByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let translated = try? translator.translate(
            headers: packet.rawSpan,
            payload: payload,
            header: header,
            offload: offload,
            from: Endpoint(from, port: header.sourcePort ^ 1),
            to: Endpoint(to, port: header.destinationPort ^ 2),
            limits: limits,
            into: &bytes
        )
        guard let translated else { return }
        let written = block.bytes(0..<translated.header.payloadOffset).array
        precondition(translated.header.payloadByteCount == header.payloadByteCount)
        guard isPlain(header) else { return }
        let whole = written + payload.array
        if whole.count <= 0xffff {
            precondition((try? PacketHeader(whole.rawSpan)) == translated.header)
        }
        if offload == .none, !header.isFragment {
            precondition(isRight(whole) || !isRight(packet))
        }
        cut(written, payload.array, translated)
    }

    /// Whether the protocol means the same in both families.
    private static func isPlain(_ header: PacketHeader) -> Bool {
        header.isTCP || header.isUDP || header.isEcho
    }

    private static func offload(_ choice: UInt8, _ header: PacketHeader) -> Offload {
        guard choice & 4 != 0 else { return .none }
        var offload = Offload.none
        offload.needsChecksum = true
        offload.checksumStart = header.transportOffset
        offload.checksumOffset = (header.checksumOffset ?? 0) - header.transportOffset
        guard choice & 8 != 0 else { return offload }
        offload.segmentation = Offload.Segmentation(rawValue: choice >> 4 & 3) ?? .none
        offload.segmentByteCount = Int(choice >> 6) * 300
        return offload
    }

    private static func tryError(
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ from: IPAddress,
        _ to: IPAddress,
        _ limits: PathLimits,
        _ translator: inout Translator
    ) {
        var block = Block(byteCount: Translator.Limits.errorByteCount)
        var bytes = block.mutableBytes(0..<block.byteCount)
        let count = try? translator.translateError(
            packet.rawSpan,
            header: header,
            from: from,
            to: to,
            quoting: Endpoint(to, port: 3),
            and: Endpoint(from, port: 4),
            limits: limits,
            into: &bytes
        )
        guard let count else { return }
        precondition(isRight(block.bytes(0..<count).array))
    }

    /// Every piece reads as promised, and all of them carry all bytes once.
    private static func cut(_ headers: [UInt8], _ payload: [UInt8], _ packet: TranslatedPacket) {
        let fragmenter = try? Fragmenter(
            headers: headers.rawSpan,
            payload: payload.rawSpan,
            packet
        )
        guard let fragmenter else { return }
        var block = Block(byteCount: Translator.Limits.headerByteCount)
        var next = 0
        for index in 0..<fragmenter.count {
            var bytes = block.mutableBytes(0..<block.byteCount)
            guard let piece = fragmenter.writeHeaders(index, into: &bytes) else {
                preconditionFailure("a piece without headers")
            }
            let range = fragmenter.payloadRange(of: index)
            precondition(range.lowerBound == next)
            next = range.upperBound
            precondition(piece.totalByteCount == piece.payloadOffset + range.count)
            precondition(piece.totalByteCount <= packet.pieceByteCountMax ?? 65_575)
        }
        precondition(next == payload.count)
    }

    /// Whether the receiver of a whole packet takes its checksums.
    private static func isRight(_ packet: [UInt8]) -> Bool {
        guard let header = try? PacketHeader(packet.rawSpan) else { return false }
        let start = header.transportOffset
        if header.family == .ipv4 {
            guard Checksum.sum(packet.rawSpan.extracting(first: start)) == 0xffff else {
                return false
            }
        }
        guard let field = header.checksumOffset else { return true }
        let message = packet.rawSpan.extracting(start..<header.totalByteCount)
        if header.isUDP, packet[field] == 0, packet[field + 1] == 0 { return true }
        var sum = Checksum()
        if header.family == .ipv6 || !header.isICMP {
            let length = header.isUDP ? Int(message.uint16(at: 4)) : message.byteCount
            sum = Checksum(
                pseudoHeaderOf: header.transportProtocol,
                source: header.source,
                destination: header.destination,
                byteCount: length
            )
            sum.add(message.extracting(first: length))
        } else {
            sum.add(message)
        }
        return sum.folded == 0xffff
    }
}

enum TranslationSeeds {
    /// Every kind of packet of both families, whole, in pieces, and in errors.
    static var all: Seeds {
        var seeds: Seeds = []
        for seed in IPSeeds.all where !seed.name.contains("large") {
            let packet = Array(seed.bytes.dropFirst(8))
            for choice: UInt8 in [0, 3, 4] {
                seeds.append(("\(seed.name)-\(choice)", [choice] + framed(packet)))
            }
        }
        for version in [4, 6] {
            let pieces = pieces(version)
            seeds.append(("v\(version)-pieces", [1] + pieces.flatMap(framed)))
            seeds.append(("v\(version)-pieces-reversed", [1] + pieces.reversed().flatMap(framed)))
        }
        return seeds
    }

    private static func framed(_ packet: [UInt8]) -> [UInt8] {
        [UInt8(packet.count >> 8), UInt8(packet.count & 0xff)] + packet
    }

    /// Three pieces of an echo.
    private static func pieces(_ version: Int) -> [[UInt8]] {
        let source = version == 4 ? IPAddress(ipv4: 0x0a00_0001) : IPAddress(high: 1 << 61, low: 1)
        let destination =
            version == 4 ? IPAddress(ipv4: 0x0a00_0002) : IPAddress(high: 1 << 61, low: 2)
        let ip = IPHeader(from: source, to: destination, identification: 9, dontFragment: false)
        let whole = ip.packet(
            ICMPHeader.echoRequest(ip.family, identifier: 1, sequence: 2),
            body: [UInt8](repeating: 5, count: 100)
        )
        let content = Array(whole[ip.byteCount...])
        return stride(from: 0, to: content.count, by: 48).map { start in
            let part = Array(content[start..<min(start + 48, content.count)])
            let isLast = start + 48 >= content.count
            var piece = Array(whole[..<ip.byteCount])
            if version == 4 {
                piece[3] = UInt8(20 + part.count)
                (piece[6], piece[7]) = (isLast ? 0 : 0x20, UInt8(start / 8))
                (piece[10], piece[11]) = (0, 0)
                let sum = ~Checksum.sum(piece.rawSpan)
                (piece[10], piece[11]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
                return piece + part
            }
            piece[5] = UInt8(8 + part.count)
            piece[6] = 44
            return piece + [58, 0, 0, UInt8(start) | (isLast ? 0 : 1), 0, 0, 0, 9] + part
        }
    }
}
