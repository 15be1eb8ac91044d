internal import Bytes
internal import IP
internal import NIOCore
internal import NIOPosix

/// Carries STUN messages and channel data between one TCP or TLS connection and a loopback UDP
/// socket that is connected to the packet loop's main port. To the loop's machine the other end of
/// the stream is a remote like any other, at the socket's endpoint.
///
/// Neither direction buffers without end: what the slower side does not take is dropped and
/// counted, as any network would.
///
///     server: waiting ─first STUN message─▶ opening ─told─▶ open ─▶ closed
///     client: probing ─answered─▶ held ─start─▶ opening ─told─▶ open ─▶ closed
final class StreamBridge: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bounds of a bridge.
    enum Limits {
        /// Bytes that may wait for a stream before datagrams for it are dropped.
        static var streamByteCount: Int { 256 << 10 }
        /// From the connection to its first whole message.
        static var openingTime: TimeAmount { .seconds(30) }
        /// Without a byte either way; longer than an allocation lives without a refresh.
        static var idleTime: TimeAmount { .minutes(11) }
        /// Reads of one turn, of each side.
        static var readsPerTurn: UInt { 16 }
    }

    /// Whom a bridge speaks for.
    struct Host: Sendable {
        /// The UDP port of the packet loop.
        let port: UInt16
        let counters: StreamCounters
        /// Told of the bridge's endpoint before the first message leaves it.
        let opened: @Sendable (Endpoint) async -> Void
        /// Told when it is gone; the endpoint is not used again before it returns.
        let closed: @Sendable (Endpoint) async -> Void
    }

    /// Sent down a client's pipeline: the probed stream shall be used.
    struct Start: Sendable {}

    private enum State {
        case waiting
        case probing(StreamProbe, EventLoopPromise<Void>)
        case held
        case opening
        case open(any Channel, Endpoint)
        case closed
    }

    private let host: Host
    private var state: State
    private var cutter = StreamFrameCutter()
    private var isReadHeld = false
    private var hasWritten = false
    private var opening: Scheduled<Void>?

    /// A server's bridge: it opens with the first message.
    init(host: Host) {
        self.host = host
        state = .waiting
    }

    /// A client's bridge: `answered` when the other end has proven to speak STUN; it opens with
    /// ``Start``.
    init(host: Host, probe: StreamProbe, answered: EventLoopPromise<Void>) {
        self.host = host
        state = .probing(probe, answered)
    }

    func channelActive(context: ChannelHandlerContext) {
        host.counters.countOpened()
        let channel = context.channel
        opening = context.eventLoop.scheduleTask(in: Limits.openingTime) {
            channel.close(promise: nil)
        }
        if case .probing(let probe, _) = state {
            context.writeAndFlush(wrapOutboundOut(probe.request), promise: nil)
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        opening?.cancel()
        host.counters.countClosed()
        switch state {
        case .probing(_, let answered): answered.fail(ChannelError.eof)
        case .open(let datagrams, let endpoint): Self.bury(datagrams, endpoint, host)
        case .waiting, .held, .opening, .closed: break
        }
        state = .closed
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        cutter.append(unwrapInboundIn(data))
        pump(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if hasWritten, case .open(let datagrams, _) = state { datagrams.flush() }
        hasWritten = false
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        switch state {
        case .held, .opening: isReadHeld = true
        case .waiting, .probing, .open, .closed: context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .probing(_, let answered) = state { answered.fail(error) }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext,
        event: Any,
        promise: EventLoopPromise<Void>?
    ) {
        guard event is Start else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        if case .held = state { open(context) }
        promise?.succeed()
    }

    /// Moves on what came on the stream.
    private func pump(_ context: ChannelHandlerContext) {
        do throws(StreamFrame.Failure) {
            switch state {
            case .waiting: if try cutter.hasOpening() { open(context) }
            case .probing(let probe, let answered):
                while case .probing = state, let message = try cutter.next() {
                    guard probe.isAnswered(by: message) else { continue }
                    state = .held
                    opening?.cancel()
                    answered.succeed()
                }
            case .open(let datagrams, _): try forward(to: datagrams)
            case .held, .opening, .closed: break
            }
        } catch {
            host.counters.countGarbled()
            context.close(promise: nil)
        }
    }

    private func forward(to datagrams: any Channel) throws(StreamFrame.Failure) {
        var (count, drops) = (0, 0)
        defer {
            host.counters.countIn(count)
            if drops > 0 { host.counters.countDrops(drops) }
        }
        while let message = try cutter.next() {
            guard datagrams.isWritable else {
                drops += 1
                continue
            }
            datagrams.write(message, promise: nil)
            count += 1
            hasWritten = true
        }
    }
}

// MARK: - The loopback socket

extension StreamBridge {
    /// Makes the socket and tells the host; nothing is read from the stream until both are done.
    private func open(_ context: ChannelHandlerContext) {
        opening?.cancel()
        state = .opening
        let stream = context.channel
        let host = host
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        Self.socket(on: context.eventLoop, port: host.port, for: stream, host.counters)
            .flatMap { datagrams in
                let endpoint = datagrams.localAddress.flatMap { Endpoint($0) } ?? .unspecified
                return datagrams.eventLoop.makeFutureWithTask {
                    await host.opened(endpoint)
                    return (datagrams, endpoint)
                }
            }
            .whenComplete { result in
                let (bridge, context) = bound.value
                bridge.opened(result, context)
            }
    }

    private func opened(
        _ result: Result<(any Channel, Endpoint), any Error>,
        _ context: ChannelHandlerContext
    ) {
        guard case .success((let datagrams, let endpoint)) = result else {
            context.close(promise: nil)
            return
        }
        guard case .opening = state else {
            Self.bury(datagrams, endpoint, host)
            return
        }
        state = .open(datagrams, endpoint)
        let stream = context.channel
        datagrams.closeFuture.whenComplete { _ in stream.close(promise: nil) }
        pump(context)
        channelReadComplete(context: context)
        if isReadHeld {
            isReadHeld = false
            context.read()
        }
    }

    /// The host is told before the endpoint can be given to another stream.
    private static func bury(_ datagrams: any Channel, _ endpoint: Endpoint, _ host: Host) {
        datagrams.eventLoop.makeFutureWithTask { await host.closed(endpoint) }
            .whenComplete { _ in datagrams.close(promise: nil) }
    }

    private static func socket(
        on loop: any EventLoop,
        port: UInt16,
        for stream: any Channel,
        _ counters: StreamCounters
    ) -> EventLoopFuture<any Channel> {
        DatagramBootstrap(group: loop)
            .channelOption(.datagramReceiveSegmentSize, value: System.supportsUDPReceiveOffload)
            .channelOption(.maxMessagesPerRead, value: Limits.readsPerTurn)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: 65_536)
            )
            .channelOption(.socketOption(.so_rcvbuf), value: 1 << 20)
            .channelInitializer { datagrams in
                datagrams.eventLoop.makeCompletedFuture {
                    try datagrams.pipeline.syncOperations.addHandler(
                        DatagramEnd(stream: stream, counters: counters)
                    )
                }
            }
            .connect(host: "127.0.0.1", port: Int(port))
    }
}

