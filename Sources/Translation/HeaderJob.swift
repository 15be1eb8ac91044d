internal import Bytes
internal import IP

/// One packet to translate: what both directions share.
struct HeaderJob {
    let header: PacketHeader
    let offload: Offload
    let source: Endpoint
    let destination: Endpoint
    let limits: PathLimits

    /// Which way; checks what holds for both. The given addresses too: a name may stand for any.
    var isToIPv6: Bool {
        get throws(TranslationError) {
            let isIPv4 = header.source.isIPv4
            guard header.source.isTranslatable else { throw .illegalSource }
            guard header.destination.isTranslatable else { throw .illegalDestination }
            let (from, to) = (source.address, destination.address)
            guard from.isIPv4 != isIPv4, to.isIPv4 != isIPv4 else { throw .wrongFamily }
            let byteCount = header.totalByteCount - header.transportOffset
            guard !header.moreFragments || byteCount % 8 == 0 else { throw .badFragment }
            guard from.isTranslatable else { throw .illegalSource }
            guard to.isTranslatable else { throw .illegalDestination }
            return isIPv4
        }
    }

    /// Whether the transport checksum field holds the pseudo header's sum only.
    var isPartial: Bool { offload.needsChecksum }

    /// Bytes behind the IP header of the largest packet that this one stands for.
    var largestByteCount: Int {
        let transport = header.payloadOffset - header.transportOffset
        guard offload.segmentation != .none else { return transport + header.payloadByteCount }
        return transport + min(offload.segmentByteCount, header.payloadByteCount)
    }

    /// How many packets this one stands for.
    var packetCount: Int {
        guard offload.segmentation != .none, offload.segmentByteCount > 0 else { return 1 }
        return max(1, (header.payloadByteCount - 1) / offload.segmentByteCount + 1)
    }

    /// The offload as the other family has it.
    func translatedOffload(_ new: PacketHeader) throws(TranslationError) -> Offload {
        guard offload != .none else { return .none }
        var translated = offload
        translated.headerByteCount = new.payloadOffset
        if offload.needsChecksum {
            guard offload.checksumStart == header.transportOffset,
                header.checksumOffset == header.transportOffset + offload.checksumOffset
            else { throw .badOffload }
            translated.checksumStart = new.transportOffset
        }
        switch offload.segmentation {
        case .none: break
        case .tcpIPv4, .tcpIPv6:
            guard header.isTCP, offload.segmentByteCount > 0 else { throw .badOffload }
            guard (offload.segmentation == .tcpIPv4) == header.source.isIPv4 else {
                throw .badOffload
            }
            translated.segmentation = header.source.isIPv4 ? .tcpIPv6 : .tcpIPv4
        case .udp: guard header.isUDP, offload.segmentByteCount > 0 else { throw .badOffload }
        }
        guard offload.segmentation == .none || !header.isFragment else { throw .badOffload }
        return translated
    }

    /// The type of an ICMP echo in the other family; everything else that is ICMP is refused.
    func translatedType() throws(TranslationError) -> UInt8 {
        guard header.isICMP else { return header.icmpType }
        let other: IPFamily = header.source.isIPv4 ? .ipv6 : .ipv4
        if header.isEchoRequest { return ICMPType.echoRequest(other) }
        if header.isEchoReply { return ICMPType.echoReply(other) }
        throw .untranslatableMessage(type: header.icmpType, code: header.icmpCode)
    }
}

// MARK: - The transport header

