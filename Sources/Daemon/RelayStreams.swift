public import Bytes
public import Control
internal import IP
public import Logging
internal import NIOCore
internal import NIOSSL
internal import Linux
internal import Synchronization

/// The streams of a client or gateway to relays that it does not reach by UDP: one for each relay
/// that its core asks for, made again whenever it breaks, until the core needs it no longer.
public final class RelayStreams: Sendable {
    private struct Wanted {
        let targets: [StreamTarget]
        let task: Task<Void, Never>
    }

    private let port: UInt16
    private let dialer: StreamDialer
    private let logger: Logger
    private let onStream: @Sendable (RelayID, Endpoint?) async -> Void
    private let wanted = Mutex<[RelayID: Wanted]>([:])

    /// What all streams have done so far.
    public let counters = StreamCounters()

    /// - Parameters:
    ///   - port: The main UDP port of the packet loop.
    ///   - mark: The firewall mark that keeps the connections out of the tunnel.
    ///   - logger: Told of streams that come and go.
    ///   - onStream: Told where a relay's stream is reached on loopback; nil when it broke.
    public init(
        port: UInt16,
        mark: UInt32?,
        logger: Logger,
        onStream: @escaping @Sendable (RelayID, Endpoint?) async -> Void
    ) {
        self.port = port
        dialer = StreamDialer(mark: mark)
        self.logger = logger
        self.onStream = onStream
    }

    deinit { stop() }

    /// Keeps a stream to `relay`, by TLS where it offers that. The same again does nothing.
    public func connect(_ relay: RelayForRole) {
        let targets = Self.targets(of: relay)
        wanted.withLock { wanted in
            guard wanted[relay.id]?.targets != targets else { return }
            wanted[relay.id]?.task.cancel()
            let task = Task { [self] in await keep(relay.id, targets) }
            wanted[relay.id] = Wanted(targets: targets, task: task)
        }
    }

    /// The stream to this relay is not needed any more.
    public func disconnect(_ id: RelayID) {
        wanted.withLock { $0.removeValue(forKey: id)?.task.cancel() }
    }

    /// Ends all streams.
    public func stop() {
        wanted.withLock { wanted in
            for entry in wanted.values { entry.task.cancel() }
            wanted = [:]
        }
    }

    /// The ways to a relay, the one that networks let through most often first.
    static func targets(of relay: RelayForRole) -> [StreamTarget] {
        let trust =
            relay.tlsFingerprint.flatMap { [UInt8](hexadecimal: $0) }
            .map { StreamTarget.Trust.fingerprint($0) } ?? relay.tlsName.map { .name($0) }
        let tls = trust.map { trust in
            relay.tls.map {
                StreamTarget(endpoint: $0, trust: trust, serverName: relay.tlsName)
            }
        }
        return (tls ?? []) + relay.tcp.map { StreamTarget(endpoint: $0, trust: nil) }
    }

    private func keep(_ id: RelayID, _ targets: [StreamTarget]) async {
        var backoff = Backoff()
        var random = Kernel.randomSource()
        let onStream = onStream
        let host = StreamBridge.Host(
            port: port,
            counters: counters,
            opened: { endpoint in await onStream(id, endpoint) },
            closed: { _ in if !Task.isCancelled { await onStream(id, nil) } }
        )
        while !Task.isCancelled, !targets.isEmpty {
            do {
                let channel = try await dialer.connect(to: targets, for: host)
                backoff.reset()
                logger.info("stream to relay", metadata: ["relay": "\(id.text)"])
                await use(channel)
                logger.info("stream to relay ended", metadata: ["relay": "\(id.text)"])
            } catch {
                logger.debug(
                    "no stream to relay",
                    metadata: ["relay": "\(id.text)", "error": "\(error)"]
                )
            }
            try? await Task.sleep(for: backoff.delay(using: &random))
        }
    }

    /// Starts the stream, and returns when it is over; cancelling ends it.
    private func use(_ channel: any Channel) async {
        await withTaskCancellationHandler {
            channel.triggerUserOutboundEvent(StreamBridge.Start(), promise: nil)
            try? await channel.closeFuture.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

extension [UInt8] {
    /// The bytes that hexadecimal digits say, two a byte; nil when they are none.
    init?(hexadecimal text: String) {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0 else { return nil }
        self = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            append(UInt8(high << 4 | low))
        }
    }
}
