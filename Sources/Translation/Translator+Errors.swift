public import Bytes
public import IP

extension Translator {
    /// Writes an ICMP error anew, in the other family, with the packet that it quotes.
    ///
    /// The addresses and ports of the quoted packet are its own, not their reverse: whoever sent
    /// the quoted packet receives the error. What has no room is cut from the quotation's end; an
    /// ICMPv4 error has no more than 576 bytes (RFC 1812 4.3.2.3), an ICMPv6 error 1,280 (RFC 4443
    /// 2.4 c). Extensions are kept where they have room, and their place is said anew (RFC 4884).
    ///
    /// - Parameters:
    ///   - packet: The error, whole.
    ///   - header: As read from it; ``PacketHeader/isICMPError`` holds.
    ///   - source: Who reports.
    ///   - destination: Who is told.
    ///   - quotedSource: Where the quoted packet came from; the port is the identifier of an echo
    ///     request.
    ///   - quotedDestination: Where it went; the port is the identifier of an echo reply.
    ///   - limits: What the next links carry.
    ///   - bytes: ``Limits/errorByteCount`` bytes hold any error.
    /// - Returns: Bytes of the new error.
    /// - Throws: Why there is none.
    @_lifetime(bytes: copy bytes)
    public mutating func translateError(
        _ packet: RawSpan,
        header: PacketHeader,
        from source: IPAddress,
        to destination: IPAddress,
        quoting quotedSource: Endpoint,
        and quotedDestination: Endpoint,
        limits: PathLimits,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> Int {
        let error = try ErrorJob(
            packet,
            header: header,
            source: source,
            destination: destination,
            limits: limits
        )
        let quoted = HeaderJob(
            header: error.quoted,
            offload: .none,
            source: quotedSource,
            destination: quotedDestination,
            limits: limits
        )
        let identification =
            destination.isIPv4 ? identifications.take(1, towards: destination) : 0
        return try error.write(quoted, identification: identification, into: &bytes)
    }
}

/// One ICMP error to translate.
struct ErrorJob: ~Escapable {
    private let packet: RawSpan
    private let header: PacketHeader
    private let source: IPAddress
    private let destination: IPAddress
    /// The quoted packet, and what follows it (RFC 4884).
    private let quotation: RawSpan
    private let extensions: RawSpan
    /// The quoted packet's header; its lengths count what is there.
    let quoted: PacketHeader
    private let mapping: ErrorMapping

    @_lifetime(copy packet)
    init(
        _ packet: RawSpan,
        header: PacketHeader,
        source: IPAddress,
        destination: IPAddress,
        limits: PathLimits
    ) throws(TranslationError) {
        guard packet.byteCount >= header.totalByteCount else { throw .noRoom }
        (self.header, self.source, self.destination) = (header, source, destination)
        self.packet = packet.extracting(first: header.totalByteCount)
        try Self.check(self.packet, header, source, destination)
        guard header.isICMPError,
            let message = try? ICMPMessage(
                self.packet.extracting(droppingFirst: header.transportOffset)
            )
        else { throw .untranslatableMessage(type: header.icmpType, code: header.icmpCode) }
        // The type first: a message without a counterpart need not quote anything.
        let quotation = message.quotation(header.family)
        let quoted = try? PacketHeader(embedded: quotation)
        let isFragment = quoted?.isFragment ?? false
        let content = ErrorMapping.Message(
            type: message.type,
            code: message.code,
            word: message.word,
            quotedByteCount: QuotedLength.total(of: quotation),
            isQuotedFragment: isFragment
                || quoted.map { Quotation.hasFragmentHeader(quotation, $0) } ?? false,
            limits: limits
        )
        mapping =
            try header.source.isIPv4
            ? ErrorMapping(toIPv6: content) : ErrorMapping(toIPv4: content)
        guard let quoted, quoted.source.isIPv4 == header.source.isIPv4 else { throw .badQuotation }
        self.quoted = quoted
        self.quotation = quotation
        extensions = message.body.extracting(droppingFirst: quotation.byteCount)
    }

