internal import Bytes

/// A borrowed view of an ICMP message of either family (RFC 792, RFC 4443 2.1). Once made, no
/// accessor can trap.
public struct ICMPMessage: ~Escapable {
    public static var headerByteCount: Int { 8 }

    /// Header and body.
    public let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= Self.headerByteCount else {
            throw .truncated(available: bytes.byteCount, need: Self.headerByteCount)
        }
        self.bytes = bytes
    }

    public var type: UInt8 { bytes.byte(at: 0) }
    public var code: UInt8 { bytes.byte(at: 1) }
    public var checksum: UInt16 { bytes.uint16(at: 2) }
    /// The second word: its meaning depends on the type.
    public var word: UInt32 { bytes.uint32(at: 4) }
    /// Echo: the identifier.
    public var identifier: UInt16 { bytes.uint16(at: 4) }
    /// Echo: the sequence number.
    public var sequence: UInt16 { bytes.uint16(at: 6) }

    /// What follows the header: echo data, or the quoted packet of an error; lives as long as the
    /// buffer.
    public var body: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: Self.headerByteCount) }
    }

    /// The packet that an error quotes, without extensions behind it (RFC 4884 4); `family` is that
    /// of the packet that carries the message.
    @_lifetime(copy self)
    public func quotation(_ family: IPFamily) -> RawSpan {
        let units: Int
        switch family {
        case .ipv4: units = Int(bytes.byte(at: 5)) * 4
        case .ipv6: units = Int(bytes.byte(at: 4)) * 8
        }
        let hasLength =
            type == ICMPType.unreachable(family) || type == ICMPType.timeExceeded(family)
            || (family == .ipv4 && type == ICMPType.parameterProblem(.ipv4))
        return body.extracting(
            first: hasLength && units > 0 ? min(units, body.byteCount) : body.byteCount
        )
    }
}

/// The header of an ICMP message that we write.
public struct ICMPHeader: Hashable, Sendable {
    public var type: UInt8
    public var code: UInt8
    /// The second word: its meaning depends on the type.
    public var word: UInt32

    public init(type: UInt8, code: UInt8 = 0, word: UInt32 = 0) {
        (self.type, self.code, self.word) = (type, code, word)
    }

    /// An echo request.
    public static func echoRequest(_ family: IPFamily, identifier: UInt16, sequence: UInt16) -> Self
    {
        Self(
            type: ICMPType.echoRequest(family),
            word: UInt32(identifier) << 16 | UInt32(sequence)
        )
    }

    /// An echo reply.
    public static func echoReply(_ family: IPFamily, identifier: UInt16, sequence: UInt16) -> Self {
        Self(type: ICMPType.echoReply(family), word: UInt32(identifier) << 16 | UInt32(sequence))
    }

    /// Bytes of the header.
    public var byteCount: Int { 8 }

    /// Writes the header to the start of `bytes`, which are the whole message, and the checksum
    /// over all of it; false when the header has no room.
    @_lifetime(bytes: copy bytes)
    public func write(into bytes: inout MutableRawSpan, under header: IPHeader) -> Bool {
        guard bytes.byteCount >= byteCount else { return false }
        bytes.store(type, at: 0)
        bytes.store(code, at: 1)
        bytes.store(UInt16(0), at: 2)
        bytes.store(word, at: 4)
        var checksum: Checksum
        switch header.family {
        case .ipv4: checksum = Checksum()
        case .ipv6: checksum = header.pseudoHeader(byteCount: bytes.byteCount)
        }
        checksum.add(bytes.bytes)
        bytes.store(checksum.field, at: 2)
        return true
    }
}
