internal import Bytes
internal import IP
internal import NIOCore
internal import NIOPosix

/// Asks a nameserver by one datagram, from a port of its own (RFC 5452 section 9.2).
enum DatagramQuestion {
    /// Asks once, and waits for the answer; whatever else comes to the port is passed over.
    ///
    /// - Returns: The answer, under the asker's ID.
    /// - Throws: ``UpstreamFailure``.
    static func ask(
        _ query: OutgoingQuery,
        _ server: Endpoint,
        mark: UInt32?,
        until deadline: NIODeadline
    ) async throws -> [UInt8] {
        let identifier = UInt16.random(in: 0...UInt16.max)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answered = loop.makePromise(of: [UInt8].self)
        let timer = loop.scheduleTask(deadline: deadline) {
            answered.fail(UpstreamFailure.silent)
        }
        defer { timer.cancel() }
        do {
            let address = try SocketAddress(
                ipAddress: server.address.description,
                port: Int(server.port)
            )
            let size = FixedSizeRecvByteBufferAllocator(capacity: 65_535)
            let channel = try await MarkedConnection.datagramBootstrap(mark: mark)
                .channelOption(.recvAllocator, value: size)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            Handler(query, identifier, answered)
                        )
                    }
                }
                .connect(to: address).get()
            defer { channel.close(promise: nil) }
            let bytes = ByteBuffer(bytes: query.wire(under: identifier, isPadded: false))
            try await channel.writeAndFlush(
                AddressedEnvelope(remoteAddress: address, data: bytes)
            )
            return try await answered.futureResult.get()
        } catch {
            answered.fail(error)
            throw UpstreamFailure(connecting: error)
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let query: OutgoingQuery
        private let identifier: UInt16
        private let answered: EventLoopPromise<[UInt8]>

        init(
            _ query: OutgoingQuery,
            _ identifier: UInt16,
            _ answered: EventLoopPromise<[UInt8]>
        ) {
            (self.query, self.identifier, self.answered) = (query, identifier, answered)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let message = Array(unwrapInboundIn(data).data.readableBytesView)
            guard query.isAnswered(by: message, under: identifier) else { return }
            answered.succeed(query.answer(message))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            answered.fail(error)
            context.close(promise: nil)
        }
    }
}
