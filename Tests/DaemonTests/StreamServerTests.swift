internal import IP
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import Testing

@testable internal import Daemon

/// A connection to a server of ours, used by hand.
private final class TestConnection: Sendable {
    private let channel: any Channel
    private let received: AsyncStream<[UInt8]>

    init(port: Int, isReading: Bool = true) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        received = stream
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.autoRead, value: isReading)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    deinit { channel.close(promise: nil) }

    func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    /// The next message; nil when the server closed the connection.
    func next() async -> [UInt8]? {
        for await message in received { return message }
        return nil
    }

    /// Says that nothing more is sent.
    func closeOutput() async throws { try await channel.close(mode: .output) }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<[UInt8]>.Continuation
        private var messages = StreamMessages()

        init(_ continuation: AsyncStream<[UInt8]>.Continuation) {
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            messages.append(unwrapInboundIn(data).readableBytesView)
            while let message = messages.next() { continuation.yield(message) }
        }

        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

@Suite("Queries taken over TCP", .timeLimit(.minutes(1)))
struct StreamServerTests {
    /// Gives queries to the test, which answers them when it likes.
    private final class Desk: Sendable {
        private let waiting = Mutex<[UInt8: CheckedContinuation<[UInt8]?, Never>]>([:])
        private let came: AsyncStream<UInt8>.Continuation
        let arrivals: AsyncStream<UInt8>

        init() { (arrivals, came) = AsyncStream.makeStream(of: UInt8.self) }

        func ask(_ query: StreamServer.Query) async -> [UInt8]? {
            await withCheckedContinuation { continuation in
                waiting.withLock { $0[query.bytes[0]] = continuation }
                came.yield(query.bytes[0])
            }
        }

        func answer(_ number: UInt8, _ bytes: [UInt8]?) {
            waiting.withLock { $0.removeValue(forKey: number) }?.resume(returning: bytes)
        }

        func wait(for count: Int) async {
            var left = count
            for await _ in arrivals {
                left -= 1
                if left == 0 { return }
            }
        }
    }

    /// A server whose queries are answered one by one.
    private static func server(
        _ bounds: StreamServer.Bounds = .init(),
        _ answer: @escaping @Sendable (StreamServer.Query) async -> [UInt8]?
    ) -> StreamServer {
        let (stream, continuation) = AsyncStream.makeStream(of: StreamServer.Query.self)
        let server = StreamServer(bounds: bounds) { queries in
            for query in queries { continuation.yield(query) }
        }
        Task { [weak server] in
            for await query in stream {
                Task { server?.answer(query.id, await answer(query)) }
            }
        }
        return server
    }

    private static func echo(_ bounds: StreamServer.Bounds = .init()) -> StreamServer {
        server(bounds) { $0.bytes }
    }

