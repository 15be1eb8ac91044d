/// Why bytes were refused as an IP packet or as what one carries.
public enum PacketError: Error, Hashable, Sendable {
    /// A header or the packet goes on beyond the bytes that are there.
    case truncated(available: Int, need: Int)
    /// The version is neither 4 nor 6, or not the one that the view is for.
    case badVersion(UInt8)
    /// A header length, in bytes, is too small for its header or too large for the packet.
    case badHeaderLength(Int)
    /// A length field, in bytes, is too small for its header or too large for the packet.
    case badLength(field: Int, available: Int)
    /// An IPv4 option is malformed.
    case badOption(UInt8)
    /// More IPv6 extension headers than ``PacketHeader/Limits/extensionHeaders``, or hop-by-hop
    /// options not in the first place (RFC 8200 4.1).
    case badExtensionHeaders
    /// The sender names routers to pass (RFC 791 source route not yet at its end, RFC 8200 4.4 with
    /// segments left); ``SourceRoute`` reads it.
    case sourceRoute
    /// An IPv6 packet from or to an IPv4-mapped address, which none may have on the wire: here it
    /// would be taken for IPv4.
    case mappedAddress
    /// The fragment ends beyond 65,535 bytes of the whole.
    case badFragment

    /// A stable name for counters.
    public var label: String {
        switch self {
        case .truncated: "truncated"
        case .badVersion: "bad_version"
        case .badHeaderLength: "bad_header_length"
        case .badLength: "bad_length"
        case .badOption: "bad_option"
        case .badExtensionHeaders: "bad_extension_headers"
        case .sourceRoute: "source_route"
        case .mappedAddress: "mapped_address"
        case .badFragment: "bad_fragment"
        }
    }
}
