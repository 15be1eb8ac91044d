internal import Bytes

/// What an attribute is (RFC 8489 18.3, RFC 8656 18); below 0x8000 it must be understood.
public struct STUNAttributeType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether who does not understand it must refuse the message.
    public var mustBeUnderstood: Bool { rawValue < 0x8000 }

    /// MAPPED-ADDRESS.
    public static let mappedAddress = STUNAttributeType(rawValue: 0x0001)
    /// USERNAME.
    public static let username = STUNAttributeType(rawValue: 0x0006)
    /// MESSAGE-INTEGRITY, HMAC-SHA1.
    public static let integrity = STUNAttributeType(rawValue: 0x0008)
    /// ERROR-CODE.
    public static let errorCode = STUNAttributeType(rawValue: 0x0009)
    /// UNKNOWN-ATTRIBUTES.
    public static let unknownAttributes = STUNAttributeType(rawValue: 0x000a)
    /// CHANNEL-NUMBER.
    public static let channelNumber = STUNAttributeType(rawValue: 0x000c)
    /// LIFETIME, in seconds.
    public static let lifetime = STUNAttributeType(rawValue: 0x000d)
    /// XOR-PEER-ADDRESS.
    public static let xorPeerAddress = STUNAttributeType(rawValue: 0x0012)
    /// DATA.
    public static let data = STUNAttributeType(rawValue: 0x0013)
    /// REALM.
    public static let realm = STUNAttributeType(rawValue: 0x0014)
    /// NONCE.
    public static let nonce = STUNAttributeType(rawValue: 0x0015)
    /// XOR-RELAYED-ADDRESS.
    public static let xorRelayedAddress = STUNAttributeType(rawValue: 0x0016)
    /// REQUESTED-ADDRESS-FAMILY.
    public static let requestedAddressFamily = STUNAttributeType(rawValue: 0x0017)
    /// EVEN-PORT.
    public static let evenPort = STUNAttributeType(rawValue: 0x0018)
    /// REQUESTED-TRANSPORT.
    public static let requestedTransport = STUNAttributeType(rawValue: 0x0019)
    /// DONT-FRAGMENT.
    public static let dontFragment = STUNAttributeType(rawValue: 0x001a)
    /// MESSAGE-INTEGRITY-SHA256.
    public static let integritySHA256 = STUNAttributeType(rawValue: 0x001c)
    /// PASSWORD-ALGORITHM.
    public static let passwordAlgorithm = STUNAttributeType(rawValue: 0x001d)
    /// USERHASH.
    public static let userHash = STUNAttributeType(rawValue: 0x001e)
    /// XOR-MAPPED-ADDRESS.
    public static let xorMappedAddress = STUNAttributeType(rawValue: 0x0020)
    /// RESERVATION-TOKEN.
    public static let reservationToken = STUNAttributeType(rawValue: 0x0022)
    /// ADDITIONAL-ADDRESS-FAMILY.
    public static let additionalAddressFamily = STUNAttributeType(rawValue: 0x8000)
    /// ADDITIONAL-ADDRESS-FAMILY as coturn 4.6 numbers it, after an early draft.
    public static let additionalAddressFamilyOfDraft = STUNAttributeType(rawValue: 0x8032)
    /// ADDRESS-ERROR-CODE.
    public static let addressErrorCode = STUNAttributeType(rawValue: 0x8001)
    /// PASSWORD-ALGORITHMS.
    public static let passwordAlgorithms = STUNAttributeType(rawValue: 0x8002)
    /// ALTERNATE-DOMAIN.
    public static let alternateDomain = STUNAttributeType(rawValue: 0x8003)
    /// ICMP.
    public static let icmp = STUNAttributeType(rawValue: 0x8004)
    /// SOFTWARE.
    public static let software = STUNAttributeType(rawValue: 0x8022)
    /// ALTERNATE-SERVER.
    public static let alternateServer = STUNAttributeType(rawValue: 0x8023)
    /// FINGERPRINT.
    public static let fingerprint = STUNAttributeType(rawValue: 0x8028)
}

extension STUNAttributeType {
    /// Bytes of a user name (RFC 8489 14.3).
    static var usernameByteCountMax: Int { 508 }
    /// Bytes of a realm, a nonce or a reason (RFC 8489 14.9, 14.10).
    static var textByteCountMax: Int { 763 }

    /// Whether `value` is one that the attribute can have; true for what is not known.
    func permits(_ value: RawSpan) -> Bool {
        let count = value.byteCount
        switch self {
        case .mappedAddress, .alternateServer, .xorPeerAddress, .xorRelayedAddress,
            .xorMappedAddress:
            return count == 8 && value.byte(at: 1) == 1 || count == 20 && value.byte(at: 1) == 2
        case .errorCode, .addressErrorCode:
            return count >= 4 && count <= 4 + Self.textByteCountMax
                && (3...6).contains(value.byte(at: 2) & 7) && value.byte(at: 3) < 100
        case .channelNumber, .lifetime, .requestedAddressFamily, .additionalAddressFamily,
            .additionalAddressFamilyOfDraft, .requestedTransport, .fingerprint:
            return count == 4
        case .integrity: return count == 20
        case .integritySHA256: return (16...32).contains(count) && count % 4 == 0
        case .username: return count <= Self.usernameByteCountMax
        case .realm, .nonce: return count <= Self.textByteCountMax
        case .unknownAttributes: return count % 2 == 0
        case .evenPort: return count == 1
        case .dontFragment: return count == 0
        case .userHash: return count == 32
        case .reservationToken, .icmp: return count == 8
        case .passwordAlgorithm: return count >= 4
        default: return true
        }
    }
}
