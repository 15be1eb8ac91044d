/// Why a server refuses (RFC 8489 14.8, RFC 8656 19): a number of three digits, 300…699.
public struct STUNErrorCode: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Another server shall be asked: ALTERNATE-SERVER.
    public static let tryAlternate = STUNErrorCode(rawValue: 300)
    /// The request is malformed, or contradicts itself.
    public static let badRequest = STUNErrorCode(rawValue: 400)
    /// No credentials, or wrong ones; comes with REALM and NONCE.
    public static let unauthenticated = STUNErrorCode(rawValue: 401)
    /// Not to this peer, or not for this user.
    public static let forbidden = STUNErrorCode(rawValue: 403)
    /// An attribute that must be understood is not: UNKNOWN-ATTRIBUTES.
    public static let unknownAttribute = STUNErrorCode(rawValue: 420)
    /// There is no allocation where there must be one, or one where there must be none.
    public static let allocationMismatch = STUNErrorCode(rawValue: 437)
    /// The nonce is too old; comes with a new one.
    public static let staleNonce = STUNErrorCode(rawValue: 438)
    /// No addresses of this family.
    public static let addressFamilyNotSupported = STUNErrorCode(rawValue: 440)
    /// The allocation is another user's.
    public static let wrongCredentials = STUNErrorCode(rawValue: 441)
    /// Only UDP can be relayed.
    public static let unsupportedTransport = STUNErrorCode(rawValue: 442)
    /// The peer's family is not one of the allocation.
    public static let peerFamilyMismatch = STUNErrorCode(rawValue: 443)
    /// This user has as many allocations as it may.
    public static let allocationQuotaReached = STUNErrorCode(rawValue: 486)
    /// Something went wrong; the same request may do better later.
    public static let serverError = STUNErrorCode(rawValue: 500)
    /// No port, or no capacity, is left.
    public static let insufficientCapacity = STUNErrorCode(rawValue: 508)

    /// The words that go with the number on the wire.
    public var reason: String {
        switch self {
        case .tryAlternate: "Try Alternate"
        case .badRequest: "Bad Request"
        case .unauthenticated: "Unauthenticated"
        case .forbidden: "Forbidden"
        case .unknownAttribute: "Unknown Attribute"
        case .allocationMismatch: "Allocation Mismatch"
        case .staleNonce: "Stale Nonce"
        case .addressFamilyNotSupported: "Address Family not Supported"
        case .wrongCredentials: "Wrong Credentials"
        case .unsupportedTransport: "Unsupported Transport Protocol"
        case .peerFamilyMismatch: "Peer Address Family Mismatch"
        case .allocationQuotaReached: "Allocation Quota Reached"
        case .serverError: "Server Error"
        case .insufficientCapacity: "Insufficient Capacity"
        default: "Error"
        }
    }
}
