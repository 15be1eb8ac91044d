public import Control
internal import Foundation
public import Logging
internal import Linux
public import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOWebSocket
internal import SansIO
internal import Synchronization

/// The connection of a client, gateway or relay to its portal: WebSocket on TLS, made again
/// whenever it breaks, for ever (behaviour page, section 7).
///
///     waiting ──dial──▶ open ──broken, refused──▶ waiting (back-off, or the portal's Retry-After)
///                         └──refused: sign in; left──▶ ended
public final class ControlChannel<Incoming: ControlMessage>: Sendable {
    /// Bounds of the channel.
    public enum Limits {
        /// From the first packet to the WebSocket.
        public static var connectTime: TimeAmount { .seconds(15) }
        /// Messages that wait to be written; more are dropped, and asked for again by their timers.
        public static var queuedMessages: Int { 1_000 }
        /// Bytes of a refusal's body.
        public static var refusalByteCount: Int { 64 << 10 }
    }

    /// What happened.
    public enum Event: Sendable {
        /// The channel is open; nothing was said on it yet.
        case opened
        /// The portal said something.
        case message(Incoming)
        /// The portal said something that cannot be read; ask for the whole state.
        case unreadable
        /// The channel is closed; it will be opened again.
        case closed(Sentence)
        /// The portal refused for good; only a person can mend it.
        case refusedForGood(Refusal)
    }

    typealias Frames = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>
    private typealias Plain = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
    private enum Dialled: Sendable {
        case frames(Frames)
        case refused(Plain)
    }

    private let token: Token
    private let mark: UInt32?
    private let lookup: HostLookup
    private let trust: PortalTrust
    private let logger: Logger
    let state = Mutex(State())

    /// - Parameters:
    ///   - token: Names the portal and proves who we are.
    ///   - mark: The firewall mark of its connections.
    ///   - lookup: Finds the portal's addresses.
    ///   - logger: Told of openings, endings and attempts.
    public init(token: Token, mark: UInt32?, lookup: HostLookup, logger: Logger) {
        self.token = token
        self.mark = mark
        self.lookup = lookup
        self.logger = logger
        trust = PortalTrust(token: token, url: token.url)
    }

    /// Queues a message; dropped while the channel is closed.
    public func send(_ message: FromRole) {
        state.withLock { _ = $0.outgoing?.yield(message) }
    }

    /// Queues a message that may also be left out, when there is room.
    ///
    /// - Parameter message: What to say.
    /// - Returns: Whether it was queued.
    public func offer(_ message: FromRole) -> Bool {
        let outcome = state.withLock { $0.outgoing?.yield(message) }
        if case .enqueued = outcome { return true }
        return false
    }

    /// Tells the portal that this role goes, after everything that was queued, and ends ``run(_:)``
    /// without a further event. A gateway's clients are sent elsewhere at once.
    public func leave() {
        state.withLock { state in
            state.isLeaving = true
            state.outgoing?.finish()
            state.alerts?.finish()
        }
    }

    /// Says hello anew, on another connection, after everything that was queued.
    public func reconnect() {
        state.withLock { state in
            state.isHurried = true
            if let outgoing = state.outgoing { outgoing.finish() } else { state.alerts?.finish() }
        }
    }

    /// The host's network is another one: what does not answer within a second is made again, and
    /// who waits to try again tries at once.
    public func networkChanged() {
        state.withLock { state in
            if let alerts = state.alerts { alerts.yield() } else { state.isHurried = true }
        }
    }

    /// Keeps the channel open until the task is cancelled or the portal refuses for good.
    public func run(_ onEvent: @escaping @Sendable (Event) async -> Void) async {
        var backoff = Backoff()
        var random = Kernel.randomSource()
        while !Task.isCancelled {
            let ending = await connectOnce(onEvent)
            if case .refusal(let refusal) = ending, refusal.kind == .signIn {
                await onEvent(.refusedForGood(refusal))
                return
            }
            if state.withLock({ $0.isLeaving }) { return }
            if case .worked = ending { backoff.reset() }
            let delay = backoff.delay(retryAfter: ending.retryAfter, using: &random)
            if !Task.isCancelled { await onEvent(.closed(ending.sentence(portal: token.url))) }
            await pause(delay, canBeCut: ending.retryAfter == nil)
            if state.withLock({ $0.isLeaving }) { return }
        }
    }

