internal import Bytes
internal import Control
internal import IP
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization
internal import Testing

@testable internal import Daemon

@Suite("Streams between roles and relays", .timeLimit(.minutes(1)))
struct StreamBridgeTests {
    @Test("a stream carries messages both ways, by TCP and by TLS", arguments: [false, true])
    func bothWays(isTLS: Bool) async throws {
        let relay = try await TestRelay(isTLS: isTLS)
        let role = try await TestRole()
        role.streams.connect(relay.forRole())
        let bridge = try #require(await role.nextBridge())
        let messages = [TestMessage.stun(4), TestMessage.channel(1), TestMessage.channel(1_200)]
        for message in messages { try await role.loop.send(message, to: bridge) }
        for message in messages {
            let (bytes, _) = try #require(await role.loop.next())
            #expect(bytes == message)
        }
        let opened = try #require(await relay.nextEvent())
        guard case .opened(_, let client) = opened else {
            Issue.record("\(opened)")
            return
        }
        #expect(client.address == IPAddress("127.0.0.1"))
        let counters = relay.listener.counters.reading
        #expect(counters.messagesIn == 4, "the client's question and three messages")
        #expect(counters.drops == 0)
        role.streams.stop()
        let closed = try #require(await relay.nextEvent())
        #expect(closed == .closed(opened.bridge))
    }

    @Test("a relay with another certificate is not used; plain TCP is")
    func wrongCertificate() async throws {
        let other = try await TestRelay(isTLS: true)
        let plain = try await TestRelay(isTLS: false)
        let role = try await TestRole()
        var relay = other.forRole()
        relay.tlsFingerprint = String(repeating: "ab", count: 32)
        relay.tcp = plain.forRole().tcp
        role.streams.connect(relay)
        _ = try #require(await role.nextBridge())
        #expect(await plain.nextEvent() != nil)
        #expect(other.listener.counters.reading.messagesIn == 0)
        role.streams.stop()
    }

    @Test("a stream that breaks is told, and made again")
    func again() async throws {
        let relay = try await TestRelay(isTLS: false)
        let role = try await TestRole()
        role.streams.connect(relay.forRole())
        _ = try #require(await role.nextBridge())
        let opened = try #require(await relay.nextEvent())
        relay.listener.close(opened.bridge)
        #expect(await role.nextChange() == .some(nil))
        _ = try #require(await role.nextBridge())
        role.streams.stop()
    }

    @Test("what is no message of TURN's ends the connection, and costs the loop nothing")
    func garbage() async throws {
        let relay = try await TestRelay(isTLS: false)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: Int(relay.port)).get()
        try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        try await channel.closeFuture.get()
        let counters = relay.listener.counters.reading
        #expect(counters.garbled == 1)
        #expect(relay.eventCount.load(ordering: .relaxed) == 0)
    }

    @Test("one source has so many connections and no more")
    func tooMany() async throws {
        let relay = try await TestRelay(isTLS: false)
        var channels: [any Channel] = []
        let most = StreamListener.Limits.connectionsPerSource
        for _ in 0..<most {
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(host: "127.0.0.1", port: Int(relay.port)).get()
            try await channel.writeAndFlush(ByteBuffer(bytes: TestMessage.stun(0)))
            _ = await relay.nextEvent()
            channels.append(channel)
        }
        let extra = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: Int(relay.port)).get()
        try await extra.closeFuture.get()
        #expect(relay.listener.counters.reading.refused == 1)
        #expect(relay.listener.counters.reading.open == most)
        for channel in channels { channel.close(promise: nil) }
        for _ in 0..<most { _ = await relay.nextEvent() }
        let again = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: Int(relay.port)).get()
        try await again.writeAndFlush(ByteBuffer(bytes: TestMessage.stun(0)))
        #expect(await relay.nextEvent() != nil, "the room is given back")
    }

    @Test("a stream that is not read drops messages instead of keeping them")
    func full() async throws {
        let relay = try await TestRelay(isTLS: false, answers: false)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: Int(relay.port)).get()
        try await channel.writeAndFlush(ByteBuffer(bytes: TestMessage.stun(0)))
        let opened = try #require(await relay.nextEvent())
        let message = TestMessage.channel(60_000)
        // Until the kernel's buffers are full too; far more than they may grow to.
        for _ in 0..<4_000 where relay.listener.counters.reading.drops == 0 {
            try await relay.loop.send(message, to: opened.bridge)
        }
        #expect(relay.listener.counters.reading.drops > 0)
        try await channel.close()
    }

    @Test("a taken port is a sentence that says what to do")
    func takenPort() async throws {
        let relay = try await TestRelay(isTLS: false)
        let sentence = await #expect(throws: Sentence.self) {
            let loopback = try #require(IPAddress("127.0.0.1"))
            try await TestRelay.listener(port: 1).listen(on: [loopback], port: relay.port)
        }
        #expect(sentence?.description.contains("another program uses the port") == true)
    }
}

