internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// A conversation over TCP or TLS: queries are written as they come, and answers taken in any
/// order (RFC 7766 sections 6.2.1 and 7).
final class StreamConversation: Conversation {
    private let channel: any Channel
    private let handler: NIOLoopBound<Handler>
    private let isOver: SharedEnd

    /// Whether the connection has ended.
    final class SharedEnd: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .acquiring) }
        func set() { value.store(true, ordering: .releasing) }
    }

    private init(_ channel: any Channel, _ handler: NIOLoopBound<Handler>, _ isOver: SharedEnd) {
        (self.channel, self.handler, self.isOver) = (channel, handler, isOver)
    }

    deinit { channel.close(promise: nil) }

    var isOpen: Bool { !isOver.isSet && channel.isActive }

    /// Connects, and greets by TLS where `tls` is there.
    ///
    /// - Throws: ``UpstreamFailure``, or what the connection's error was.
    static func connect(
        _ target: UpstreamTarget,
        tls: UpstreamTLS?,
        counters: UpstreamCounters
    ) async throws -> StreamConversation {
        let isOver = SharedEnd()
        let made = try await target.connect { channel in
            channel.eventLoop.makeCompletedFuture {
                let greeting = try tls?.greet(on: channel)
                let handler = Handler(channel, isPadded: tls != nil, isOver, counters)
                try channel.pipeline.syncOperations.addHandler(handler)
                return (channel, NIOLoopBound(handler, eventLoop: channel.eventLoop), greeting)
            }
        }
        let conversation = StreamConversation(made.0, made.1, isOver)
        try await made.2?.get()
        let patience = ConversationLimits.userTimeout
        try? await made.0.setOption(StreamOptions.userTimeout, value: patience).get()
        return conversation
    }

    func ask(_ query: OutgoingQuery, until deadline: NIODeadline) async throws -> [UInt8] {
        let handler = self.handler
        return try await channel.eventLoop.flatSubmit {
            handler.value.ask(query, until: deadline)
        }.get()
    }

    func close() { channel.close(promise: nil) }
}

extension StreamConversation {
    /// Keeps the queries under way, on the connection's own loop.
    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private struct Waiting {
            let query: OutgoingQuery
            let promise: EventLoopPromise<[UInt8]>
            let deadline: Scheduled<Void>
        }

        private let channel: any Channel
        private let isPadded: Bool
        private let isOver: SharedEnd
        private let counters: UpstreamCounters
        private var waiting: [UInt16: Waiting] = [:]
        private var messages = StreamMessages()
        private var hasAnswered = false
        private var garbledCount = 0
        /// Whether what was written leaves when the loop has done what it has at hand.
        private var isFlushing = false
        private var idle: Scheduled<Void>?
        private var failure: UpstreamFailure?

        init(
            _ channel: any Channel,
            isPadded: Bool,
            _ isOver: SharedEnd,
            _ counters: UpstreamCounters
        ) {
            (self.channel, self.isPadded) = (channel, isPadded)
            (self.isOver, self.counters) = (isOver, counters)
        }

        func ask(
            _ query: OutgoingQuery,
            until deadline: NIODeadline
        ) -> EventLoopFuture<[UInt8]> {
            let loop = channel.eventLoop
            guard !isOver.isSet else {
                return loop.makeFailedFuture(failure ?? .closed(hasAnswered: hasAnswered))
            }
            guard waiting.count < ConversationLimits.queriesUnderWay, channel.isWritable else {
                return loop.makeFailedFuture(UpstreamFailure.busy)
            }
            let identifier = freeIdentifier()
            let wire = query.wire(under: identifier, isPadded: isPadded)
            guard let frame = StreamMessages.frame(wire) else {
                return loop.makeFailedFuture(UpstreamFailure.tooLong)
            }
            idle?.cancel()
            idle = nil
            let promise = loop.makePromise(of: [UInt8].self)
            let this = NIOLoopBound(self, eventLoop: loop)
            let timer = loop.scheduleTask(deadline: deadline) {
                this.value.end(identifier, .failure(UpstreamFailure.silent))
            }
            waiting[identifier] = Waiting(query: query, promise: promise, deadline: timer)
            channel.write(ByteBuffer(bytes: frame), promise: nil)
            flushSoon()
            return promise.futureResult
        }

        /// What is asked together leaves together.
        private func flushSoon() {
            guard !isFlushing else { return }
            isFlushing = true
            let this = NIOLoopBound(self, eventLoop: channel.eventLoop)
            channel.eventLoop.execute {
                this.value.isFlushing = false
                this.value.channel.flush()
            }
        }

        private func freeIdentifier() -> UInt16 {
            var identifier = UInt16.random(in: 0...UInt16.max)
            while waiting[identifier] != nil { identifier &+= 1 }
            return identifier
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            messages.append(unwrapInboundIn(data).readableBytesView)
            while let message = messages.next() { take(message, context) }
        }

        private func take(_ message: [UInt8], _ context: ChannelHandlerContext) {
            guard message.count >= 2 else { return count(context) }
            let identifier = UInt16(message[0]) << 8 | UInt16(message[1])
            guard let one = waiting[identifier],
                one.query.isAnswered(by: message, under: identifier)
            else { return count(context) }
            (hasAnswered, garbledCount) = (true, 0)
            end(identifier, .success(one.query.answer(message)))
        }

        /// Counts what answers nothing: late answers, and worse.
        private func count(_ context: ChannelHandlerContext) {
            counters.add { $0.garbled += 1 }
            garbledCount += 1
            guard garbledCount >= ConversationLimits.garbled else { return }
            failure = .garbled
            isOver.set()
            context.close(promise: nil)
        }

        private func end(_ identifier: UInt16, _ result: Result<[UInt8], any Error>) {
            guard let one = waiting.removeValue(forKey: identifier) else { return }
            one.deadline.cancel()
            one.promise.completeWith(result)
            guard waiting.isEmpty, !isOver.isSet else { return }
            let limit = isPadded ? ConversationLimits.idleEncrypted : ConversationLimits.idle
            let this = NIOLoopBound(self, eventLoop: channel.eventLoop)
            idle = channel.eventLoop.scheduleTask(in: limit) {
                this.value.isOver.set()
                this.value.channel.close(promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if failure == nil, !hasAnswered { failure = UpstreamFailure(connecting: error) }
            isOver.set()
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            isOver.set()
            idle?.cancel()
            for identifier in waiting.keys.sorted() {
                end(identifier, .failure(failure ?? .closed(hasAnswered: hasAnswered)))
            }
            context.fireChannelInactive()
        }
    }
}
