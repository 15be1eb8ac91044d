public import IP
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Takes DNS queries over TCP (RFC 7766): any number one after the other on a connection, answered
/// in the order in which the answers come.
public final class StreamServer: Sendable {
    /// Bounds of a server.
    public struct Bounds: Sendable {
        /// Connections in all; the one that was idle for longest makes room for another.
        public var connections = 256
        /// Connections from one address.
        public var connectionsPerSource = 64
        /// Queries without an answer on one connection; further ones wait in the network.
        public var queriesUnderWay = 100
        /// For how long a connection without a query stays, and for how long one that does not
        /// take its answers.
        public var idle = Duration.seconds(10)
        /// Bytes of answers that a connection does not take, until no more queries are read.
        public var bufferedByteCount = 256 << 10
        /// The same, until it is closed.
        public var bufferedByteCountMax = 1 << 20

        public init() {}
    }

    /// A query.
    public struct Query: Sendable {
        /// Where it was sent to.
        public let local: IPAddress
        /// Where it came from.
        public let remote: IPAddress
        /// The message.
        public let bytes: [UInt8]
    }

    /// The numbers at one moment.
    public struct Reading: Sendable, Equatable {
        /// Connections that are open.
        public var open = 0
        /// Connections taken.
        public var accepted = 0
        /// Connections closed at once, because all others were being served.
        public var refused = 0
        /// Idle connections closed for others.
        public var displaced = 0
        /// Connections closed because they did not take their answers.
        public var slow = 0
        /// Queries that came.
        public var queries = 0
    }

    fileprivate struct State {
        var admissions: StreamAdmissions
        var channels: [Int: any Channel] = [:]
        var servers: [any Channel] = []
        var next = 0
        var reading = Reading()
        var isStopped = false
    }

    fileprivate let bounds: Bounds
    fileprivate let ask: @Sendable (Query) async -> [UInt8]?
    fileprivate let state: Mutex<State>

    /// - Parameters:
    ///   - bounds: How much at once.
    ///   - ask: Answers a query, also concurrently; nil closes the connection.
    public init(bounds: Bounds = Bounds(), ask: @escaping @Sendable (Query) async -> [UInt8]?) {
        (self.bounds, self.ask) = (bounds, ask)
        let admissions = StreamAdmissions(
            .init(
                connections: bounds.connections,
                connectionsPerSource: bounds.connectionsPerSource
            )
        )
        state = Mutex(State(admissions: admissions))
    }

    /// The numbers now.
    public var reading: Reading { state.withLock { $0.reading } }

    /// Serves a socket that is bound; it belongs to the server from here on.
    ///
    /// - Throws: What the system says of the socket.
    public func listen(on descriptor: CInt) async throws {
        keep(try await bootstrap.withBoundSocket(descriptor).get())
    }

    /// Binds to an address, and serves it.
    ///
    /// - Returns: The port.
    /// - Throws: What the system says of the address.
    func listen(at address: String, port: Int) async throws -> Int {
        let channel = try await bootstrap.bind(host: address, port: port).get()
        keep(channel)
        return channel.localAddress?.port ?? 0
    }

    /// Closes everything.
    public func stop() {
        let channels = state.withLock { state in
            state.isStopped = true
            defer { (state.servers, state.channels) = ([], [:]) }
            return state.servers + state.channels.values
        }
        for channel in channels { channel.close(promise: nil) }
    }

    private func keep(_ channel: any Channel) {
        let isStopped = state.withLock { state in
            if !state.isStopped { state.servers.append(channel) }
            return state.isStopped
        }
        if isStopped { channel.close(promise: nil) }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let local = channel.localAddress?.ipAddress.flatMap({ IPAddress($0) }),
                        let remote = channel.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }),
                        let identifier = admit(channel, from: remote)
                    else { return channel.close(promise: nil) }
                    let handler = StreamServerHandler(self, identifier, local, remote)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
    }

    private func admit(_ channel: any Channel, from remote: IPAddress) -> Int? {
        let (identifier, displaced) = state.withLock { state -> (Int?, (any Channel)?) in
            guard !state.isStopped else { return (nil, nil) }
            state.next += 1
            var displaced: (any Channel)?
            switch state.admissions.admit(state.next, from: remote) {
            case .refuse:
                state.reading.refused += 1
                return (nil, nil)
            case .admitInstead(let other):
                state.reading.displaced += 1
                displaced = state.channels.removeValue(forKey: other)
            case .admit: break
            }
            state.channels[state.next] = channel
            state.reading.accepted += 1
            state.reading.open = state.channels.count
            return (state.next, displaced)
        }
        displaced?.close(promise: nil)
        return identifier
    }

    fileprivate func ended(_ identifier: Int) {
        state.withLock { state in
            state.admissions.remove(identifier)
            state.channels[identifier] = nil
            state.reading.open = state.channels.count
        }
    }
}

