public import SansIO

/// A query for a nameserver that cannot be asked by one datagram around the tunnel: by TCP, TLS or
/// HTTPS, or through the tunnel as any program's traffic.
public struct UpstreamQuery: Hashable, Sendable {
    /// The core's name for it; comes back with the answer.
    public let token: UInt64
    /// Whom to ask.
    public let upstream: Upstream
    /// For a plain upstream: by a datagram or by TCP.
    public let transport: Exchange.Transport
    /// Whether it goes through the tunnel: the upstream lies in a resource, or is a gateway.
    public let isInTunnel: Bool
    /// The query, as sent.
    public let bytes: [UInt8]

    public init(
        token: UInt64,
        upstream: Upstream,
        transport: Exchange.Transport,
        isInTunnel: Bool,
        bytes: [UInt8]
    ) {
        (self.token, self.upstream, self.transport) = (token, upstream, transport)
        (self.isInTunnel, self.bytes) = (isInTunnel, bytes)
    }
}
