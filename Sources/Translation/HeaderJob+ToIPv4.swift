internal import Bytes
internal import IP

// RFC 7915 5: from IPv6 to IPv4.
extension HeaderJob {
    @_lifetime(bytes: copy bytes)
    func translateToIPv4(
        _ headers: RawSpan,
        _ payload: RawSpan,
        _ identifications: inout Identifications,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> TranslatedPacket {
        guard header.hopLimit > 1 else { throw .noHopLeft }
        let hasFragmentHeader = try hasFragmentHeader(headers)
        let isMessage = header.transportProtocol == .icmpv6
        guard !(isMessage && header.isFragment) else { throw .needsReassembly }
        let type = try translatedType()
        let size = 20 + largestByteCount
        let mayBeCut = hasFragmentHeader || size <= Translator.Limits.ipv4CuttableByteCount
        let isCut = size > limits.ipv4
        guard mayBeCut || !isCut else {
            let least = Translator.Limits.ipv6MinimumByteCount
            throw .tooBig(maximumByteCount: max(least, limits.ipv4 + 20))
        }
        guard !isCut || offload.segmentation == .none else { throw .needsSegmenting }
        let identification =
            hasFragmentHeader
            ? UInt16(truncatingIfNeeded: header.identification)
            : identifications.take(packetCount, towards: destination.address)
        let new = header.rewritten(
            from: source,
            to: destination,
            hopLimit: header.hopLimit - 1,
            transportProtocol: isMessage ? .icmp : header.transportProtocol,
            icmpType: type,
            identification: UInt32(identification),
            dontFragment: !mayBeCut,
            transportOffset: 20
        )
        let translated = TranslatedPacket(
            header: new,
            offload: try translatedOffload(new),
            pieceByteCountMax: isCut ? limits.ipv4 : nil
        )
        guard bytes.byteCount >= new.payloadOffset, new.totalByteCount <= 0xffff else {
            throw .noRoom
        }
        IPv4HeaderWriter(new).write(new.totalByteCount, into: &bytes)
        try writeTransport(headers, payload, new, into: &bytes)
        return translated
    }

    /// Whether a fragment header is among the extension headers; nothing but what is carried may
    /// follow it (RFC 7915 5.1.1).
    private func hasFragmentHeader(_ headers: RawSpan) throws(TranslationError) -> Bool {
        guard header.transportOffset > 40 else { return false }
        guard let place = IPv6Extensions.fragmentHeader(in: headers, of: header) else {
            return false
        }
        guard !IPv6Extensions.isExtension(headers.byte(at: place)) else {
            throw .extensionInFragment
        }
        return true
    }
}

/// The extension headers of an IPv6 packet that ``PacketHeader`` has read.
enum IPv6Extensions {
    /// Where the fragment header lies; nil when there is none.
    static func fragmentHeader(in headers: RawSpan, of header: PacketHeader) -> Int? {
        var kind = headers.byte(at: 6)
        var offset = 40
        while offset + 8 <= min(header.transportOffset, headers.byteCount) {
            if kind == 44 { return offset }
            kind = headers.byte(at: offset)
            offset += 8 + Int(headers.byte(at: offset + 1)) * 8
        }
        return nil
    }

    /// Whether the number is that of an extension header (RFC 7045 4), but for the encapsulating
    /// security payload, which may stand in fragments (RFC 7915 5.1.1).
    static func isExtension(_ kind: UInt8) -> Bool {
        switch kind {
        case 0, 43, 44, 51, 60, 135, 139, 140: true
        default: false
        }
    }
}

/// Writes an IPv4 header without options.
struct IPv4HeaderWriter {
    let header: PacketHeader

    init(_ header: PacketHeader) { self.header = header }

    /// RFC 791 3.1; room was checked.
    @_lifetime(bytes: copy bytes)
    func write(_ totalByteCount: Int, into bytes: inout MutableRawSpan) {
        let first = 0x4500 | UInt16(header.trafficClass)
        let total = UInt16(clamping: totalByteCount)
        let identification = UInt16(truncatingIfNeeded: header.identification)
        let fragment =
            UInt16(truncatingIfNeeded: header.fragmentOffset / 8)
            | (header.dontFragment ? 0x4000 : 0) | (header.moreFragments ? 0x2000 : 0)
        let life = UInt16(header.hopLimit) << 8 | UInt16(header.transportProtocol.rawValue)
        var sum = Checksum()
        sum.add(first)
        sum.add(total)
        sum.add(identification)
        sum.add(fragment)
        sum.add(life)
        sum.add(header.source)
        sum.add(header.destination)
        bytes.store(first, at: 0)
        bytes.store(total, at: 2)
        bytes.store(identification, at: 4)
        bytes.store(fragment, at: 6)
        bytes.store(life, at: 8)
        bytes.store(sum.field, at: 10)
        bytes.store(header.source.ipv4, at: 12)
        bytes.store(header.destination.ipv4, at: 16)
    }
}
