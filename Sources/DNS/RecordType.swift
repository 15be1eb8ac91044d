/// The type of a record or of a question (RFC 1035 section 3.2.2 and the IANA registry).
public struct RecordType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let a = RecordType(rawValue: 1)
    public static let ns = RecordType(rawValue: 2)
    public static let cname = RecordType(rawValue: 5)
    public static let soa = RecordType(rawValue: 6)
    public static let ptr = RecordType(rawValue: 12)
    public static let hinfo = RecordType(rawValue: 13)
    public static let mx = RecordType(rawValue: 15)
    public static let txt = RecordType(rawValue: 16)
    public static let aaaa = RecordType(rawValue: 28)
    public static let srv = RecordType(rawValue: 33)
    public static let naptr = RecordType(rawValue: 35)
    public static let dname = RecordType(rawValue: 39)
    public static let opt = RecordType(rawValue: 41)
    public static let svcb = RecordType(rawValue: 64)
    public static let https = RecordType(rawValue: 65)
    public static let any = RecordType(rawValue: 255)
    public static let caa = RecordType(rawValue: 257)
}

extension RecordType: LosslessStringConvertible {
    private static let names: [(RecordType, String)] = [
        (.a, "A"), (.ns, "NS"), (.cname, "CNAME"), (.soa, "SOA"), (.ptr, "PTR"),
        (.hinfo, "HINFO"), (.mx, "MX"), (.txt, "TXT"), (.aaaa, "AAAA"), (.srv, "SRV"),
        (.naptr, "NAPTR"), (.dname, "DNAME"), (.opt, "OPT"), (.svcb, "SVCB"),
        (.https, "HTTPS"), (.any, "ANY"), (.caa, "CAA"),
    ]

    /// The mnemonic, or `TYPE65280` (RFC 3597 section 5).
    public init?(_ text: String) {
        let upper = text.uppercased()
        if let known = Self.names.first(where: { $0.1 == upper }) {
            self = known.0
        } else if upper.hasPrefix("TYPE"), let number = UInt16(upper.dropFirst(4)) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    public var description: String {
        Self.names.first { $0.0 == self }?.1 ?? "TYPE\(rawValue)"
    }
}

/// The class of a record or of a question.
public struct RecordClass: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The Internet.
    public static let internet = RecordClass(rawValue: 1)
    /// CHAOS, which servers tell their version in.
    public static let chaos = RecordClass(rawValue: 3)
    /// Any class, in questions.
    public static let any = RecordClass(rawValue: 255)
}

/// What kind of query a message is (RFC 1035 section 4.1.1).
public struct Opcode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A standard query.
    public static let query = Opcode(rawValue: 0)
}

/// How a query ended; 12 bits, the upper eight travel in EDNS (RFC 6891 section 6.1.3).
public struct ResponseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// NOERROR.
    public static let noError = ResponseCode(rawValue: 0)
    /// FORMERR: the query cannot be read.
    public static let formatError = ResponseCode(rawValue: 1)
    /// SERVFAIL: the server could not find out.
    public static let serverFailure = ResponseCode(rawValue: 2)
    /// NXDOMAIN: there is no such name.
    public static let nameError = ResponseCode(rawValue: 3)
    /// NOTIMP: no such kind of query here.
    public static let notImplemented = ResponseCode(rawValue: 4)
    /// REFUSED: the server will not.
    public static let refused = ResponseCode(rawValue: 5)
    /// BADVERS: an EDNS version that the server does not speak.
    public static let badVersion = ResponseCode(rawValue: 16)
}

extension ResponseCode: LosslessStringConvertible {
    private static let names: [(ResponseCode, String)] = [
        (.noError, "NOERROR"), (.formatError, "FORMERR"), (.serverFailure, "SERVFAIL"),
        (.nameError, "NXDOMAIN"), (.notImplemented, "NOTIMP"), (.refused, "REFUSED"),
        (.badVersion, "BADVERS"),
    ]

    /// The mnemonic, or `RCODE23`.
    public init?(_ text: String) {
        if let known = Self.names.first(where: { $0.1 == text }) {
            self = known.0
        } else if text.hasPrefix("RCODE"), let number = UInt16(text.dropFirst(5)) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    public var description: String {
        Self.names.first { $0.0 == self }?.1 ?? "RCODE\(rawValue)"
    }
}
