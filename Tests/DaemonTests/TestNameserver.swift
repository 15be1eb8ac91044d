internal import Bytes
internal import DNS
internal import Foundation
internal import IP
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

@testable internal import Daemon

/// A nameserver on loopback that does what its script says, right or wrong.
final class TestNameserver: Sendable {
    /// What it does about a query.
    enum Action: Sendable {
        /// A message, after its length where it is a stream's.
        case answer([UInt8])
        /// Bytes as they are.
        case raw([UInt8])
        /// HTTP's answer.
        case http(status: Int, type: String, body: [UInt8])
        case close
    }

    /// A query as it came.
    struct Asked: Sendable {
        let bytes: [UInt8]
        /// Counted over the server's life, from 1.
        let number: Int
        /// The connection that it came by, from 1.
        let connection: Int
    }

    /// How it is reached.
    enum Kind: Sendable {
        case datagram
        case stream
        case tls(NIOSSLContext)
        case https(NIOSSLContext)
    }

    typealias Script = @Sendable (Asked) -> [Action]

    private let server: any Channel
    private let asked: Asking
    let port: UInt16

    final class Asking: Sendable {
        private let state = Mutex((queries: [Asked](), connections: 0))
        func connect() -> Int {
            state.withLock {
                $0.connections += 1
                return $0.connections
            }
        }
        func note(_ bytes: [UInt8], _ connection: Int) -> Asked {
            state.withLock {
                let one = Asked(
                    bytes: bytes,
                    number: $0.queries.count + 1,
                    connection: connection
                )
                $0.queries.append(one)
                return one
            }
        }
        var queries: [Asked] { state.withLock { $0.queries } }
        var connectionCount: Int { state.withLock { $0.connections } }
    }

    /// What it was asked.
    var queries: [Asked] { asked.queries }
    var connectionCount: Int { asked.connectionCount }
    var address: String { "127.0.0.1:\(port)" }

    init(_ kind: Kind, port: UInt16 = 0, script: @escaping Script) async throws {
        let asked = Asking()
        self.asked = asked
        switch kind {
        case .datagram:
            server = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            DatagramHandler(asked, script)
                        )
                    }
                }
                .bind(host: "127.0.0.1", port: Int(port)).get()
        default:
            server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try Self.setUp(channel, kind, asked, script)
                    }
                }
                .bind(host: "127.0.0.1", port: Int(port)).get()
        }
        self.port = UInt16(server.localAddress?.port ?? 0)
    }

    deinit { server.close(promise: nil) }

    private static func setUp(
        _ channel: any Channel,
        _ kind: Kind,
        _ asked: Asking,
        _ script: @escaping Script
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let connection = asked.connect()
        switch kind {
        case .datagram: break
        case .stream: try pipeline.addHandler(StreamHandler(asked, connection, script))
        case .tls(let context):
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
            try pipeline.addHandler(StreamHandler(asked, connection, script))
        case .https(let context):
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
            _ = try pipeline.configureHTTP2Pipeline(
                mode: .server,
                connectionConfiguration: .init(),
                streamConfiguration: .init()
            ) { stream in
                stream.eventLoop.makeCompletedFuture {
                    try stream.pipeline.syncOperations.addHandler(
                        HTTPHandler(asked, connection, script)
                    )
                }
            }
        }
    }

    /// The right answer: one address; padded, and with OPT, where the query had these.
    static func answer(
        to query: [UInt8],
        _ addresses: [String] = ["192.0.2.1"],
        timeToLive: UInt32 = 60
    ) -> [UInt8] {
        guard var message = try? Message(query.rawSpan), let question = message.questions.first
        else { return [] }
        message.header.isResponse = true
        message.header.isRecursionAvailable = true
        message.answers = addresses.compactMap { IPAddress($0) }
            .filter { $0.isIPv4 == (question.type == .a) }
            .map {
                let data = $0.isIPv4 ? RecordData.a($0) : .aaaa($0)
                return Record(question.name, timeToLive: timeToLive, data)
            }
        return message.wire(byteCountMax: Message.Limits.byteCount)
    }

    private final class StreamHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let (asked, connection, script): (Asking, Int, Script)
        private var messages = StreamMessages()

        init(_ asked: Asking, _ connection: Int, _ script: @escaping Script) {
            (self.asked, self.connection, self.script) = (asked, connection, script)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            messages.append(unwrapInboundIn(data).readableBytesView)
            while let query = messages.next() {
                for action in script(asked.note(query, connection)) {
                    switch action {
                    case .answer(let message):
                        let frame = StreamMessages.frame(message) ?? []
                        context.writeAndFlush(wrapOutboundOut(.init(bytes: frame)), promise: nil)
                    case .raw(let bytes):
                        context.writeAndFlush(wrapOutboundOut(.init(bytes: bytes)), promise: nil)
                    case .http: break
                    case .close: context.close(promise: nil)
                    }
                }
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    private final class DatagramHandler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>
        private let (asked, script): (Asking, Script)

        init(_ asked: Asking, _ script: @escaping Script) {
            (self.asked, self.script) = (asked, script)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            let query = Array(envelope.data.readableBytesView)
            for action in script(asked.note(query, 0)) {
                guard case .answer(let message) = action else { continue }
                let answer = AddressedEnvelope(
                    remoteAddress: envelope.remoteAddress,
                    data: ByteBuffer(bytes: message)
                )
                context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
            }
        }
    }

    private final class HTTPHandler: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame.FramePayload
        typealias OutboundOut = HTTP2Frame.FramePayload
        private let (asked, connection, script): (Asking, Int, Script)
        private var body: [UInt8] = []
        private var head: HPACKHeaders = [:]

        init(_ asked: Asking, _ connection: Int, _ script: @escaping Script) {
            (self.asked, self.connection, self.script) = (asked, connection, script)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .headers(let frame): head = frame.headers
            case .data(let frame):
                if case .byteBuffer(let bytes) = frame.data { body += bytes.readableBytesView }
                guard frame.endStream else { return }
                guard head.first(name: ":method") == "POST",
                    head.first(name: ":path") == "/dns-query",
                    head.first(name: "content-type") == "application/dns-message"
                else { return reply(context, 400, "text/plain", []) }
                for action in script(asked.note(body, connection)) {
                    switch action {
                    case .answer(let message):
                        reply(context, 200, "application/dns-message", message)
                    case .http(let status, let type, let body): reply(context, status, type, body)
                    case .raw: break
                    case .close: context.channel.parent?.close(promise: nil)
                    }
                }
            default: break
            }
        }

        private func reply(
            _ context: ChannelHandlerContext,
            _ status: Int,
            _ type: String,
            _ body: [UInt8]
        ) {
            let headers: HPACKHeaders = [":status": "\(status)", "content-type": type]
            context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
            let data = HTTP2Frame.FramePayload.Data(
                data: .byteBuffer(ByteBuffer(bytes: body)),
                endStream: true
            )
            context.writeAndFlush(wrapOutboundOut(.data(data)), promise: nil)
        }
    }
}
