internal import DNS
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import Synchronization

/// A conversation over HTTPS (RFC 8484): one HTTP/2 connection, one POST a query.
final class HTTPSConversation: Conversation {
    /// The body's type, both ways.
    static let contentType = "application/dns-message"

    private let channel: any Channel
    private let streams: NIOHTTP2Handler.StreamMultiplexer
    private let upstream: Upstream
    private let state = Mutex(State())

    private struct State {
        var underWay = 0
        var hasAnswered = false
        var isOver = false
        var idle: Scheduled<Void>?
    }

    private init(
        _ channel: any Channel,
        _ streams: NIOHTTP2Handler.StreamMultiplexer,
        _ upstream: Upstream
    ) {
        (self.channel, self.streams, self.upstream) = (channel, streams, upstream)
    }

    deinit { channel.close(promise: nil) }

    var isOpen: Bool { channel.isActive && !state.withLock { $0.isOver } }

    func close() { channel.close(promise: nil) }

    /// Connects and greets.
    ///
    /// - Throws: ``UpstreamFailure``, or what the connection's error was.
    static func connect(_ target: UpstreamTarget, tls: UpstreamTLS) async throws
        -> HTTPSConversation
    {
        let made = try await target.connect { channel in
            channel.eventLoop.makeCompletedFuture {
                let greeting = try tls.greet(on: channel)
                let streams = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                    mode: .client,
                    connectionConfiguration: .init(),
                    streamConfiguration: .init()
                ) { pushed in
                    // Nothing is asked for that could be pushed.
                    pushed.close()
                }
                return (channel, streams, greeting)
            }
        }
        let conversation = HTTPSConversation(made.0, made.1, target.upstream)
        try await made.2.get()
        let patience = ConversationLimits.userTimeout
        try? await made.0.setOption(StreamOptions.userTimeout, value: patience).get()
        return conversation
    }

    func ask(_ query: OutgoingQuery, until deadline: NIODeadline) async throws -> [UInt8] {
        guard begin() else { throw UpstreamFailure.busy }
        defer { end() }
        do {
            let answer = try await post(query.wire(under: 0, isPadded: true), until: deadline)
            guard query.isAnswered(by: answer, under: 0) else { throw UpstreamFailure.garbled }
            state.withLock { $0.hasAnswered = true }
            return query.answer(answer)
        } catch let failure as UpstreamFailure {
            throw failure
        } catch {
            // The connection or the stream is over: what the server said is HTTP/2's own affair.
            state.withLock { $0.isOver = true }
            throw UpstreamFailure.closed(hasAnswered: state.withLock { $0.hasAnswered })
        }
    }

    private func post(_ body: [UInt8], until deadline: NIODeadline) async throws -> [UInt8] {
        let answered = channel.eventLoop.makePromise(of: [UInt8].self)
        let headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "https", ":authority": authority,
            ":path": upstream.path, "accept": Self.contentType,
            "content-type": Self.contentType, "content-length": "\(body.count)",
        ]
        let timer = channel.eventLoop.scheduleTask(deadline: deadline) {
            answered.fail(UpstreamFailure.silent)
        }
        defer { timer.cancel() }
        let stream: any Channel
        do {
            stream = try await streams.createStreamChannel { stream in
                stream.eventLoop.makeCompletedFuture {
                    try stream.pipeline.syncOperations.addHandler(Exchange(answered))
                }
            }.get()
        } catch {
            answered.fail(error)
            throw error
        }
        let data = HTTP2Frame.FramePayload.Data(
            data: .byteBuffer(ByteBuffer(bytes: body)),
            endStream: true
        )
        stream.write(HTTP2Frame.FramePayload.headers(.init(headers: headers)), promise: nil)
        stream.writeAndFlush(HTTP2Frame.FramePayload.data(data), promise: nil)
        defer { stream.close(promise: nil) }
        return try await answered.futureResult.get()
    }

    private var authority: String {
        let host = upstream.host.contains(":") ? "[\(upstream.host)]" : upstream.host
        return upstream.port == Upstream.Transport.https.port ? host : "\(host):\(upstream.port)"
    }

    private func begin() -> Bool {
        state.withLock {
            guard $0.underWay < ConversationLimits.queriesUnderWay else { return false }
            $0.underWay += 1
            $0.idle?.cancel()
            $0.idle = nil
            return true
        }
    }

    private func end() {
        let channel = self.channel
        state.withLock {
            $0.underWay -= 1
            guard $0.underWay == 0 else { return }
            $0.idle = channel.eventLoop.scheduleTask(in: ConversationLimits.idleEncrypted) {
                channel.close(promise: nil)
            }
        }
    }
}

extension HTTPSConversation {
    /// One query's stream: checks status, type and size of the answer while it comes.
    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame.FramePayload

        private let answered: EventLoopPromise<[UInt8]>
        private var body: [UInt8] = []
        private var hasHead = false

        init(_ answered: EventLoopPromise<[UInt8]>) { self.answered = answered }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .headers(let frame):
                if let failure = read(frame.headers) { return end(.failure(failure), context) }
                if frame.endStream { end(.success(body), context) }
            case .data(let frame):
                guard case .byteBuffer(let bytes) = frame.data else { return }
                body += bytes.readableBytesView
                guard body.count <= Message.Limits.byteCount else {
                    return end(.failure(UpstreamFailure.tooLong), context)
                }
                if frame.endStream { end(.success(body), context) }
            default: break
            }
        }

        /// What of the head ends it; trailers and interim answers do not.
        private func read(_ headers: HPACKHeaders) -> UpstreamFailure? {
            guard !hasHead else { return nil }
            let code = headers.first(name: ":status").flatMap { Int($0) } ?? 0
            guard !(100..<200).contains(code) else { return nil }
            hasHead = true
            guard code == 200 else { return .status(code) }
            let type = headers.first(name: "content-type") ?? "nothing named"
            let isMessage =
                type.prefix { $0 != ";" }.filter { $0 != " " }.lowercased() == contentType
            return isMessage ? nil : .contentType(String(type.prefix(80)))
        }

        private func end(
            _ result: Result<[UInt8], any Error>,
            _ context: ChannelHandlerContext
        ) {
            answered.completeWith(result)
            context.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            answered.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            answered.fail(ChannelError.ioOnClosedChannel)
            context.fireChannelInactive()
        }
    }
}
