internal import Bytes
internal import Control
internal import Foundation
internal import Linux
internal import NIOCore
internal import NIOSSL
internal import NIOWebSocket
internal import SansIO
internal import Synchronization

/// What goes over a channel while it is open: messages both ways, heartbeats.
extension ControlChannel {
    struct Conversation {
        var worked = false
        var refusal: Refusal?
    }

    /// What the tasks of one conversation share.
    private final class Shared: Sendable {
        let heartbeat = Mutex(Heartbeat(interval: .seconds(10), at: SystemClock.now()))
        let conversation = Mutex(Conversation())
    }

    func converse(
        on frames: Frames,
        _ state: inout Conversation,
        _ onEvent: @escaping @Sendable (Event) async -> Void
    ) async throws {
        let (stream, continuation) = AsyncStream.makeStream(
            of: FromRole.self,
            bufferingPolicy: .bufferingOldest(Limits.queuedMessages)
        )
        let alerts = listen()
        self.state.withLock { state in
            state.outgoing = continuation
            if state.isLeaving { continuation.finish() }
        }
        defer {
            self.state.withLock { ($0.outgoing, $0.alerts) = (nil, nil) }
            continuation.finish()
        }
        let shared = Shared()
        defer { state = shared.conversation.withLock { $0 } }
        try await frames.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Self.write(stream, to: outbound) }
                group.addTask { try await self.beat(shared, frames.channel, outbound) }
                group.addTask { try await self.hasten(alerts, shared, frames.channel, outbound) }
                group.addTask {
                    await onEvent(.opened)
                    for try await frame in inbound {
                        shared.heartbeat.withLock { $0.heard() }
                        guard try await Self.take(frame, outbound, shared, onEvent) else { break }
                    }
                    throw ChannelError.eof
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private static func write(
        _ messages: AsyncStream<FromRole>,
        to outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) async throws {
        let encoder = JSONEncoder()
        for await message in messages {
            let text = ByteBuffer(bytes: try encoder.encode(message))
            try await outbound.write(
                WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: text)
            )
        }
        // 1001: going away (RFC 6455 section 7.4.1).
        let close = ByteBuffer(integer: UInt16(1001))
        try await outbound.write(
            WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: close)
        )
        throw ChannelError.eof
    }

    private func beat(
        _ shared: Shared,
        _ channel: any Channel,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) async throws {
        while true {
            let due = shared.heartbeat.withLock { $0.nextDeadline }
            try await Task.sleep(for: max(.zero, SystemClock.now().duration(to: due)))
            try await look(shared, channel, outbound)
        }
    }

    /// After each change of the network, finds out soon whether the connection has outlived it.
    private func hasten(
        _ alerts: AsyncStream<Void>,
        _ shared: Shared,
        _ channel: any Channel,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) async throws {
        for await _ in alerts {
            shared.heartbeat.withLock { $0.hasten(at: SystemClock.now()) }
            try await look(shared, channel, outbound)
            try await Task.sleep(for: Heartbeat.Limits.hastenedAnswer)
            try await look(shared, channel, outbound)
        }
        // Who leaves still has messages to write.
        try await Task.sleep(for: .seconds(3_600))
    }

    /// Does what the heartbeat asks for now.
    private func look(
        _ shared: Shared,
        _ channel: any Channel,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    ) async throws {
        switch shared.heartbeat.withLock({ $0.advance(to: SystemClock.now()) }) {
        case .ping:
            try await outbound.write(
                WebSocketFrame(fin: true, opcode: .ping, maskKey: .random(), data: ByteBuffer())
            )
        case .close:
            state.withLock { $0.isHurried = true }
            Self.cut(channel)
            throw ChannelError.eof
        case nil: break
        }
    }

    /// Closes without TLS's farewell, which nobody would answer.
    private static func cut(_ channel: any Channel) {
        channel.eventLoop.execute {
            let pipeline = channel.pipeline.syncOperations
            if let tls = try? pipeline.context(handlerType: NIOSSLClientHandler.self) {
                tls.close(promise: nil)
            } else {
                channel.close(promise: nil)
            }
        }
    }

    /// - Returns: Whether the conversation goes on.
    private static func take(
        _ frame: WebSocketFrame,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>,
        _ shared: Shared,
        _ onEvent: @Sendable (Event) async -> Void
    ) async throws -> Bool {
        switch frame.opcode {
        case .ping:
            let pong = WebSocketFrame(
                fin: true,
                opcode: .pong,
                maskKey: .random(),
                data: frame.unmaskedData
            )
            try await outbound.write(pong)
        case .connectionClose:
            let answer = WebSocketFrame(
                fin: true,
                opcode: .connectionClose,
                maskKey: .random(),
                data: frame.unmaskedData
            )
            try await outbound.write(answer)
            return false
        case .text, .binary:
            let bytes = Array(frame.unmaskedData.readableBytesView)
            guard (try? JSONDepth.check(bytes.rawSpan)) != nil,
                let message = try? JSONDecoder().decode(Incoming.self, from: Data(bytes))
            else {
                await onEvent(.unreadable)
                return true
            }
            shared.conversation.withLock {
                $0.worked = true
                $0.refusal = Self.refusal(in: message)
            }
            if let seconds = Self.heartbeatSeconds(in: message) {
                shared.heartbeat.withLock {
                    $0.setInterval(.seconds(Int64(seconds)), at: SystemClock.now())
                }
            }
            await onEvent(.message(message))
        default: break
        }
        return true
    }

    private static func refusal(in message: Incoming) -> Refusal? {
        if case .refusal(let refusal)? = message as? ToClient { return refusal }
        if case .refusal(let refusal)? = message as? ToGateway { return refusal }
        if case .refusal(let refusal)? = message as? ToRelay { return refusal }
        return nil
    }

    private static func heartbeatSeconds(in message: Incoming) -> UInt32? {
        if case .welcome(let welcome)? = message as? ToClient { return welcome.heartbeatSeconds }
        if case .welcome(let welcome)? = message as? ToGateway { return welcome.heartbeatSeconds }
        if case .welcome(let welcome)? = message as? ToRelay { return welcome.heartbeatSeconds }
        return nil
    }
}
