internal import Bytes
internal import IP
public import NIOCore
internal import NIOPosix
public import SansIO

/// Asks the questions that a core has for a server over TCP: one connection a question, each
/// message after its 16-bit length (RFC 1035 4.2.2, RFC 7766).
public struct StreamExchanger: Sendable {
    /// Bounds of a question.
    public enum Limits {
        /// From the first packet to the whole answer.
        public static var time: TimeAmount { .seconds(5) }
    }

    private let mark: UInt32?

    /// - Parameter mark: The firewall mark that keeps the connection out of the tunnel.
    public init(mark: UInt32?) { self.mark = mark }

    /// The answer's bytes, without the length; nil when none came in time.
    public func ask(_ exchange: Exchange) async -> [UInt8]? {
        try? await Self.ask(exchange, mark: mark)
    }

    private static func ask(_ exchange: Exchange, mark: UInt32?) async throws -> [UInt8] {
        let channel = try await MarkedConnection.bootstrap(mark: mark)
            .connectTimeout(Limits.time)
            .connect(
                host: exchange.server.address.description,
                port: Int(exchange.server.port)
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        let deadline = channel.channel.eventLoop.scheduleTask(in: Limits.time) {
            channel.channel.close(promise: nil)
        }
        defer { deadline.cancel() }
        return try await channel.executeThenClose { inbound, outbound in
            var question = ByteBuffer(integer: UInt16(truncatingIfNeeded: exchange.bytes.count))
            question.writeBytes(exchange.bytes)
            try await outbound.write(question)
            var received = ByteBuffer()
            for try await part in inbound {
                received.writeImmutableBuffer(part)
                guard let count = received.getInteger(at: received.readerIndex, as: UInt16.self),
                    let bytes = received.getBytes(at: received.readerIndex + 2, length: Int(count))
                else { continue }
                return bytes
            }
            throw ChannelError.eof
        }
    }
}
