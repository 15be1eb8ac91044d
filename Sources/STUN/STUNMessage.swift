internal import Bytes
internal import Ciphers

/// A STUN message that was checked as a whole and is read in place (RFC 8489 5, 6.3).
///
/// Checked: header, length, the frame of every attribute, the values of the known ones, and
/// FINGERPRINT where there is one. MESSAGE-INTEGRITY is checked by ``isAuthentic(_:key:)``, when
/// the key is known. Attributes behind the first integrity do not count (RFC 8489 14.5).
public struct STUNMessage: ~Escapable {
    /// Bounds of a message.
    public enum Limits {
        /// Attributes of a message.
        public static var attributes: Int { 128 }
    }

    /// Bytes of the header.
    public static var headerByteCount: Int { 20 }
    /// The magic cookie (RFC 8489 5).
    public static var cookie: UInt32 { 0x2112_a442 }

    /// The message.
    public let bytes: RawSpan
    /// What it is about.
    public let method: STUNMethod
    /// Request, indication or answer.
    public let messageClass: STUNClass
    /// Ties it to its request or answer.
    public let transaction: TransactionID
    /// Where the attributes that count end.
    let attributesEnd: Int
    private let integrityOffset: Int
    private let integritySHA256Offset: Int

    /// Whether the bytes are STUN by header and magic cookie, the test for a socket that carries
    /// several protocols.
    public static func isSTUN(_ bytes: RawSpan) -> Bool {
        bytes.byteCount >= headerByteCount && bytes.byte(at: 0) < 4
            && bytes.uint32(at: 4) == cookie
    }

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(STUNError) {
        guard Self.isSTUN(bytes) else { throw .notSTUN }
        let length = Int(bytes.uint16(at: 2))
        guard length % 4 == 0, length + Self.headerByteCount == bytes.byteCount else {
            throw .badLength(length)
        }
        let places = try Places(bytes)
        let type = bytes.uint16(at: 0)
        self.bytes = bytes
        method = MessageTypeBits.method(of: type)
        messageClass = MessageTypeBits.messageClass(of: type)
        transaction = TransactionID(high: bytes.uint32(at: 8), low: bytes.uint64(at: 12))
        attributesEnd = places.end ?? bytes.byteCount
        integrityOffset = places.integrity
        integritySHA256Offset = places.integritySHA256
    }

    /// Whether there is an integrity of this kind.
    public func hasIntegrity(_ kind: STUNIntegrity) -> Bool { offset(of: kind) > 0 }

    /// Whether there is an integrity of either kind.
    public var hasIntegrity: Bool { hasIntegrity(.sha1) || hasIntegrity(.sha256) }

    /// Whether the message carries this integrity and it was made with `key`, compared in constant
    /// time.
    public func isAuthentic(_ kind: STUNIntegrity, key: RawSpan) -> Bool {
        let offset = offset(of: kind)
        guard offset > 0 else { return false }
        let count = Int(bytes.uint16(at: offset + 2))
        let code = kind.code(of: bytes, upTo: offset, valueByteCount: count, key: key)
        let value = bytes.extracting(offset + 4..<offset + 4 + count)
        return code.rawSpan.extracting(first: count).isEqualInConstantTime(to: value)
    }

    private func offset(of kind: STUNIntegrity) -> Int {
        switch kind {
        case .sha1: integrityOffset
        case .sha256: integritySHA256Offset
        }
    }
}

/// What one pass over the attributes finds.
private struct Places {
    /// Where those that count end; nil: with the message.
    var end: Int?
    var integrity = 0
    var integritySHA256 = 0

    init(_ bytes: RawSpan) throws(STUNError) {
        var offset = STUNMessage.headerByteCount
        var count = 0
        while offset < bytes.byteCount {
            count += 1
            guard count <= STUNMessage.Limits.attributes else { throw .tooManyAttributes }
            guard let attribute = STUNAttribute(in: bytes, at: offset) else {
                throw .truncatedAttribute(offset: offset)
            }
            guard attribute.type.permits(bytes.extracting(attribute.range)) else {
                throw .badAttribute(attribute.type)
            }
            try note(attribute, in: bytes)
            offset = attribute.end
        }
    }

    private mutating func note(_ attribute: STUNAttribute, in bytes: RawSpan) throws(STUNError) {
        let offset = attribute.range.lowerBound - 4
        switch attribute.type {
        case .integrity where integrity == 0 && integritySHA256 == 0:
            integrity = offset
            end = end ?? offset
        case .integritySHA256 where integritySHA256 == 0:
            integritySHA256 = offset
            end = end ?? offset
        case .fingerprint:
            guard attribute.end == bytes.byteCount else { throw .misplacedFingerprint }
            let crc = CRC32.checksum(bytes.extracting(first: offset))
            guard bytes.uint32(at: offset + 4) == crc ^ CRC32.fingerprintMask else {
                throw .badFingerprint
            }
            end = end ?? offset
        default: break
        }
    }
}

/// One attribute of a message: what it is, and where its value lies.
public struct STUNAttribute: Sendable, Equatable {
    /// What it is.
    public let type: STUNAttributeType
    /// Its value without padding, in the message.
    public let range: Range<Int>

    /// Where the next one begins: values are padded to 4 bytes.
    var end: Int { (range.upperBound + 3) & ~3 }

    /// nil: it reaches past the end.
    init?(in bytes: RawSpan, at offset: Int) {
        guard bytes.byteCount - offset >= 4 else { return nil }
        let count = Int(bytes.uint16(at: offset + 2))
        guard (count + 3) & ~3 <= bytes.byteCount - offset - 4 else { return nil }
        type = STUNAttributeType(rawValue: bytes.uint16(at: offset))
        range = offset + 4..<offset + 4 + count
    }
}