/// One connection.
private final class StreamServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: StreamServer
    private let identifier: Int
    private let (local, remote): (IPAddress, IPAddress)
    private var messages = StreamMessages()
    private var underWay = 0
    private var buffered = 0
    private var isReading = true
    private var isInputClosed = false
    private var hasEnded = false
    private var timer: Scheduled<Void>?

    init(_ server: StreamServer, _ identifier: Int, _ local: IPAddress, _ remote: IPAddress) {
        (self.server, self.identifier) = (server, identifier)
        (self.local, self.remote) = (local, remote)
    }

    private var bounds: StreamServer.Bounds { server.bounds }

    func channelActive(context: ChannelHandlerContext) {
        startTimer(context, isSlow: false)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        messages.append(unwrapInboundIn(data).readableBytesView)
        askNext(context)
    }

    /// Half a close is the end of the queries: what is under way is still answered.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isInputClosed = true
            closeWhenDone(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func closeWhenDone(_ context: ChannelHandlerContext) {
        if isInputClosed, underWay == 0, buffered == 0 { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        hasEnded = true
        timer?.cancel()
        server.ended(identifier)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Asks what has come whole, as long as there is room for the answers.
    private func askNext(_ context: ChannelHandlerContext) {
        while hasRoom, let query = messages.next() { ask(query, context) }
        guard isReading != hasRoom else { return }
        isReading = hasRoom
        context.channel.setOption(.autoRead, value: isReading).whenComplete { _ in }
    }

    private var hasRoom: Bool {
        underWay < bounds.queriesUnderWay && buffered < bounds.bufferedByteCount
    }

    private func ask(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        if underWay == 0 {
            timer?.cancel()
            server.state.withLock { $0.admissions.set(identifier, isIdle: false) }
        }
        underWay += 1
        server.state.withLock { $0.reading.queries += 1 }
        let query = StreamServer.Query(local: local, remote: remote, bytes: bytes)
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let (server, loop) = (self.server, context.eventLoop)
        Task {
            let answer = await server.ask(query)
            loop.execute { this.value.0.answer(answer, this.value.1) }
        }
    }

    private func answer(_ message: [UInt8]?, _ context: ChannelHandlerContext) {
        underWay -= 1
        guard !hasEnded else { return }
        guard let frame = message.flatMap(StreamMessages.frame) else {
            return context.close(promise: nil)
        }
        buffered += frame.count
        guard buffered <= bounds.bufferedByteCountMax else { return giveUp(context) }
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: frame))).whenSuccess {
            this.value.0.sent(frame.count, this.value.1)
        }
        if buffered > 0 { startTimer(context, isSlow: true) }
        askNext(context)
    }

    /// The kernel took an answer.
    private func sent(_ byteCount: Int, _ context: ChannelHandlerContext) {
        buffered -= byteCount
        guard !hasEnded else { return }
        timer?.cancel()
        if buffered > 0 {
            startTimer(context, isSlow: true)
        } else if underWay == 0 {
            server.state.withLock { $0.admissions.set(identifier, isIdle: true) }
            startTimer(context, isSlow: false)
        }
        askNext(context)
        closeWhenDone(context)
    }

    /// Who sends nothing whole, or takes nothing, for so long is gone or means no good.
    private func startTimer(_ context: ChannelHandlerContext, isSlow: Bool) {
        timer?.cancel()
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let nanoseconds = Int64(bounds.idle / .nanoseconds(1))
        timer = context.eventLoop.scheduleTask(in: .nanoseconds(nanoseconds)) {
            let (handler, context) = this.value
            guard isSlow else { return context.close(promise: nil) }
            handler.giveUp(context)
        }
    }

    private func giveUp(_ context: ChannelHandlerContext) {
        server.state.withLock { $0.reading.slow += 1 }
        context.close(promise: nil)
    }
}
