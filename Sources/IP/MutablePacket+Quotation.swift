internal import Bytes

// The packet that an ICMP error quotes is rewritten with it (RFC 5508 4, RFC 3022 4.3), together
// with the checksums inside and the error's own.
extension MutablePacket {
    /// The packet that this ICMP error quotes; nil when it quotes none that can be read, or is no
    /// error.
    public var quoted: PacketHeader? {
        guard header.isICMPError, let range = quotationRange else { return nil }
        let quoted = try? PacketHeader(embedded: bytes.bytes.extracting(range))
        guard let quoted, quoted.source.isIPv4 == header.source.isIPv4 else { return nil }
        return quoted
    }

    /// Replaces the source of the quoted packet, and its port (echo request: the identifier).
    ///
    /// - Returns: False when there is none, or the address is of the other family.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func setQuotedSource(_ address: IPAddress, port: UInt16? = nil) -> Bool {
        setQuoted(.source, address, port)
    }

    /// Replaces the destination of the quoted packet, and its port (echo reply: the identifier).
    ///
    /// - Returns: False when there is none, or the address is of the other family.
    @_lifetime(self: copy self)
    @discardableResult
    public mutating func setQuotedDestination(_ address: IPAddress, port: UInt16? = nil) -> Bool {
        setQuoted(.destination, address, port)
    }

    private enum Role { case source, destination }

    /// Where the quoted packet lies in the bytes that are there.
    private var quotationRange: Range<Int>? {
        let end = min(header.totalByteCount, bytes.byteCount)
        guard header.isICMP, header.payloadOffset <= end else { return nil }
        let message = try? ICMPMessage(bytes.bytes.extracting(header.transportOffset..<end))
        guard let message else { return nil }
        let count = message.quotation(header.family).byteCount
        return header.payloadOffset..<header.payloadOffset + count
    }

    @_lifetime(self: copy self)
    private mutating func setQuoted(_ role: Role, _ address: IPAddress, _ port: UInt16?) -> Bool {
        guard let range = quotationRange, let quoted, address.isIPv4 == quoted.source.isIPv4 else {
            return false
        }
        var inner = MutablePacket(
            quoting: bytes._mutatingExtracting(range),
            header: quoted
        )
        let before = inner.coveredSum
        switch role {
        case .source: inner.setSource(address, port: port)
        case .destination: inner.setDestination(address, port: port)
        }
        let after = inner.coveredSum
        if !isPartial { transportChange.replace(before, with: after) }
        applyChanges()
        return true
    }

    /// A quoted packet may end before its checksum.
    @_lifetime(copy bytes)
    private init(quoting bytes: consuming MutableRawSpan, header: PacketHeader) {
        self.header = header
        isPartial = false
        self.bytes = bytes
    }

    /// The sum of all bytes that a rewrite may touch: the headers, and the checksum behind.
    private var coveredSum: UInt16 {
        let headers = max(header.payloadOffset, (header.checksumOffset ?? 0) + 2)
        return Checksum.sum(bytes.bytes.extracting(first: min(headers, bytes.byteCount)))
    }
}
