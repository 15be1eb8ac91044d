internal import Bytes
internal import IP

// RFC 7915 4: from IPv4 to IPv6.
extension HeaderJob {
    @_lifetime(bytes: copy bytes)
    func translateToIPv6(
        _ headers: RawSpan,
        _ payload: RawSpan,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> TranslatedPacket {
        let ipByteCount = header.transportOffset
        guard Checksum.sum(headers.extracting(first: ipByteCount)) == 0xffff else {
            throw .badHeaderChecksum
        }
        guard header.hopLimit > 1 else { throw .noHopLeft }
        guard header.transportProtocol.rawValue != 2 else { throw .groupManagement }
        let isMessage = header.transportProtocol == .icmp
        guard !(isMessage && header.isFragment) else { throw .needsReassembly }
        let type = try translatedType()
        let isCut = try needsCutting()
        let hasFragmentHeader = header.isFragment || isCut
        let new = header.rewritten(
            from: source,
            to: destination,
            hopLimit: header.hopLimit - 1,
            transportProtocol: isMessage ? .icmpv6 : header.transportProtocol,
            icmpType: type,
            identification: hasFragmentHeader ? header.identification : 0,
            dontFragment: true,
            transportOffset: hasFragmentHeader ? 48 : 40
        )
        let translated = TranslatedPacket(
            header: new,
            offload: try translatedOffload(new),
            pieceByteCountMax: isCut ? Translator.Limits.ipv6MinimumByteCount : nil
        )
        guard bytes.byteCount >= new.payloadOffset, new.totalByteCount - 40 <= 0xffff else {
            throw .noRoom
        }
        IPv6HeaderWriter(new).write(new.totalByteCount, into: &bytes)
        try writeTransport(headers, payload, new, into: &bytes)
        return translated
    }

    /// Whether the packet must be cut, and may be (RFC 7915 4.1).
    private func needsCutting() throws(TranslationError) -> Bool {
        let limit = max(limits.ipv6, Translator.Limits.ipv6MinimumByteCount)
        let headers = header.isFragment ? 48 : 40
        let size = headers + largestByteCount
        if header.dontFragment {
            guard size <= limit else { throw .tooBig(maximumByteCount: limit - headers + 20) }
            return false
        }
        guard size > Translator.Limits.ipv6MinimumByteCount else { return false }
        guard offload.segmentation == .none else { throw .needsSegmenting }
        return true
    }
}

/// Writes an IPv6 header, and a fragment header where the packet has one.
struct IPv6HeaderWriter {
    let header: PacketHeader

    init(_ header: PacketHeader) { self.header = header }

    /// RFC 8200 3 and 4.5; room was checked.
    @_lifetime(bytes: copy bytes)
    func write(_ totalByteCount: Int, into bytes: inout MutableRawSpan) {
        let hasFragmentHeader = header.transportOffset > 40
        let transport = header.transportProtocol.rawValue
        bytes.store(6 << 28 | UInt32(header.trafficClass) << 20, at: 0)
        bytes.store(UInt16(clamping: totalByteCount - 40), at: 4)
        bytes.store(hasFragmentHeader ? 44 : transport, at: 6)
        bytes.store(header.hopLimit, at: 7)
        bytes.store(header.source.high, at: 8)
        bytes.store(header.source.low, at: 16)
        bytes.store(header.destination.high, at: 24)
        bytes.store(header.destination.low, at: 32)
        guard hasFragmentHeader else { return }
        let offset = UInt16(truncatingIfNeeded: header.fragmentOffset)
        bytes.store(UInt16(transport) << 8, at: 40)
        bytes.store(offset | (header.moreFragments ? 1 : 0), at: 42)
        bytes.store(header.identification, at: 44)
    }
}