/// The datagram end of a bridge: gathers what one turn brought into one write to the stream.
private final class DatagramEnd: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let stream: any Channel
    private let counters: StreamCounters
    private var gathered = ByteBuffer()
    private var count = 0

    init(stream: any Channel, counters: StreamCounters) {
        (self.stream, self.counters) = (stream, counters)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        var rest = envelope.data
        let step = max(1, envelope.metadata?.segmentSize ?? rest.readableBytes)
        while let datagram = rest.readSlice(length: min(step, rest.readableBytes)),
            datagram.readableBytes > 0
        {
            if stream.isWritable, gathered.writeStreamFrame(of: datagram) {
                count += 1
            } else {
                counters.countDrops(1)
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard count > 0 else { return }
        counters.countOut(count)
        stream.writeAndFlush(gathered, promise: nil)
        // The write may still hold the memory.
        (gathered, count) = (ByteBuffer(), 0)
    }

    /// A refused datagram says that the loop is gone or busy; the stream decides what to do.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// A question that proves that the other end of a stream speaks STUN: a Binding request
/// (RFC 8489 section 3), which needs no credentials.
struct StreamProbe: Sendable {
    let request: ByteBuffer
    private let transaction: [UInt8]

    init() {
        transaction = (0..<12).map { _ in UInt8.random(in: 0...255) }
        request = ByteBuffer(bytes: [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42] + transaction)
    }

    /// Whether `message` is the success or failure response to it.
    func isAnswered(by message: ByteBuffer) -> Bool {
        let start = message.readerIndex
        guard let type: UInt16 = message.getInteger(at: start) else { return false }
        return (type == 0x0101 || type == 0x0111)
            && message.getBytes(at: start + 8, length: 12) == transaction
    }
}

extension Endpoint {
    /// The endpoint of a socket; nil for another kind of address.
    init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let port = address.port,
            let parsed = IPAddress(String(text.prefix { $0 != "%" }))
        else { return nil }
        self.init(parsed, port: UInt16(truncatingIfNeeded: port))
    }
}
