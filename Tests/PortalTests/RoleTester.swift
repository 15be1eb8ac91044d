internal import Control
internal import Foundation
internal import IP
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket
internal import Synchronization
internal import Testing

/// A client, gateway or relay whose every word is the test's.
final class RoleTester: Sendable {
    /// The upgrade was refused.
    struct Refused: Error, Equatable {
        let status: Int
        let body: String
    }
    struct Closed: Error, Equatable {}
    struct TimedOut: Error, Equatable { let waitedFor: String }

    private final class Flag: Sendable { let value = Mutex(false) }

    private enum Negotiated: Sendable {
        case frames(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
        case refused(NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>)
    }

    private let channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>
    private let waiting: Mutex<(texts: [String], isClosed: Bool, code: UInt16?)>
    private let answersPings: Mutex<Bool>
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private let pings = Mutex(0)

    private init(_ channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>) {
        self.channel = channel
        waiting = Mutex(([], false, nil))
        answersPings = Mutex(true)
        (wake, waker) = AsyncStream.makeStream()
        Task { await read() }
    }

    /// Opens the channel with a token.
    static func connect(port: Int, token: String, path: String = controlPath) async throws
        -> RoleTester
    {
        let context = try HTTPTester.insecure()
        let outcome: EventLoopFuture<Negotiated> = try await ClientBootstrap(
            group: .singletonMultiThreadedEventLoopGroup
        ).connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: context, serverHostname: "localhost")
                )
                let upgrader = NIOTypedWebSocketClientUpgrader<Negotiated>(maxFrameSize: 1 << 24) {
                    channel,
                    _ in
                    channel.eventLoop.makeCompletedFuture {
                        .frames(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                    }
                }
                let head = HTTPRequestHead(
                    version: .http1_1,
                    method: .GET,
                    uri: path,
                    headers: [
                        "host": "localhost", "authorization": "Bearer \(token)",
                        "content-length": "0",
                    ]
                )
                var pipeline = NIOUpgradableHTTPClientPipelineConfiguration<Negotiated>(
                    upgradeConfiguration: .init(upgradeRequestHead: head, upgraders: [upgrader]) {
                        channel in
                        channel.eventLoop.makeCompletedFuture {
                            .refused(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
                        }
                    }
                )
                pipeline.leftOverBytesStrategy = .forwardBytes
                return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                    configuration: pipeline
                )
            }
        }
        switch try await outcome.get() {
        case .frames(let channel): return RoleTester(channel)
        case .refused(let channel):
            throw try await channel.executeThenClose { inbound, _ in
                var (status, text) = (0, "")
                for try await part in inbound {
                    switch part {
                    case .head(let head): status = Int(head.status.code)
                    case .body(let buffer): text += String(buffer: buffer)
                    case .end: return Refused(status: status, body: text)
                    }
                }
                return Refused(status: status, body: text)
            }
        }
    }

    // MARK: - Saying

    func say(_ message: FromRole) async throws {
        try await say(text: String(decoding: try JSONEncoder().encode(message), as: UTF8.self))
    }

    func say(text: String) async throws { try await write(.text, ByteBuffer(string: text)) }

    /// A key whose bytes are all `byte`.
    static func key(_ byte: UInt8) throws -> KeyText {
        try #require(KeyText(bytes: Array(repeating: byte, count: 32)))
    }

    func hello(
        _ role: Role,
        name: String,
        key: UInt8,
        versions: [ProtocolVersion] = ProtocolVersion.spoken,
        instance: String? = nil,
        leases: [LeaseID]? = nil,
        region: String? = nil
    ) async throws {
        try await say(
            .hello(
                FromRole.Hello(
                    versions: versions,
                    role: role,
                    name: name,
                    software: "1.1.0",
                    os: "linux",
                    publicKey: try Self.key(key),
                    candidates: try Self.candidates("198.51.100.\(key):51830"),
                    instance: instance,
                    leases: leases,
                    region: region
                )
            )
        )
    }

    /// Says hello as a relay at one public address.
    func relayHello(_ name: String, at address: String, region: String? = nil) async throws {
        try await say(
            .relayHello(
                FromRole.RelayHello(
                    name: name,
                    software: "1.1.0",
                    udp: [try #require(.init(address))],
                    region: region
                )
            )
        )
    }

    static func candidates(_ texts: String...) throws -> [Candidate] {
        try texts.map { Candidate(kind: .host, endpoint: try #require(.init($0))) }
    }

    func authorize(
        _ resource: ResourceID,
        id: String,
        connected: [GatewayID] = [],
        without: [GatewayID]? = nil,
        standBy: Bool? = nil
    ) async throws {
        try await say(
            .authorize(
                FromRole.Authorize(
                    id: RequestID(id),
                    resource: resource,
                    connected: connected,
                    withoutGateway: without,
                    standBy: standBy
                )
            )
        )
    }

    /// From now on pings stay without an answer, as those of a host that vanished.
    func fallSilent() { answersPings.withLock { $0 = false } }

    /// Leaves with a close frame.
    func leave(code: UInt16 = 1000) async throws {
        var data = ByteBuffer()
        data.writeInteger(code)
        try await write(.connectionClose, data)
    }

    func drop() { channel.channel.close(promise: nil) }

    var pingCount: Int { pings.withLock { $0 } }

    // MARK: - Hearing

    /// The next message to a client.
    func nextToClient() async throws -> ToClient { try await next() }

    /// The next message to a gateway.
    func nextToGateway() async throws -> ToGateway { try await next() }

    /// The next message to a relay of which `pick` makes something; others are passed over.
    func relay<Value>(_ pick: (ToRelay) -> Value?) async throws -> Value {
        for _ in 0..<100 { if let value = pick(try await next()) { return value } }
        throw TimedOut(waitedFor: "\(Value.self)")
    }

    /// The next message to a client of which `pick` makes something; others are passed over.
    func client<Value>(_ pick: (ToClient) -> Value?) async throws -> Value {
        for _ in 0..<100 { if let value = pick(try await nextToClient()) { return value } }
        throw TimedOut(waitedFor: "\(Value.self)")
    }

    /// The next message to a gateway of which `pick` makes something; others are passed over.
    func gateway<Value>(_ pick: (ToGateway) -> Value?) async throws -> Value {
        for _ in 0..<100 { if let value = pick(try await nextToGateway()) { return value } }
        throw TimedOut(waitedFor: "\(Value.self)")
    }

    /// Waits for the end; the close code.
    func closing() async throws -> UInt16? {
        for _ in 0..<1_000 {
            let (isClosed, code) = waiting.withLock { ($0.isClosed, $0.code) }
            if isClosed { return code }
            try await step("the end")
        }
        throw TimedOut(waitedFor: "the end")
    }

    /// Messages that came and were not taken yet.
    var untaken: [String] { waiting.withLock { $0.texts } }

    private func next<Message: Decodable>() async throws -> Message {
        for _ in 0..<1_000 {
            let (text, isClosed) = waiting.withLock { waiting in
                (waiting.texts.isEmpty ? nil : waiting.texts.removeFirst(), waiting.isClosed)
            }
            if let text { return try JSONDecoder().decode(Message.self, from: Data(text.utf8)) }
            if isClosed { throw Closed() }
            try await step("a message")
        }
        throw TimedOut(waitedFor: "a message")
    }

    /// Waits for something to come, at most half a minute: machines that test are busy.
    private func step(_ what: String) async throws {
        let isLate = Flag()
        let alarm = channel.channel.eventLoop.scheduleTask(in: .seconds(30)) { [waker] in
            isLate.value.withLock { $0 = true }
            waker.yield()
        }
        var iterator = wake.makeAsyncIterator()
        _ = await iterator.next()
        alarm.cancel()
        if isLate.value.withLock({ $0 }) { throw TimedOut(waitedFor: what) }
    }

    private func read() async {
        try? await channel.executeThenClose { inbound, outbound in
            for try await frame in inbound {
                switch frame.opcode {
                case .text: waiting.withLock { $0.texts.append(String(buffer: frame.unmaskedData)) }
                case .ping:
                    pings.withLock { $0 += 1 }
                    guard answersPings.withLock({ $0 }) else { break }
                    try await outbound.write(Self.frame(.pong, frame.unmaskedData))
                case .connectionClose:
                    var data = frame.unmaskedData
                    let code = data.readInteger(as: UInt16.self)
                    waiting.withLock { $0.code = code }
                    return
                default: break
                }
                waker.yield()
            }
        }
        waiting.withLock { $0.isClosed = true }
        waker.yield()
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) async throws {
        try await channel.channel.writeAndFlush(Self.frame(opcode, data))
    }

    private static func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
    }
}