    @Test("queries are taken one after the other, and answered as the answers come")
    func outOfOrder() async throws {
        let desk = Desk()
        let server = Self.server { await desk.ask($0) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        try await connection.send([0, 1, 1, 0, 1, 2, 0])
        try await connection.send([1, 3])
        await desk.wait(for: 3)
        for number in [3, 1, 2] as [UInt8] {
            desk.answer(number, [number, number])
            #expect(await connection.next() == [number, number])
        }
        server.stop()
        #expect(await connection.next() == nil)
    }

    @Test("what comes together is asked together, and is answered before the refusal behind it")
    func together() async throws {
        let (batches, continuation) = AsyncStream.makeStream(of: [StreamServer.Query].self)
        let server = StreamServer { continuation.yield($0) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        try await connection.send([0, 1, 1, 0, 1, 2, 0, 1, 3])
        var queries: [StreamServer.Query] = []
        for await batch in batches {
            queries += batch
            if queries.count == 3 { break }
        }
        #expect(queries.map(\.bytes) == [[1], [2], [3]])
        #expect(Set(queries.map(\.id)).count == 3)
        server.answer(queries[0].id, [1])
        server.answer(queries[2].id, [3])
        server.answer(queries[1].id, nil)
        // Nobody waits for these.
        server.answer(queries[0].id &+ (1 << 40), [9])
        #expect(await connection.next() == [1])
        #expect(await connection.next() == [3])
        #expect(await connection.next() == nil)
        server.answer(queries[0].id, [1])
        server.stop()
    }

    @Test("a message of 64 KiB goes both ways, and an empty one too")
    func large() async throws {
        let server = Self.echo()
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        let large = [UInt8](repeating: 7, count: 65_535)
        try await connection.send([0xff, 0xff] + large + [0, 0])
        let answers = [await connection.next(), await connection.next()]
        #expect(Set(answers) == [large, []])
        server.stop()
    }

    @Test("who asks and then closes its half still gets the answer")
    func halfClosed() async throws {
        let desk = Desk()
        let server = Self.server { await desk.ask($0) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        try await connection.send([0, 1, 1, 0, 1, 2])
        try await connection.closeOutput()
        await desk.wait(for: 2)
        desk.answer(2, [2])
        #expect(await connection.next() == [2])
        desk.answer(1, [1])
        #expect(await connection.next() == [1])
        #expect(await connection.next() == nil)
        server.stop()
    }

    @Test("no answer closes the connection")
    func closes() async throws {
        let server = Self.server { _ in nil }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        try await connection.send([0, 1, 1])
        #expect(await connection.next() == nil)
        server.stop()
    }

    @Test("who sends nothing, or half a message, is closed in time", arguments: [[], [0, 9, 1]])
    func idle(bytes: [UInt8]) async throws {
        var bounds = StreamServer.Bounds()
        bounds.idle = .milliseconds(50)
        let server = Self.echo(bounds)
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        // On a busy machine it may be closed before anything was sent.
        try? await connection.send(bytes)
        #expect(await connection.next() == nil)
        #expect(server.reading.slow == 0)
        server.stop()
    }

    @Test("further queries wait while as many as allowed are under way, and none is lost")
    func underWay() async throws {
        let desk = Desk()
        var bounds = StreamServer.Bounds()
        bounds.queriesUnderWay = 4
        let server = Self.server(bounds) { await desk.ask($0) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port)
        try await connection.send((1...10).flatMap { [0, 1, $0] })
        await desk.wait(for: 4)
        #expect(server.reading.queries == 4)
        for number in 1...10 as ClosedRange<UInt8> {
            desk.answer(number, [number])
            #expect(await connection.next() == [number])
            if number <= 6 { await desk.wait(for: 1) }
        }
        #expect(server.reading.queries == 10)
        server.stop()
    }

    @Test("who does not take the answers is closed, and costs no more than its share")
    func slow() async throws {
        var bounds = StreamServer.Bounds()
        bounds.idle = .seconds(2)
        let server = Self.server(bounds) { _ in [UInt8](repeating: 1, count: 60_000) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let connection = try await TestConnection(port: port, isReading: false)
        // More queries, all empty, than the kernel's buffers take: the rest is never written.
        let queries = [UInt8](repeating: 0, count: 32 << 20)
        await #expect(throws: (any Error).self) { try await connection.send(queries) }
        #expect(server.reading.slow == 1)
        #expect(server.reading.queries < 1_000)
        #expect(server.reading.open == 0)
        server.stop()
    }

    @Test("ten thousand idle connections do no harm: the oldest one makes room")
    func crowd() async throws {
        var bounds = StreamServer.Bounds()
        (bounds.connections, bounds.connectionsPerSource) = (8, 8)
        let desk = Desk()
        let server = Self.server(bounds) { await desk.ask($0) }
        let port = try await server.listen(at: "127.0.0.1", port: 0)
        let busy = try await TestConnection(port: port)
        try await busy.send([0, 1, 1])
        await desk.wait(for: 1)
        var last: TestConnection?
        for _ in 0..<400 { last = try await TestConnection(port: port) }
        let newest = try #require(last)
        try await newest.send([0, 1, 2])
        await desk.wait(for: 1)
        #expect(server.reading.open <= 8)
        #expect(server.reading.refused == 0)
        desk.answer(1, [1])
        desk.answer(2, [2])
        #expect(await busy.next() == [1], "who is being served stays")
        #expect(await newest.next() == [2])
        server.stop()
    }

    @Test("which connection makes room for which, and when none does")
    func admissions() throws {
        let (a, b) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("192.0.2.2")))
        var table = StreamAdmissions(.init(connections: 3, connectionsPerSource: 2))
        #expect(table.admit(1, from: a) == .admit)
        #expect(table.admit(2, from: a) == .admit)
        #expect(table.admit(3, from: a) == .admitInstead(of: 1), "its own source's oldest")
        table.set(2, isIdle: false)
        table.set(3, isIdle: false)
        #expect(table.admit(4, from: a) == .refuse)
        #expect(table.admit(5, from: b) == .admit)
        #expect(table.admit(6, from: b) == .admitInstead(of: 5))
        table.set(2, isIdle: true)
        table.set(6, isIdle: true)
        #expect(table.admit(7, from: b) == .admitInstead(of: 2))
        #expect(table.count == 3)
        for identifier in [3, 6, 7, 99] { table.remove(identifier) }
        #expect(table.count == 0)
        #expect(table.admit(8, from: a) == .admit)
    }
}
