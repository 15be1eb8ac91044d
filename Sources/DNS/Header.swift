internal import Bytes

/// The first twelve bytes of a message (RFC 1035 section 4.1.1).
public struct Header: Hashable, Sendable {
    /// Bytes of a header.
    public static var byteCount: Int { 12 }

    /// What joins an answer to its query.
    public var id: UInt16
    /// The second 16 bits, as they travel.
    public var flags: UInt16
    /// Questions that follow (QDCOUNT).
    public var questionCount: UInt16
    /// Answers that follow (ANCOUNT).
    public var answerCount: UInt16
    /// Authority records that follow (NSCOUNT).
    public var authorityCount: UInt16
    /// Additional records that follow (ARCOUNT).
    public var additionalCount: UInt16

    public init(id: UInt16 = 0, flags: UInt16 = 0) {
        (self.id, self.flags) = (id, flags)
        (questionCount, answerCount, authorityCount, additionalCount) = (0, 0, 0, 0)
    }

    /// The header of a message of at least twelve bytes.
    public init(_ bytes: RawSpan) throws(MessageError) {
        guard bytes.byteCount >= Self.byteCount else { throw .truncated(offset: bytes.byteCount) }
        id = bytes.uint16(at: 0)
        flags = bytes.uint16(at: 2)
        questionCount = bytes.uint16(at: 4)
        answerCount = bytes.uint16(at: 6)
        authorityCount = bytes.uint16(at: 8)
        additionalCount = bytes.uint16(at: 10)
    }

    /// Appends the twelve bytes.
    func write(to bytes: inout [UInt8]) {
        for field in [id, flags, questionCount, answerCount, authorityCount, additionalCount] {
            bytes.append(bigEndian: field)
        }
    }
}

extension Header {
    /// QR: a response, not a query.
    public var isResponse: Bool {
        get { flags & 0x8000 != 0 }
        set { set(0x8000, newValue) }
    }

    /// The kind of query.
    public var opcode: Opcode {
        get { Opcode(rawValue: UInt8(flags >> 11 & 15)) }
        set { flags = flags & ~0x7800 | UInt16(newValue.rawValue & 15) << 11 }
    }

    /// AA: from a server of the zone.
    public var isAuthoritative: Bool {
        get { flags & 0x0400 != 0 }
        set { set(0x0400, newValue) }
    }

    /// TC: not everything fitted; ask again over TCP.
    public var isTruncated: Bool {
        get { flags & 0x0200 != 0 }
        set { set(0x0200, newValue) }
    }

    /// RD: the asker wants the whole answer.
    public var isRecursionDesired: Bool {
        get { flags & 0x0100 != 0 }
        set { set(0x0100, newValue) }
    }

    /// RA: the server finds whole answers.
    public var isRecursionAvailable: Bool {
        get { flags & 0x0080 != 0 }
        set { set(0x0080, newValue) }
    }

    /// AD: checked by DNSSEC (RFC 6840 section 5.7).
    public var isAuthentic: Bool {
        get { flags & 0x0020 != 0 }
        set { set(0x0020, newValue) }
    }

    /// CD: the asker checks by itself (RFC 4035 section 3.2.2).
    public var isCheckingDisabled: Bool {
        get { flags & 0x0010 != 0 }
        set { set(0x0010, newValue) }
    }

    /// The lower four bits of the response code; the whole is ``Message/responseCode``.
    public var responseCodeBits: UInt8 {
        get { UInt8(flags & 15) }
        set { flags = flags & ~15 | UInt16(newValue & 15) }
    }

    private mutating func set(_ bit: UInt16, _ isOn: Bool) {
        flags = isOn ? flags | bit : flags & ~bit
    }
}

/// Why bytes are not a message.
public enum MessageError: Error, Equatable {
    /// The bytes end where more were promised.
    case truncated(offset: Int)
    /// A name that cannot be read.
    case badName(NameError)
    /// The data of a record do not have its type's form.
    case badRecordData(type: RecordType, offset: Int)
    /// An OPT record in a wrong place, or a second one (RFC 6891 section 6.1.1).
    case badEDNS(offset: Int)

    /// A stable word for counters.
    public var label: String {
        switch self {
        case .truncated: "truncated"
        case .badName: "bad-name"
        case .badRecordData: "bad-record-data"
        case .badEDNS: "bad-edns"
        }
    }
}