    private static func check(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ source: IPAddress,
        _ destination: IPAddress
    ) throws(TranslationError) {
        let isIPv4 = header.source.isIPv4
        guard header.source.isTranslatable else { throw .illegalSource }
        guard header.destination.isTranslatable else { throw .illegalDestination }
        guard source.isIPv4 != isIPv4, destination.isIPv4 != isIPv4 else { throw .wrongFamily }
        guard source.isTranslatable else { throw .illegalSource }
        guard destination.isTranslatable else { throw .illegalDestination }
        guard !header.isFragment else { throw .needsReassembly }
        if isIPv4 {
            guard Checksum.sum(packet.extracting(first: header.transportOffset)) == 0xffff else {
                throw .badHeaderChecksum
            }
        }
        guard header.hopLimit > 1 else { throw .noHopLeft }
        let message = packet.extracting(droppingFirst: header.transportOffset)
        var sum = Checksum()
        if !isIPv4 {
            sum = Checksum(
                pseudoHeaderOf: .icmpv6,
                source: header.source,
                destination: header.destination,
                byteCount: message.byteCount
            )
        }
        sum.add(message)
        guard sum.folded == 0xffff else { throw .badErrorChecksum }
    }
}

// MARK: - Writing

extension ErrorJob {
    private var isToIPv4: Bool { destination.isIPv4 }

    /// Bytes of the largest error.
    private var byteCountMax: Int {
        isToIPv4 ? Refusal.Limits.ipv4ByteCount : Refusal.Limits.ipv6ByteCount
    }

    /// Writes the error with the quoted packet that `job` translates, and returns its bytes;
    /// `identification` is the error's own, when it is IPv4.
    @_lifetime(bytes: copy bytes)
    func write(
        _ job: HeaderJob,
        identification: UInt16,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> Int {
        let start = (isToIPv4 ? 20 : 40) + ICMPMessage.headerByteCount
        let room = min(byteCountMax, bytes.byteCount)
        guard start + Translator.Limits.headerByteCount <= room else { throw .noRoom }
        var body = bytes._mutatingExtracting(start..<room)
        let (quotedByteCount, byteCount) = try writeBody(job, into: &body)
        writeMessage(quotedByteCount, byteCount, into: &bytes, at: start - 8)
        let ip = IPHeader(
            from: source,
            to: destination,
            transportProtocol: isToIPv4 ? .icmp : .icmpv6,
            hopLimit: header.hopLimit - 1,
            trafficClass: header.trafficClass,
            identification: identification,
            dontFragment: false
        )
        _ = ip.write(into: &bytes, payloadByteCount: ICMPMessage.headerByteCount + byteCount)
        return start + byteCount
    }

    /// The quotation, and the extensions if there are any and they may stay.
    ///
    /// - Returns: Bytes of the quotation as the length field counts them, 0 without extensions; and
    ///   bytes of all.
    @_lifetime(body: copy body)
    private func writeBody(
        _ job: HeaderJob,
        into body: inout MutableRawSpan
    ) throws(TranslationError) -> (quoted: Int, all: Int) {
        let headers = try Quotation(job).write(quotation, into: &body)
        let rest = quotation.extracting(droppingFirst: job.header.payloadOffset)
        let unit = isToIPv4 ? 4 : 8
        let quotedMax = (body.byteCount - extensions.byteCount) / unit * unit
        let keepsExtensions =
            mapping.hasLength && extensions.byteCount > 0
            && quotation.byteCount >= Self.quotedWithExtensionsMin
            && quotedMax >= Self.quotedWithExtensionsMin
        let quotedRoom = keepsExtensions ? min(quotedMax, unit * 255) : body.byteCount
        let kept = rest.extracting(first: max(0, min(rest.byteCount, quotedRoom - headers)))
        body.write(kept, at: headers)
        let written = headers + kept.byteCount
        guard keepsExtensions else { return (0, written) }
        let padded = max(Self.quotedWithExtensionsMin, (written + unit - 1) / unit * unit)
        body.zero(written..<padded)
        body.write(extensions, at: padded)
        return (padded / unit, padded + extensions.byteCount)
    }

    /// Extensions are looked for behind this many bytes at least (RFC 4884 3).
    private static var quotedWithExtensionsMin: Int { 128 }

    /// The ICMP header, the checksum over all behind it, and ICMPv6's pseudo header.
    @_lifetime(bytes: copy bytes)
    private func writeMessage(
        _ quotedUnits: Int,
        _ bodyByteCount: Int,
        into bytes: inout MutableRawSpan,
        at start: Int
    ) {
        let length = UInt32(truncatingIfNeeded: quotedUnits) << (isToIPv4 ? 16 : 24)
        bytes.store(mapping.type, at: start)
        bytes.store(mapping.code, at: start + 1)
        bytes.store(UInt16(0), at: start + 2)
        bytes.store(mapping.word | length, at: start + 4)
        let byteCount = ICMPMessage.headerByteCount + bodyByteCount
        var sum = Checksum()
        if !isToIPv4 {
            sum = Checksum(
                pseudoHeaderOf: .icmpv6,
                source: source,
                destination: destination,
                byteCount: byteCount
            )
        }
        sum.add(bytes.bytes.extracting(start..<start + byteCount))
        bytes.store(sum.field, at: start + 2)
    }
}
