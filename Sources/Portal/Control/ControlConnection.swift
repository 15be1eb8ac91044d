internal import Foundation
internal import IP
internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// One WebSocket of a client or gateway: text frames in order both ways, heartbeats, and an end
/// that both sides see.
final class ControlConnection: Sendable {
    /// Bounds of one connection.
    enum Limits {
        /// Bytes of a message.
        static let frameByteCount = 1 << 20
        /// How long a peer may take to say hello.
        static let greeting = Duration.seconds(10)
        /// Heartbeats in a row that may stay without a sign of life.
        static let missedHeartbeats = 3
        /// Between two looks at the rhythm in force.
        static let rhythmStep = Duration.seconds(3)
        /// How long an older connection has to prove that it lives.
        static let proof = Duration.seconds(1)
    }

    /// Close codes of RFC 6455 7.4.1 that the portal uses.
    enum CloseCode {
        static let normal: UInt16 = 1000
        static let goingAway: UInt16 = 1001
        static let unsupportedData: UInt16 = 1003
        static let policyViolation: UInt16 = 1008
        static let tooLarge: UInt16 = 1009
        static let tryAgainLater: UInt16 = 1013
    }

    /// How the other side ended.
    enum Ending: Sendable, Equatable {
        /// It said goodbye, with this code.
        case closed(UInt16?)
        /// The connection broke, or we ended it.
        case lost
        /// It read too slowly, and was cut off.
        case lagging
    }

    private struct Life {
        var heardAt = ContinuousClock.now
        var unanswered = 0
        var interval: Duration
        var isOver = false
        var isLagging = false
    }

    /// Distinguishes connections of one process.
    let number: UInt64
    /// When it was opened.
    let openedAt: Date
    /// Where its peer is, as far as the portal can tell.
    let remote: IPAddress?
    private let outlet = Outlet()
    private let channel: any Channel
    private let life: Mutex<Life>

    init(number: UInt64, remote: IPAddress?, channel: any Channel, heartbeat: Duration) {
        (self.number, self.remote, self.channel) = (number, remote, channel)
        openedAt = .now
        life = Mutex(Life(interval: heartbeat))
    }

    /// Queues a message; a peer that lags is cut off.
    func send(_ text: String) { deliver(.message(text)) }

    /// Ends it after what is queued.
    func close(_ code: UInt16) { deliver(.close(code)) }

    /// Ends it now.
    func cut() {
        outlet.discard()
        channel.close(promise: nil)
    }

    /// Changes the rhythm of heartbeats; in force within `Limits.rhythmStep`.
    func setHeartbeat(_ interval: Duration) { life.withLock { $0.interval = interval } }

    /// Whether the peer gives a sign of life within `Limits.proof`.
    func isAlive() async -> Bool {
        let asked = ContinuousClock.now
        deliver(.ping)
        let deadline = asked.advanced(by: Limits.proof)
        while ContinuousClock.now < deadline {
            let (heard, over) = life.withLock { ($0.heardAt, $0.isOver) }
            if over { return false }
            if heard > asked { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Reads until the end: `receive` gets each message in order; `end` is called once, as soon as
    /// nothing more is said or heard, while TLS may take its time to say goodbye.
    func run(
        _ frames: FrameChannel,
        receive: @escaping @Sendable (ControlConnection, ByteBuffer) async -> Void,
        end: @escaping @Sendable (ControlConnection, Ending) async -> Void
    ) async {
        let ending: Void? = try? await frames.executeThenClose { inbound, outbound in
            let ending = await withTaskGroup(of: Ending.self) { group in
                group.addTask {
                    try? await self.outlet.drain { try await outbound.write(Self.frame($0)) }
                    return .lost
                }
                group.addTask {
                    await self.beat()
                    return .lost
                }
                group.addTask { await self.read(inbound, outbound, receive) }
                let first = await group.next() ?? .lost
                group.cancelAll()
                return first
            }
            outlet.discard()
            let isLagging = life.withLock { life in
                life.isOver = true
                return life.isLagging
            }
            await end(self, isLagging ? .lagging : ending)
        }
        if ending == nil { await end(self, .lost) }
    }

    private func deliver(_ item: Outlet.Item) {
        guard outlet.send(item) == .lagging else { return }
        life.withLock { $0.isLagging = true }
        cut()
    }

    private func read(
        _ inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>,
        _ receive: @Sendable (ControlConnection, ByteBuffer) async -> Void
    ) async -> Ending {
        do {
            for try await frame in inbound {
                life.withLock { ($0.heardAt, $0.unanswered) = (.now, 0) }
                switch frame.opcode {
                case .text: await receive(self, frame.unmaskedData)
                case .ping: deliver(.pong(Array(buffer: frame.unmaskedData)))
                case .pong: break
                case .connectionClose:
                    var data = frame.unmaskedData
                    let code = data.readInteger(as: UInt16.self)
                    try? await outbound.write(Self.frame(.close(code ?? CloseCode.normal)))
                    return .closed(code)
                default: close(CloseCode.unsupportedData)
                }
            }
        } catch is NIOWebSocketFrameAggregator.Error {
            try? await outbound.write(Self.frame(.close(CloseCode.tooLarge)))
        } catch {}
        return .lost
    }

    /// Pings at the rhythm in force; returns when the peer has been silent for too long.
    private func beat() async {
        while !Task.isCancelled {
            let start = ContinuousClock.now
            while case let rest = life.withLock({ $0.interval }) - start.duration(to: .now),
                rest > .zero, !Task.isCancelled
            {
                try? await Task.sleep(for: min(rest, Limits.rhythmStep))
            }
            let unanswered = life.withLock { life in
                life.unanswered += 1
                return life.unanswered
            }
            if unanswered > Limits.missedHeartbeats { return }
            deliver(.ping)
        }
    }

    private static func frame(_ item: Outlet.Item) -> WebSocketFrame {
        switch item {
        case .message(let text):
            return WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(string: text))
        case .ping: return WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())
        case .pong(let bytes):
            return WebSocketFrame(fin: true, opcode: .pong, data: ByteBuffer(bytes: bytes))
        case .close(let code):
            var data = ByteBuffer()
            data.writeInteger(code)
            return WebSocketFrame(fin: true, opcode: .connectionClose, data: data)
        }
    }
}
