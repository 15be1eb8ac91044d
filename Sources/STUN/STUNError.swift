/// Why bytes are no STUN message that can be used.
public enum STUNError: Error, Equatable, Sendable {
    /// No STUN header: first bits, magic cookie or size.
    case notSTUN
    /// The header's length is not that of what follows it.
    case badLength(Int)
    /// An attribute reaches past the end; its offset.
    case truncatedAttribute(offset: Int)
    /// An attribute that is known, with a value that it cannot have.
    case badAttribute(STUNAttributeType)
    /// More attributes than are looked at.
    case tooManyAttributes
    /// Something after FINGERPRINT, which is to be the last.
    case misplacedFingerprint
    /// FINGERPRINT is not that of the message.
    case badFingerprint
    /// No channel data: number or length.
    case notChannelData

    /// A stable name, for counters.
    public var label: String {
        switch self {
        case .notSTUN: "not-stun"
        case .badLength: "bad-length"
        case .truncatedAttribute: "truncated-attribute"
        case .badAttribute: "bad-attribute"
        case .tooManyAttributes: "too-many-attributes"
        case .misplacedFingerprint: "misplaced-fingerprint"
        case .badFingerprint: "bad-fingerprint"
        case .notChannelData: "not-channel-data"
        }
    }
}
