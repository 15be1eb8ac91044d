internal import Bytes
internal import IP

/// The packet that an ICMP error quotes, translated (RFC 7915 4.3 and 5.3): as the packet itself
/// would be, but that its lengths are what it says rather than what is there, no hop is taken, and
/// nothing is refused for its size.
struct Quotation {
    private let job: HeaderJob
    private var header: PacketHeader { job.header }

    init(_ job: HeaderJob) { self.job = job }

    /// Writes the quoted packet's headers, as far as they are there.
    ///
    /// - Returns: Bytes written.
    @_lifetime(bytes: copy bytes)
    func write(
        _ quotation: RawSpan,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> Int {
        let isToIPv6 = header.source.isIPv4
        guard job.source.address.isIPv4 != isToIPv6, job.destination.address.isIPv4 != isToIPv6
        else { throw .wrongFamily }
        guard
            header.transportProtocol != TransportProtocol.icmp(isToIPv6 ? .ipv4 : .ipv6)
                || header.isEcho || header.isLaterFragment
        else { throw .nestedError }
        let type = try job.translatedType()
        let hasFragmentHeader = Self.hasFragmentHeader(quotation, header)
        let offset = isToIPv6 ? (header.isFragment ? 48 : 40) : 20
        let total = QuotedLength.total(of: quotation) - header.transportOffset + offset
        let isMessage = header.transportProtocol == (isToIPv6 ? .icmp : .icmpv6)
        let new = header.rewritten(
            from: job.source,
            to: job.destination,
            hopLimit: header.hopLimit,
            transportProtocol: isMessage
                ? (isToIPv6 ? .icmpv6 : .icmp) : header.transportProtocol,
            icmpType: type,
            identification: header.identification & 0xffff,
            dontFragment: !hasFragmentHeader && total > Translator.Limits.ipv4CuttableByteCount,
            transportOffset: offset
        )
        guard bytes.byteCount >= new.payloadOffset else { throw .noRoom }
        if isToIPv6 {
            IPv6HeaderWriter(new).write(total, into: &bytes)
        } else {
            IPv4HeaderWriter(new).write(total, into: &bytes)
        }
        try writeTransport(quotation, new, into: &bytes)
        return new.payloadOffset
    }

    /// What is there of the transport header; perhaps not its checksum.
    @_lifetime(bytes: copy bytes)
    private func writeTransport(
        _ quotation: RawSpan,
        _ new: PacketHeader,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) {
        guard let field = header.checksumOffset, field + 2 > header.payloadOffset else {
            let byteCount = QuotedLength.total(of: quotation) - header.transportOffset
            return try job.writeTransport(
                quotation,
                RawSpan(),
                new,
                quotedByteCount: byteCount,
                into: &bytes
            )
        }
        let start = new.transportOffset
        bytes.write(quotation.extracting(header.transportOffset..<header.payloadOffset), at: start)
        bytes.store(new.sourcePort, at: start)
        bytes.store(new.destinationPort, at: start + 2)
    }

    /// Whether a quoted IPv6 packet has a fragment header.
    static func hasFragmentHeader(_ quotation: RawSpan, _ header: PacketHeader) -> Bool {
        guard !header.source.isIPv4, header.transportOffset > 40 else { return false }
        return IPv6Extensions.fragmentHeader(in: quotation, of: header) != nil
    }
}

/// The length that a quoted packet says it has; more than what is there.
enum QuotedLength {
    /// Bytes of the whole packet; 0 when it cannot be read.
    static func total(of quotation: RawSpan) -> Int {
        guard quotation.byteCount >= 20 else { return 0 }
        if quotation.byte(at: 0) >> 4 == 4 { return Int(quotation.uint16(at: 2)) }
        return 40 + Int(quotation.uint16(at: 4))
    }
}