    /// Waits, unless there is reason to hurry.
    private func pause(_ delay: Duration, canBeCut: Bool) async {
        let alerts = listen()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(for: delay) }
            group.addTask { for await _ in alerts where canBeCut { return } }
            await group.next()
            group.cancelAll()
        }
        state.withLock { $0.alerts = nil }
    }

    /// Alerts from now on, one from before included.
    func listen() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        state.withLock { state in
            state.alerts = continuation
            if state.isHurried { continuation.yield() }
            if state.isLeaving { continuation.finish() }
            state.isHurried = false
        }
        return stream
    }

    /// What other threads tell the channel.
    struct State {
        /// Messages of the connection that is open.
        var outgoing: AsyncStream<FromRole>.Continuation?
        /// Changes of the network, while somebody listens to them.
        var alerts: AsyncStream<Void>.Continuation?
        /// The next pause is to be cut.
        var isHurried = false
        var isLeaving = false
    }

    private enum Ending {
        case worked(Sentence)
        case failed(Sentence)
        case refusal(Refusal)

        var retryAfter: Duration? {
            guard case .refusal(let refusal) = self else { return nil }
            return refusal.retryAfterSeconds.map { .seconds(Int64($0)) }
        }

        func sentence(portal: PortalURL) -> Sentence {
            switch self {
            case .worked(let sentence), .failed(let sentence): sentence
            case .refusal(let refusal):
                Sentence("The portal at \(portal) says: \(refusal.sentence)")
            }
        }
    }

    private func connectOnce(_ onEvent: @escaping @Sendable (Event) async -> Void) async -> Ending {
        let dialled: Dialled
        do { dialled = try await dial() } catch {
            return .failed(
                trust.lastFailure
                    ?? Sentence(
                        "The portal at \(token.url) cannot be reached: \(Self.reason(error))."
                    )
            )
        }
        switch dialled {
        case .refused(let plain): return await Self.refusal(of: plain)
        case .frames(let frames):
            var state = Conversation()
            do {
                try await converse(on: frames, &state, onEvent)
            } catch {
                logger.debug("control channel ended", metadata: ["error": "\(error)"])
            }
            if let refusal = state.refusal { return .refusal(refusal) }
            let sentence = Sentence("The connection to the portal at \(token.url) was lost.")
            return state.worked ? .worked(sentence) : .failed(sentence)
        }
    }

    // MARK: - Dialling

    private func dial() async throws -> Dialled {
        let future: EventLoopFuture<Dialled> = try await MarkedConnection.bootstrap(mark: mark)
            .resolver(lookup)
            .connectTimeout(Limits.connectTime)
            .connect(host: token.url.host, port: Int(token.url.port)) { [self] channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel) }
            }
        return try await future.get()
    }

    private func prepare(_ channel: any Channel) throws -> EventLoopFuture<Dialled> {
        try channel.pipeline.syncOperations.addHandler(trust.handler())
        let upgrader = NIOTypedWebSocketClientUpgrader<Dialled>(maxFrameSize: 1 << 20) {
            channel,
            _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 1,
                        maxAccumulatedFrameCount: 64,
                        maxAccumulatedFrameSize: 1 << 20
                    )
                )
                return .frames(try Frames(wrappingChannelSynchronously: channel))
            }
        }
        let url = token.url
        let head = HTTPRequestHead(
            version: .http1_1,
            method: .GET,
            uri: controlPath,
            headers: [
                "host": url.port == 443 ? url.host : "\(url.host):\(url.port)",
                "authorization": "Bearer \(token.text)", "content-length": "0",
            ]
        )
        var pipeline = NIOUpgradableHTTPClientPipelineConfiguration<Dialled>(
            upgradeConfiguration: .init(upgradeRequestHead: head, upgraders: [upgrader]) {
                channel in
                channel.eventLoop.makeCompletedFuture {
                    .refused(try Plain(wrappingChannelSynchronously: channel))
                }
            }
        )
        // The default drops what came in one packet with the 101.
        pipeline.leftOverBytesStrategy = .forwardBytes
        return try channel.pipeline.syncOperations
            .configureUpgradableHTTPClientPipeline(configuration: pipeline)
    }

    private static func refusal(of plain: Plain) async -> Ending {
        var status: UInt = 0
        var retryAfter: UInt32?
        var body = Data()
        try? await plain.executeThenClose { inbound, _ in
            for try await part in inbound {
                switch part {
                case .head(let head):
                    status = head.status.code
                    retryAfter = head.headers.first(name: "retry-after").flatMap(UInt32.init)
                case .body(let buffer):
                    guard body.count < Limits.refusalByteCount else { return }
                    body.append(contentsOf: buffer.readableBytesView)
                case .end: return
                }
            }
        }
        if let refusal = try? JSONDecoder().decode(Refusal.self, from: body) {
            return .refusal(refusal)
        }
        // Whoever answered so is not the portal itself, so it cannot end a token.
        let sentence = "What answers there is not a portal, or is one in trouble (HTTP \(status))."
        let kind: Refusal.Kind = retryAfter == nil ? .retry : .retryAfter
        return .refusal(Refusal(.fault, kind, sentence, retryAfterSeconds: retryAfter))
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: Sentence.word(for: error.errnoCode)
        case let error as NIOConnectionError:
            error.connectionErrors.last.map { reason($0.error) } ?? "its name has no address"
        case ChannelError.connectTimeout: "no answer in time"
        default: "\(error)"
        }
    }
}
