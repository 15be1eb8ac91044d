internal import DNS
internal import NIOCore
internal import NIOPosix

/// Where a nameserver is reached, and how a connection to it is made.
struct UpstreamTarget: Sendable {
    /// Bounds of an attempt.
    enum Limits {
        /// From the first packet to the connection, and for the handshake again.
        static var time: TimeAmount { .seconds(5) }
    }

    /// The nameserver.
    let upstream: Upstream
    /// The firewall mark; nil: through the tunnel, as any program's.
    let mark: UInt32?
    /// Finds the addresses of names; the quicker of several is used (RFC 8305).
    let lookup: HostLookup

    /// Connects and sets the channel up.
    ///
    /// - Throws: What the last attempt's error was.
    func connect<Output: Sendable>(
        _ setUp: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) async throws -> Output {
        try await MarkedConnection.bootstrap(mark: mark)
            .resolver(lookup)
            .connectTimeout(Limits.time)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(
                host: upstream.host,
                port: Int(upstream.port),
                channelInitializer: setUp
            )
    }
}
