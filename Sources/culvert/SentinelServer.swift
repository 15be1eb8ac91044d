internal import Client
internal import Daemon
internal import IP
internal import Linux
internal import Logging
internal import NIOCore
internal import NIOPosix

/// Answers DNS over TCP at the sentinels.
///
/// The listening sockets live in a network namespace of the daemon's own, behind a second tunnel
/// device, so that neither the host's firewall nor a server that listens on every address gets in
/// between. Where namespaces are refused, TCP is refused too, and it is said once.
actor SentinelServer {
    /// Bounds of the server.
    enum Limits {
        static var connections: Int { 256 }
        static var idleTime: TimeAmount { .seconds(10) }
        static var queriesUnderWay: Int { 100 }
    }

    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private let logger: Logger
    private var addresses: [IPAddress] = []
    private var listening: [Task<Void, Never>] = []
    private var waiting: [UInt64: AsyncStream<[UInt8]?>.Continuation] = [:]
    private var nextIdentifier: UInt64 = 1
    private var connectionCount = 0

    init(logger: Logger) { self.logger = logger }

    /// Listens at these addresses and no others.
    func listen(on addresses: [IPAddress], _ plane: ClientSession.Plane) async {
        guard addresses != self.addresses else { return }
        stopListening()
        self.addresses = addresses
        guard !addresses.isEmpty else { return }
        do {
            let prefixes = addresses.map { IPPrefix(host: $0) }
            var listener = try SentinelListener(addresses: prefixes)
            guard let device = listener.device.take() else { return }
            await plane.divert(Diversion(device: device, destinations: prefixes, between: .host))
            for descriptor in [listener.ipv4.take()?.take(), listener.ipv6.take()?.take()] {
                guard let descriptor else { continue }
                let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                    .bind(descriptor) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try Connection(wrappingChannelSynchronously: channel)
                        }
                    }
                listening.append(Task { await self.serve(server, plane) })
            }
        } catch {
            logger.notice("\(error)")
        }
    }

    /// The core answered query `identifier`.
    func answer(_ identifier: UInt64, _ bytes: [UInt8]?) {
        guard let waiter = waiting.removeValue(forKey: identifier) else { return }
        waiter.yield(bytes)
        waiter.finish()
    }

    /// Closes everything.
    func stop() {
        stopListening()
        for waiter in waiting.values { waiter.finish() }
        waiting = [:]
    }

    private func stopListening() {
        for task in listening { task.cancel() }
        listening = []
        addresses = []
    }

    private nonisolated func serve(
        _ server: NIOAsyncChannel<Connection, Never>,
        _ plane: ClientSession.Plane
    ) async {
        try? await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    guard
                        let address = connection.channel.localAddress?.ipAddress
                            .flatMap({ IPAddress($0) }), await admit()
                    else {
                        try? await connection.channel.close()
                        continue
                    }
                    group.addTask {
                        try? await self.serve(connection, address, plane)
                        await self.release()
                    }
                }
            }
        }
    }

    private func admit() -> Bool {
        guard connectionCount < Limits.connections else { return false }
        connectionCount += 1
        return true
    }

    private func release() { connectionCount -= 1 }

    /// Queries one after the other, as many as come (RFC 7766); answers in the order in which the
    /// core gives them.
    private nonisolated func serve(
        _ connection: Connection,
        _ address: IPAddress,
        _ plane: ClientSession.Plane
    ) async throws {
        let channel = connection.channel
        try await connection.executeThenClose { inbound, outbound in
            try await withThrowingDiscardingTaskGroup { group in
                var received = ByteBuffer()
                var idle = channel.eventLoop.scheduleTask(in: Limits.idleTime) {
                    channel.close(promise: nil)
                }
                defer { idle.cancel() }
                for try await part in inbound {
                    idle.cancel()
                    received.writeImmutableBuffer(part)
                    while let query = Self.message(&received) {
                        let (identifier, answers) = await self.begin()
                        await plane.handle(
                            .streamQuery(id: identifier, sentinel: address, bytes: query)
                        )
                        group.addTask {
                            for await answer in answers {
                                guard let answer else {
                                    try await channel.close()
                                    return
                                }
                                var buffer = ByteBuffer(integer: UInt16(answer.count))
                                buffer.writeBytes(answer)
                                try await outbound.write(buffer)
                            }
                        }
                    }
                    idle = channel.eventLoop.scheduleTask(in: Limits.idleTime) {
                        channel.close(promise: nil)
                    }
                }
            }
        }
    }

    private func begin() -> (UInt64, AsyncStream<[UInt8]?>) {
        defer { nextIdentifier += 1 }
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8]?.self)
        if waiting.count < Limits.queriesUnderWay * Limits.connections {
            waiting[nextIdentifier] = continuation
        } else {
            continuation.finish()
        }
        return (nextIdentifier, stream)
    }

    private static func message(_ buffer: inout ByteBuffer) -> [UInt8]? {
        guard let count = buffer.getInteger(at: buffer.readerIndex, as: UInt16.self),
            buffer.readableBytes >= Int(count) + 2
        else { return nil }
        buffer.moveReaderIndex(forwardBy: 2)
        let bytes = buffer.readBytes(length: Int(count))
        buffer.discardReadBytes()
        return bytes
    }
}
