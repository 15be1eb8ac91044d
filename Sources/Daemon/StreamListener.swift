public import Bytes
public import IP
public import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// Accepts streams at a relay, by TCP or by TLS, and bridges each to the packet loop.
///
/// A connection costs the loop nothing until its first whole message has come.
public final class StreamListener: Sendable {
    /// Bounds of what is accepted.
    public enum Limits {
        /// Connections of all listeners of one process together.
        public static var connections: Int { 4_096 }
        /// Connections of one source: an IPv4 address, or an IPv6 network of 64 bits.
        public static var connectionsPerSource: Int { 128 }
        /// Milliseconds after which a connection whose packets are not acknowledged is over.
        static var userTimeout: Int { 60_000 }
    }

    /// What all listeners of one relay share.
    private struct Shared {
        var countOfSource: [IPAddress: Int] = [:]
        var count = 0
        var channelOfBridge: [Endpoint: any Channel] = [:]
        var listeners: [any Channel] = []
    }

    private let port: UInt16
    private let logger: Logger
    private let onOpened: @Sendable (_ bridge: Endpoint, _ client: Endpoint) async -> Void
    private let onClosed: @Sendable (_ bridge: Endpoint) async -> Void
    private let shared = Mutex(Shared())

    /// What all streams have done so far.
    public let counters = StreamCounters()

    /// - Parameters:
    ///   - port: The main UDP port of the packet loop.
    ///   - logger: Told of failures.
    ///   - onOpened: Told of a stream before its first message reaches the loop.
    ///   - onClosed: Told when it is over.
    public init(
        port: UInt16,
        logger: Logger,
        onOpened: @escaping @Sendable (_ bridge: Endpoint, _ client: Endpoint) async -> Void,
        onClosed: @escaping @Sendable (_ bridge: Endpoint) async -> Void
    ) {
        self.port = port
        self.logger = logger
        (self.onOpened, self.onClosed) = (onOpened, onClosed)
    }

    /// Listens on `port` of each of `addresses`, or of the whole host when there are none.
    ///
    /// - Parameters:
    ///   - addresses: Of this machine.
    ///   - port: 0 for any.
    ///   - certificate: Nil for plain TCP.
    /// - Returns: The port.
    /// - Throws: ``Sentence`` when an address cannot be listened on; without addresses only when
    ///   neither family can.
    @discardableResult
    public func listen(
        on addresses: [IPAddress],
        port: UInt16,
        certificate: StreamCertificate? = nil
    ) async throws -> UInt16 {
        guard addresses.isEmpty else {
            var taken = port
            for address in addresses { taken = try await bind(address, taken, certificate) }
            return taken
        }
        let four: Result<UInt16, Sentence>
        do throws(Sentence) {
            four = .success(try await bind(IPAddress(ipv4: 0), port, certificate))
        } catch { four = .failure(error) }
        let wanted = (try? four.get()) ?? port
        do throws(Sentence) {
            return try await bind(IPAddress(high: 0, low: 0), wanted, certificate)
        } catch {
            return try four.get()
        }
    }

    /// Ends the stream behind `bridge`.
    public func close(_ bridge: Endpoint) {
        shared.withLock { $0.channelOfBridge[bridge] }?.close(promise: nil)
    }

    /// Listens no more, and ends all streams.
    public func stop() {
        let channels = shared.withLock { shared in
            defer { shared.listeners = [] }
            return shared.listeners + shared.channelOfBridge.values
        }
        for channel in channels { channel.close(promise: nil) }
    }

