internal import Bytes

/// A packet whose sender names routers to pass, which ``PacketHeader`` refuses: what is needed to
/// tell the sender.
public struct SourceRoute: Hashable, Sendable {
    /// The rest of the packet.
    public let header: PacketHeader
    /// Where the route lies: the first option (IPv4), the segments left (IPv6), in bytes from the
    /// packet's start.
    public let offset: Int

    /// - Returns: Nil when the packet names no routers, or cannot be read.
    public init?(_ packet: RawSpan) {
        var route: Int?
        let header = try? PacketHeader(packet, isEmbedded: false, route: &route)
        guard let header, let route else { return nil }
        (self.header, offset) = (header, route)
    }

    /// What its sender is told (RFC 1812 5.2.4.1, RFC 8200 4.4, RFC 7915 4.1 and 5.1).
    public var refusal: Refusal { .sourceRouteFailed(pointer: offset) }
}
