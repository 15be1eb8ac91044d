public import DNS
internal import SansIO

/// Asks the nameservers that a core cannot ask by one datagram around the tunnel.
public struct UpstreamDialer: Sendable {
    private let mark: UInt32?

    /// - Parameter mark: The firewall mark that keeps questions out of the tunnel.
    public init(mark: UInt32?) { self.mark = mark }

    /// The answer's bytes; nil when none came in time.
    public func ask(_ query: UpstreamQuery) async -> [UInt8]? {
        guard query.upstream.transport == .plain, let server = query.upstream.endpoint else {
            return nil
        }
        let exchange = Exchange(
            token: query.token,
            server: server,
            bytes: query.bytes,
            transport: query.transport
        )
        return await StreamExchanger(mark: query.isInTunnel ? nil : mark).ask(exchange)
    }
}
