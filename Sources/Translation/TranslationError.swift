public import IP

/// Why a packet does not go on as it is.
public enum TranslationError: Error, Hashable, Sendable {
    /// No hop is left (RFC 7915 4.1, 5.1).
    case noHopLeft
    /// The next link carries packets up to `maximumByteCount` of the sender's family (RFC 7915 4.1,
    /// 5.1), and the sender wants none cut.
    case tooBig(maximumByteCount: Int)
    /// A piece of a datagram whose checksum needs all of it: ICMP, or UDP without a checksum. It
    /// may go on once ``Reassembly`` has joined it (RFC 6146 3.4).
    case needsReassembly
    /// A large packet of which each segment must be cut: it may go on segment by segment.
    case needsSegmenting
    /// The source is not of one host, or of no network (RFC 7915 4.1, 5.1).
    case illegalSource
    /// The destination is not of one host, or of no network.
    case illegalDestination
    /// The given addresses are not of the other family.
    case wrongFamily
    /// The IPv4 header's checksum is wrong (RFC 1812 5.2.2).
    case badHeaderChecksum
    /// The checksum of an ICMP error is wrong (RFC 5508 REQ-3).
    case badErrorChecksum
    /// IGMP, which is for one link (RFC 7915 4.2).
    case groupManagement
    /// An ICMP message without a counterpart (RFC 7915 4.2, 5.2).
    case untranslatableMessage(type: UInt8, code: UInt8)
    /// A parameter problem with a field that the other family has not (RFC 7915 4.2, 5.2).
    case untranslatablePointer(UInt32)
    /// An ICMP error about an ICMP error, or about a message that is not translated (RFC 7915 4.3,
    /// 5.3).
    case nestedError
    /// The packet that an ICMP error quotes cannot be read.
    case badQuotation
    /// A piece that more follow, and whose bytes are not a multiple of 8: nothing can follow it
    /// (RFC 791 3.2, RFC 8200 4.5).
    case badFragment
    /// A piece of an IPv6 packet with an extension header behind the fragment header (RFC 7915
    /// 5.1.1).
    case extensionInFragment
    /// The offload does not fit the packet.
    case badOffload
    /// The packet is larger than the other family allows, or than the buffer.
    case noRoom

    /// What the sender is told; nil when nothing.
    public var refusal: Refusal? {
        switch self {
        case .noHopLeft: .timeExceeded
        case .tooBig(let maximumByteCount): .packetTooBig(maximumByteCount: maximumByteCount)
        default: nil
        }
    }

    /// A stable name for counters.
    public var label: String {
        switch self {
        case .noHopLeft: "no_hop_left"
        case .tooBig: "too_big"
        case .needsReassembly: "needs_reassembly"
        case .needsSegmenting: "needs_segmenting"
        case .illegalSource: "illegal_source"
        case .illegalDestination: "illegal_destination"
        case .wrongFamily: "wrong_family"
        case .badHeaderChecksum: "bad_header_checksum"
        case .badErrorChecksum: "bad_error_checksum"
        case .groupManagement: "group_management"
        case .untranslatableMessage: "untranslatable_message"
        case .untranslatablePointer: "untranslatable_pointer"
        case .nestedError: "nested_error"
        case .badQuotation: "bad_quotation"
        case .badFragment: "bad_fragment"
        case .extensionInFragment: "extension_in_fragment"
        case .badOffload: "bad_offload"
        case .noRoom: "no_room"
        }
    }
}