extension HeaderJob {
    /// Copies the transport header behind the new IP header, ports, type and checksum changed. For
    /// a quoted packet, which is perhaps cut, `quotedByteCount` are the bytes of its message; a
    /// checksum that is missing there stays missing.
    @_lifetime(bytes: copy bytes)
    func writeTransport(
        _ headers: RawSpan,
        _ payload: RawSpan,
        _ new: PacketHeader,
        quotedByteCount: Int? = nil,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) {
        let start = new.transportOffset
        guard bytes.byteCount >= new.payloadOffset else { throw .noRoom }
        bytes.write(
            headers.extracting(header.transportOffset..<header.payloadOffset),
            at: start
        )
        guard header.hasTransportHeader, let field = header.checksumOffset else { return }
        guard field + 2 <= header.payloadOffset else { throw .noRoom }
        var change = ChecksumChange()
        var content = ChecksumChange()
        if header.isICMP {
            let byteCount = quotedByteCount ?? header.totalByteCount - header.transportOffset
            changeMessage(headers, new, byteCount, &change, &content, into: &bytes)
        } else {
            change.replace(header.source, with: new.source)
            change.replace(header.destination, with: new.destination)
            content.replace(header.sourcePort, with: new.sourcePort)
            content.replace(header.destinationPort, with: new.destinationPort)
            bytes.store(new.sourcePort, at: start)
            bytes.store(new.destinationPort, at: start + 2)
        }
        let old = headers.uint16(at: field)
        let place = start + field - header.transportOffset
        if header.isUDP, old == 0, !isPartial {
            guard quotedByteCount == nil else { return }
            return try writeMissingChecksum(payload, new, at: place, into: &bytes)
        }
        if !isPartial { change.add(content) }
        let value = isPartial ? change.applied(toPartial: old) : change.applied(to: old)
        // 0xFFFF is right wherever 0 would be, and for UDP and an ICMPv4 echo of zeros 0 is not.
        bytes.store(isPartial || header.isTCP ? value : Checksum.nonZero(value), at: place)
    }

    /// An echo's type and identifier. ICMPv6 alone has a pseudo header (RFC 7915 4.2, 5.2).
    @_lifetime(bytes: copy bytes)
    private func changeMessage(
        _ headers: RawSpan,
        _ new: PacketHeader,
        _ byteCount: Int,
        _ change: inout ChecksumChange,
        _ content: inout ChecksumChange,
        into bytes: inout MutableRawSpan
    ) {
        let start = new.transportOffset
        let six = new.source.isIPv4 ? header : new
        let pseudo = Checksum(
            pseudoHeaderOf: .icmpv6,
            source: six.source,
            destination: six.destination,
            byteCount: byteCount
        ).folded
        change.replace(
            new.source.isIPv4 ? pseudo : 0,
            with: new.source.isIPv4 ? 0 : pseudo
        )
        let word = headers.uint16(at: header.transportOffset)
        let changed = UInt16(new.icmpType) << 8 | word & 0xff
        content.replace(word, with: changed)
        bytes.store(changed, at: start)
        let identifier = headers.uint16(at: header.transportOffset + 4)
        let given = header.isEchoRequest ? new.sourcePort : new.destinationPort
        content.replace(identifier, with: given)
        bytes.store(given, at: start + 4)
    }

    /// UDP without a checksum: IPv6 does not allow it (RFC 7915 4.5); what comes from IPv6 without
    /// one (RFC 6935) keeps none.
    @_lifetime(bytes: copy bytes)
    private func writeMissingChecksum(
        _ payload: RawSpan,
        _ new: PacketHeader,
        at place: Int,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) {
        guard !new.source.isIPv4, offload.segmentation == .none else { return }
        guard !header.isFragment else { throw .needsReassembly }
        guard payload.byteCount >= header.payloadByteCount else { throw .noRoom }
        let start = new.transportOffset
        let length = bytes.bytes.uint16(at: start + 4)
        guard Int(length) <= new.totalByteCount - start else { throw .noRoom }
        var sum = Checksum(
            pseudoHeaderOf: .udp,
            source: new.source,
            destination: new.destination,
            byteCount: Int(length)
        )
        sum.add(bytes.bytes.extracting(start..<new.payloadOffset))
        sum.add(payload.extracting(first: Int(length) - (new.payloadOffset - start)))
        bytes.store(sum.fieldForUDP, at: place)
    }
}

extension IPAddress {
    /// Whether packets from and to it are for one host and leave their link (RFC 1812 5.3.7, RFC
    /// 4291 2.5).
    var isTranslatable: Bool {
        guard isIPv4 else {
            return !isMulticast && !isUnspecified && !isLoopback && !isLinkLocal
        }
        let first = ipv4 >> 24
        return first != 0 && first != 127 && first < 224 && !isLinkLocal
    }
}
