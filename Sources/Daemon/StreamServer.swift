public import IP
internal import Linux
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
        /// Its number, of which no other server of this process has the same.
        public let id: UInt64
        /// Where it was sent to.
        public let local: IPAddress
        /// Where it came from.
        public let remote: IPAddress
        /// The message.
        public let bytes: [UInt8]

        /// A query that came another way.
        public init(id: UInt64, local: IPAddress, remote: IPAddress, bytes: [UInt8]) {
            (self.id, self.local, self.remote, self.bytes) = (id, local, remote, bytes)
        }
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

        public init() {}
    }

    fileprivate struct State {
        var admissions: StreamAdmissions
        var channels: [Int: any Channel] = [:]
        var servers: [any Channel] = []
        var reading = Reading()
        var isStopped = false
    }

    /// Bits of a query's number that count the queries of one connection.
    fileprivate static let sequenceBits: UInt64 = 24
    /// Connections of all servers of this process so far.
    private static let connections = Atomic<Int>(0)
    /// The thread of all servers. It and the core's hand each query to and fro: would it interrupt
    /// who has just written to it, it found one message where soon there are many.
    private static let group: MultiThreadedEventLoopGroup = {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        group.next().execute { DedicatedThread.wakePatiently() }
        return group
    }()

    fileprivate let bounds: Bounds
    fileprivate let ask: @Sendable ([Query]) -> Void
    fileprivate let state: Mutex<State>
    /// All connections are served on one loop, so that what is answered together goes together.
    private let eventLoop: any EventLoop
    fileprivate let handlers: NIOLoopBoundBox<[Int: StreamServerHandler]>
    private let answers = Mutex<[(id: UInt64, bytes: [UInt8]?)]>([])

    /// - Parameters:
    ///   - bounds: How much at once.
    ///   - ask: Given the queries that came together; each is answered by ``answer(_:_:)``. Must
    ///     not wait.
    public init(bounds: Bounds = Bounds(), ask: @escaping @Sendable ([Query]) -> Void) {
        (self.bounds, self.ask) = (bounds, ask)
        eventLoop = Self.group.next()
        handlers = .makeBoxSendingValue([:], eventLoop: eventLoop)
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

    /// Answers a query; nil closes its connection. Answers that come together leave together. One
    /// to a query that is not there any more is dropped.
    public func answer(_ id: UInt64, _ bytes: [UInt8]?) {
        let isFirst = answers.withLock { answers in
            defer { answers.append((id, bytes)) }
            return answers.isEmpty
        }
        if isFirst { eventLoop.execute { self.deliver() } }
    }

    /// Hands the answers to their connections.
    private func deliver() {
        let all = answers.withLock { answers in
            defer { answers = [] }
            return answers
        }
        var touched: [StreamServerHandler] = []
        for (id, bytes) in all {
            guard let handler = handlers.value[Int(id >> Self.sequenceBits)] else { continue }
            if handler.collect(bytes) { touched.append(handler) }
        }
        for handler in touched { handler.sendCollected() }
    }

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
        ServerBootstrap(group: eventLoop)
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
                    handlers.value[identifier] = handler
                }
            }
    }

    private func admit(_ channel: any Channel, from remote: IPAddress) -> Int? {
        let identifier = Self.connections.add(1, ordering: .relaxed).newValue
        let (isAdmitted, displaced) = state.withLock { state -> (Bool, (any Channel)?) in
            guard !state.isStopped else { return (false, nil) }
            var displaced: (any Channel)?
            switch state.admissions.admit(identifier, from: remote) {
            case .refuse:
                state.reading.refused += 1
                return (false, nil)
            case .admitInstead(let other):
                state.reading.displaced += 1
                displaced = state.channels.removeValue(forKey: other)
            case .admit: break
            }
            state.channels[identifier] = channel
            state.reading.accepted += 1
            state.reading.open = state.channels.count
            return (true, displaced)
        }
        displaced?.close(promise: nil)
        return isAdmitted ? identifier : nil
    }

    fileprivate func ended(_ identifier: Int) {
        handlers.value[identifier] = nil
        state.withLock { state in
            state.admissions.remove(identifier)
            state.channels[identifier] = nil
            state.reading.open = state.channels.count
        }
    }
}

/// One connection.
fileprivate final class StreamServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: StreamServer
    private let identifier: Int
    private let (local, remote): (IPAddress, IPAddress)
    private var context: ChannelHandlerContext?
    private var messages = StreamMessages()
    private var sequence: UInt64 = 0
    /// Answers that leave together.
    private var collected: ByteBuffer?
    private var collectedCount = 0
    private var isRefused = false
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

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

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
        var queries: [StreamServer.Query] = []
        while underWay + queries.count < bounds.queriesUnderWay,
            buffered < bounds.bufferedByteCount, let bytes = messages.next()
        {
            sequence = (sequence + 1) & (1 << StreamServer.sequenceBits - 1)
            let id = UInt64(identifier) << StreamServer.sequenceBits | sequence
            queries.append(
                StreamServer.Query(id: id, local: local, remote: remote, bytes: bytes)
            )
        }
        if !queries.isEmpty { ask(queries) }
        guard isReading != hasRoom else { return }
        isReading = hasRoom
        context.channel.setOption(.autoRead, value: isReading).whenComplete { _ in }
    }

    private var hasRoom: Bool {
        underWay < bounds.queriesUnderWay && buffered < bounds.bufferedByteCount
    }

    private func ask(_ queries: [StreamServer.Query]) {
        let isFirst = underWay == 0
        if isFirst { timer?.cancel() }
        underWay += queries.count
        server.state.withLock { state in
            if isFirst { state.admissions.set(identifier, isIdle: false) }
            state.reading.queries += queries.count
        }
        server.ask(queries)
    }

    /// Takes an answer, to be sent with ``sendCollected()``.
    ///
    /// - Returns: Whether it is the first of those that leave together.
    func collect(_ message: [UInt8]?) -> Bool {
        let isFirst = collectedCount == 0
        collectedCount += 1
        guard let message, let count = UInt16(exactly: message.count) else {
            isRefused = true
            return isFirst
        }
        if collected == nil { collected = context?.channel.allocator.buffer(capacity: 4_096) }
        collected?.writeInteger(count)
        collected?.writeBytes(message)
        return isFirst
    }

    /// Sends the answers that were collected.
    func sendCollected() {
        let (frames, isRefused) = (collected, isRefused)
        underWay = max(0, underWay - collectedCount)
        (collected, collectedCount, self.isRefused) = (nil, 0, false)
        guard !hasEnded, let context else { return }
        guard let frames else { return context.close(promise: nil) }
        guard !isRefused else {
            let channel = context.channel
            return context.writeAndFlush(wrapOutboundOut(frames)).whenComplete { _ in
                channel.close(promise: nil)
            }
        }
        let byteCount = frames.readableBytes
        buffered += byteCount
        guard buffered <= bounds.bufferedByteCountMax else { return giveUp(context) }
        let this = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(frames)).whenSuccess {
            this.value.0.sent(byteCount, this.value.1)
        }
        if buffered > 0 { startTimer(context, isSlow: true) }
        askNext(context)
    }

    /// The kernel took answers.
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
