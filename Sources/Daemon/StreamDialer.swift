public import Bytes
internal import Control
internal import Crypto
internal import IP
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// One way to a relay by a stream.
public struct StreamTarget: Sendable, Hashable {
    /// How the relay is known to be the right one.
    public enum Trust: Sendable, Hashable {
        /// SHA-256 of its certificate.
        case fingerprint([UInt8])
        /// The machine's own authorities speak for this name.
        case name(String)
    }

    /// Where it listens.
    public let endpoint: Endpoint
    /// Nil: plain TCP.
    public let trust: Trust?
    /// The name that is asked for in the handshake.
    public let serverName: String?

    public init(endpoint: Endpoint, trust: Trust?, serverName: String? = nil) {
        (self.endpoint, self.trust, self.serverName) = (endpoint, trust, serverName)
    }
}

/// Makes streams to relays: connections that carry the firewall mark, tried a little apart, of
/// which the first that answers a STUN question is used.
struct StreamDialer: Sendable {
    /// Bounds of an attempt.
    enum Limits {
        /// From the first packet to the relay's answer.
        static var time: TimeAmount { .seconds(8) }
        /// From one attempt to the next.
        static var distance: Duration { .milliseconds(300) }
        /// Attempts of one round.
        static var targets: Int { 8 }
        /// Milliseconds after which a connection whose packets are not acknowledged is over.
        static var userTimeout: Int { 20_000 }
    }

    let mark: UInt32?

    /// The first of `targets` that answers, not started yet.
    ///
    /// - Throws: Why the last attempt failed, when all do.
    func connect(
        to targets: [StreamTarget],
        for host: StreamBridge.Host
    ) async throws -> any Channel {
        try await withThrowingTaskGroup(of: (any Channel).self) { group in
            for (index, target) in targets.prefix(Limits.targets).enumerated() {
                group.addTask {
                    try await Task.sleep(for: Limits.distance * index)
                    let channel = try await attempt(target, host)
                    guard Task.isCancelled else { return channel }
                    channel.close(promise: nil)
                    throw CancellationError()
                }
            }
            var winner: (any Channel)?
            var failure: any Error = ChannelError.eof
            while let result = await group.nextResult() {
                switch result {
                case .success(let channel) where winner == nil:
                    winner = channel
                    group.cancelAll()
                case .success(let channel): channel.close(promise: nil)
                case .failure(let error): failure = error
                }
            }
            guard let winner else { throw failure }
            return winner
        }
    }

    private func attempt(
        _ target: StreamTarget,
        _ host: StreamBridge.Host
    ) async throws -> any Channel {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answered = loop.makePromise(of: Void.self)
        let deadline = loop.scheduleTask(in: Limits.time) {
            answered.fail(ChannelError.connectTimeout(Limits.time))
        }
        defer { deadline.cancel() }
        let channel: any Channel
        do {
            channel = try await MarkedConnection.bootstrap(mark: mark, on: loop)
                .connectTimeout(Limits.time)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(StreamOptions.userTimeout, value: Limits.userTimeout)
                .channelOption(.writeBufferWaterMark, value: StreamOptions.waterMark)
                .channelOption(.maxMessagesPerRead, value: StreamBridge.Limits.readsPerTurn)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        if let tls = try Self.handler(target) { try pipeline.addHandler(tls) }
                        try pipeline.addHandler(
                            StreamBridge(host: host, probe: StreamProbe(), answered: answered)
                        )
                    }
                }
                .connect(
                    host: target.endpoint.address.description,
                    port: Int(target.endpoint.port)
                )
                .get()
        } catch {
            answered.fail(error)
            throw error
        }
        do {
            try await answered.futureResult.get()
        } catch {
            channel.close(promise: nil)
            throw error
        }
        return channel
    }

    private static func handler(_ target: StreamTarget) throws -> NIOSSLClientHandler? {
        guard let trust = target.trust else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["stun.turn"]
        let context: NIOSSLContext
        switch trust {
        case .name(let name):
            context = try NIOSSLContext(configuration: configuration)
            return try NIOSSLClientHandler(context: context, serverHostname: name)
        case .fingerprint(let fingerprint):
            // The certificate itself is known: what names it carries says nothing more.
            configuration.certificateVerification = .noHostnameVerification
            context = try NIOSSLContext(configuration: configuration)
            return try NIOSSLClientHandler(
                context: context,
                serverHostname: target.serverName,
                customVerificationCallback: { chain, promise in
                    let bytes = try? chain.first?.toDERBytes()
                    let isRight = bytes.map { Array(SHA256.hash(data: $0)) == fingerprint }
                    promise.succeed(isRight == true ? .certificateVerified : .failed)
                }
            )
        }
    }
}

/// Options of streams that NIO has no names for, and their buffers.
enum StreamOptions {
    /// TCP_USER_TIMEOUT of Linux.
    static let userTimeout = ChannelOptions.Types.SocketOption(
        level: .tcp,
        name: .init(rawValue: 18)
    )

    /// When a stream counts as full.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(
        low: StreamBridge.Limits.streamByteCount / 4,
        high: StreamBridge.Limits.streamByteCount
    )
}
