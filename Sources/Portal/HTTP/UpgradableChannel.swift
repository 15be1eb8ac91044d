internal import HTTPTypes
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOSSL
internal import NIOWebSocket
internal import Synchronization

/// A WebSocket as whole frames, after the upgrade.
typealias FrameChannel = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

/// Who may open a WebSocket, and what happens on it.
protocol WebSocketDoor: Sendable {
    /// What is known of an admitted caller.
    associatedtype Caller: Sendable

    /// Decides on an upgrade request; the caller's claims are in its headers.
    func admit(_ head: HTTPRequestHead, from remote: SocketAddress?) async -> Admission<Caller>

    /// Speaks with an admitted caller until either side ends it.
    func serve(_ caller: Caller, over frames: FrameChannel) async
}

/// The answer to an upgrade request.
enum Admission<Caller: Sendable>: Sendable {
    case accept(Caller)
    /// Status and a JSON body; seconds for `Retry-After`.
    case refuse(HTTPResponseStatus, body: String, retryAfter: Int?)
}

/// One connection that serves plain requests, or becomes a WebSocket when its first request asks
/// so.
struct UpgradableChannel<Door: WebSocketDoor>: HTTPChannelHandler {
    enum Negotiated: Sendable {
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
        case frames(FrameChannel, Door.Caller)
        case refused
    }
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let negotiated: EventLoopFuture<Negotiated>
    }
    /// NIO drops a refused upgrade request instead of replaying it, so its answer is written here.
    private final class Verdict: Sendable {
        let admission = Mutex<Admission<Door.Caller>?>(nil)
    }

    let responder: Responder
    let door: Door
    /// What TLS is served with; nil on the local socket.
    let identity: ServerIdentity?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let identity {
                try pipeline.addHandler(NIOSSLServerHandler(context: identity.context))
            }
            let verdict = Verdict()
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration<Negotiated>(
                upgradeConfiguration: .init(upgraders: [upgrader(verdict)]) { channel in
                    notUpgraded(channel, verdict)
                }
            )
            configuration.enablePipelining = false  // NIOAsyncChannel does it
            return Value(
                channel: channel,
                negotiated: try pipeline.configureUpgradableHTTPServerPipeline(
                    configuration: configuration
                )
            )
        }
    }

    func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.negotiated.get() {
            case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
            case .frames(let channel, let caller): await door.serve(caller, over: channel)
            case .refused: break
            }
        } catch {
            logger.debug("connection ended", metadata: ["error": "\(error)"])
            value.channel.close(promise: nil)
        }
    }

    private func upgrader(_ verdict: Verdict) -> NIOTypedWebSocketServerUpgrader<Negotiated> {
        NIOTypedWebSocketServerUpgrader(
            maxFrameSize: ControlConnection.Limits.frameByteCount
        ) { channel, head in
            channel.eventLoop.makeFutureWithTask {
                let admission = await door.admit(head, from: channel.remoteAddress)
                verdict.admission.withLock { $0 = admission }
                if case .accept = admission { return HTTPHeaders() }
                return nil
            }
        } upgradePipelineHandler: { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                guard case .accept(let caller) = verdict.admission.withLock({ $0 }) else {
                    return .refused
                }
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 1,
                        maxAccumulatedFrameCount: 64,
                        maxAccumulatedFrameSize: ControlConnection.Limits.frameByteCount
                    )
                )
                return .frames(try FrameChannel(wrappingChannelSynchronously: channel), caller)
            }
        }
    }

    private func notUpgraded(
        _ channel: any Channel,
        _ verdict: Verdict
    ) -> EventLoopFuture<Negotiated> {
        if case .refuse(let status, let body, let retryAfter) = verdict.admission.withLock({ $0 }) {
            return refuse(channel, status, body, retryAfter)
        }
        return channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: identity != nil))
            try pipeline.addHandler(IdleStateHandler(readTimeout: .seconds(Int64(75))))
            try pipeline.addHandler(HTTPConnectionLife())
            return .http(
                try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true)
                )
            )
        }
    }

    private func refuse(
        _ channel: any Channel,
        _ status: HTTPResponseStatus,
        _ body: String,
        _ retryAfter: Int?
    ) -> EventLoopFuture<Negotiated> {
        var headers: HTTPHeaders = [
            "content-length": "\(body.utf8.count)",
            "content-type": "application/json",
            "connection": "close",
        ]
        if let retryAfter { headers.add(name: "retry-after", value: "\(retryAfter)") }
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        channel.write(
            HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: body))),
            promise: nil
        )
        return channel.writeAndFlush(HTTPServerResponsePart.end(nil))
            .flatMap { channel.close() }
            .map { .refused }
    }
}

/// Ends a plain HTTP connection that nobody uses: when idle for long, and when the server stops.
private final class HTTPConnectionLife: ChannelDuplexHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var requestsInProgress = 0
    private var isStopping = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) { requestsInProgress += 1 }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else {
            return context.write(data, promise: promise)
        }
        requestsInProgress -= 1
        let written = promise ?? context.eventLoop.makePromise(of: Void.self)
        if isStopping, requestsInProgress == 0 {
            let channel = context.channel
            written.futureResult.whenComplete { _ in channel.close(promise: nil) }
        }
        context.write(data, promise: written)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            isStopping = true
            if requestsInProgress == 0 { context.close(promise: nil) }
        case IdleStateHandler.IdleStateEvent.read where requestsInProgress == 0:
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