/// Messages as datagrams carry them.
enum TestMessage {
    static func stun(_ count: Int) -> [UInt8] {
        [0, 1, 0, UInt8(count), 0x21, 0x12, 0xa4, 0x42] + [UInt8](repeating: 7, count: 12 + count)
    }

    static func channel(_ count: Int) -> [UInt8] {
        [0x40, 3, UInt8(count >> 8), UInt8(count & 255)] + [UInt8](repeating: 9, count: count)
    }
}

/// A UDP socket in place of a packet loop; at a relay it answers as its machine would.
final class TestLoop: Sendable {
    private let channel: any Channel
    private let received: AsyncStream<([UInt8], Endpoint)>
    let port: UInt16

    /// - Parameter answers: Whether it answers Binding requests with a success response, and all
    ///   else with itself.
    /// - Throws: What the socket does.
    init(answers: Bool) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ([UInt8], Endpoint).self)
        received = stream
        channel = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: 65_536)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(answers: answers, received: continuation)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = UInt16(channel.localAddress?.port ?? 0)
    }

    deinit { channel.close(promise: nil) }

    func send(_ bytes: [UInt8], to endpoint: Endpoint) async throws {
        let address = try SocketAddress(
            ipAddress: endpoint.address.description,
            port: Int(endpoint.port)
        )
        try await channel.writeAndFlush(
            AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: bytes))
        )
    }

    func next() async -> ([UInt8], Endpoint)? {
        for await one in received { return one }
        return nil
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>
        private let answers: Bool
        private let received: AsyncStream<([UInt8], Endpoint)>.Continuation

        init(answers: Bool, received: AsyncStream<([UInt8], Endpoint)>.Continuation) {
            (self.answers, self.received) = (answers, received)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            var bytes = Array(envelope.data.readableBytesView)
            if let from = Endpoint(envelope.remoteAddress) { received.yield((bytes, from)) }
            guard answers else { return }
            if bytes.count == 20 { bytes[0] = 1 }
            let answer = AddressedEnvelope(
                remoteAddress: envelope.remoteAddress,
                data: ByteBuffer(bytes: bytes)
            )
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
    }
}

/// A listener for streams and what stands behind it.
final class TestRelay: Sendable {
    enum Event: Sendable, Equatable {
        case opened(Endpoint, client: Endpoint)
        case closed(Endpoint)

        var bridge: Endpoint {
            switch self {
            case .opened(let bridge, _), .closed(let bridge): bridge
            }
        }
    }

    let loop: TestLoop
    let listener: StreamListener
    let port: UInt16
    let eventCount = Atomic(0)
    private let certificate: StreamCertificate?
    private let events: AsyncStream<Event>

    init(isTLS: Bool, answers: Bool = true) async throws {
        loop = try await TestLoop(answers: answers)
        let (stream, continuation) = AsyncStream.makeStream(of: Event.self)
        events = stream
        certificate = isTLS ? try StreamCertificate() : nil
        listener = Self.listener(port: loop.port, continuation)
        let loopback = try #require(IPAddress("127.0.0.1"))
        port = try await listener.listen(on: [loopback], port: 0, certificate: certificate)
    }

    deinit { listener.stop() }

    static func listener(
        port: UInt16,
        _ events: AsyncStream<Event>.Continuation? = nil
    ) -> StreamListener {
        StreamListener(
            port: port,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onOpened: { bridge, client in events?.yield(.opened(bridge, client: client)) },
            onClosed: { bridge in events?.yield(.closed(bridge)) }
        )
    }

    func nextEvent() async -> Event? {
        for await event in events {
            eventCount.add(1, ordering: .relaxed)
            return event
        }
        return nil
    }

    /// The relay as the portal deals it.
    func forRole() -> RelayForRole {
        let endpoint = IPAddress("127.0.0.1").map { Endpoint($0, port: port) } ?? .unspecified
        return RelayForRole(
            id: RelayID("relay"),
            tcp: certificate == nil ? [endpoint] : [],
            tls: certificate == nil ? [] : [endpoint],
            tlsFingerprint: certificate?.fingerprintText,
            username: "",
            password: "",
            lifetimeSeconds: 0
        )
    }
}

/// What a client or gateway has of a bridge.
final class TestRole: Sendable {
    let loop: TestLoop
    let streams: RelayStreams
    private let changes: AsyncStream<Endpoint?>

    init() async throws {
        loop = try await TestLoop(answers: false)
        let (stream, continuation) = AsyncStream.makeStream(of: Endpoint?.self)
        changes = stream
        streams = RelayStreams(
            port: loop.port,
            mark: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { _, bridge in continuation.yield(bridge) }
    }

    func nextChange() async -> Endpoint?? {
        for await change in changes { return change }
        return nil
    }

    func nextBridge() async -> Endpoint? {
        for await case let bridge? in changes { return bridge }
        return nil
    }
}