    private func bind(
        _ address: IPAddress,
        _ port: UInt16,
        _ certificate: StreamCertificate?
    ) async throws(Sentence) -> UInt16 {
        do {
            var bootstrap = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: 1_024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            if !address.isIPv4 {
                let alone = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
                bootstrap = bootstrap.serverChannelOption(alone, value: 1)
            }
            let listener =
                try await bootstrap
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(StreamOptions.userTimeout, value: Limits.userTimeout)
                .childChannelOption(.writeBufferWaterMark, value: StreamOptions.waterMark)
                .childChannelOption(
                    .maxMessagesPerRead,
                    value: StreamBridge.Limits.readsPerTurn
                )
                .childChannelInitializer { [self] channel in
                    channel.eventLoop.makeCompletedFuture { try accept(channel, certificate) }
                }
                .bind(host: address.description, port: Int(port))
                .get()
            shared.withLock { $0.listeners.append(listener) }
            return UInt16(truncatingIfNeeded: listener.localAddress?.port ?? Int(port))
        } catch {
            throw Self.sentence(error, Endpoint(address, port: port), certificate != nil)
        }
    }

    private static func sentence(
        _ error: any Error,
        _ endpoint: Endpoint,
        _ isTLS: Bool
    ) -> Sentence {
        let what = "\(isTLS ? "TLS" : "TCP") on \(endpoint)"
        guard let error = error as? IOError else {
            return Sentence("\(what) cannot be listened on: \(error).")
        }
        return switch error.errnoCode {
        case EADDRINUSE:
            Sentence(
                "\(what) cannot be listened on: another program uses the port; stop it, or choose "
                    + "another port with \(isTLS ? "--tls-listen" : "--listen")."
            )
        case EACCES:
            Sentence(
                "\(what) cannot be listened on: ports below 1024 need privilege; run as root or "
                    + "with CAP_NET_BIND_SERVICE, or choose a higher port with "
                    + "\(isTLS ? "--tls-listen" : "--listen")."
            )
        case EADDRNOTAVAIL:
            Sentence("\(what) cannot be listened on: this machine has no such address.")
        default:
            Sentence("\(what) cannot be listened on: \(Sentence.word(for: error.errnoCode)).")
        }
    }
}

// MARK: - One connection

extension StreamListener {
    private func accept(_ channel: any Channel, _ certificate: StreamCertificate?) throws {
        guard let client = channel.remoteAddress.flatMap({ Endpoint($0) }),
            admit(client.address)
        else {
            counters.countRefused()
            throw ChannelError.ioOnClosedChannel
        }
        let source = client.address
        channel.closeFuture.whenComplete { [self] _ in dismiss(source) }
        let pipeline = channel.pipeline.syncOperations
        if let certificate {
            try pipeline.addHandler(NIOSSLServerHandler(context: certificate.context))
        }
        try pipeline.addHandler(IdleStateHandler(allTimeout: StreamBridge.Limits.idleTime))
        let host = StreamBridge.Host(
            port: port,
            counters: counters,
            opened: { [self] bridge in
                shared.withLock { $0.channelOfBridge[bridge] = channel }
                await onOpened(bridge, client)
            },
            closed: { [self] bridge in
                _ = shared.withLock { $0.channelOfBridge.removeValue(forKey: bridge) }
                await onClosed(bridge)
            }
        )
        try pipeline.addHandler(StreamBridge(host: host))
    }

    /// Makes room for one more connection of `address`; false when there is none.
    private func admit(_ address: IPAddress) -> Bool {
        let source = Self.source(address)
        return shared.withLock { shared in
            let count = shared.countOfSource[source] ?? 0
            guard shared.count < Limits.connections, count < Limits.connectionsPerSource else {
                return false
            }
            shared.countOfSource[source] = count + 1
            shared.count += 1
            return true
        }
    }

    private func dismiss(_ address: IPAddress) {
        let source = Self.source(address)
        shared.withLock { shared in
            shared.count -= 1
            let count = (shared.countOfSource[source] ?? 1) - 1
            shared.countOfSource[source] = count > 0 ? count : nil
        }
    }

    /// Who counts as one source.
    private static func source(_ address: IPAddress) -> IPAddress {
        address.isIPv4 ? address : IPAddress(high: address.high, low: 0)
    }
}
