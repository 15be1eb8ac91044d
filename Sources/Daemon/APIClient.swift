public import Control
public import Foundation
public import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Speaks the JSON API of a role: over its local socket, or over TLS to a portal.
public struct APIClient: Sendable {
    /// Bounds of a request.
    public enum Limits {
        /// From connecting to the last byte of the answer.
        public static var time: TimeAmount { .seconds(60) }
        /// Bytes of an answer.
        public static var answerByteCount: Int { 64 << 20 }
    }

    /// Where the role listens.
    public enum Server: Sendable {
        /// A Unix socket.
        case socket(path: String)
        /// A portal, and an API token of it.
        case portal(PortalURL, Token)
    }

    /// An answer, whatever its status.
    public struct Answer: Sendable {
        /// The HTTP status.
        public let status: Int
        /// The body.
        public let body: Data
    }

    private let server: Server

    public init(_ server: Server) { self.server = server }

    /// Asks once.
    ///
    /// - Throws: ``Sentence`` when nobody answers.
    public func send(
        _ method: String,
        _ path: String,
        body: Data = Data(),
        contentType: String = "application/json"
    ) async throws -> Answer {
        var head = HTTPRequestHead(version: .http1_1, method: .init(rawValue: method), uri: path)
        head.headers = [
            "content-length": "\(body.count)", "content-type": contentType, "connection": "close",
            "accept": "application/json",
        ]
        let channel: Connection
        switch server {
        case .socket(let path):
            head.headers.add(name: "host", value: "localhost")
            channel = try await Self.connect(path: path)
        case .portal(let url, let token):
            head.headers.add(name: "host", value: "\(url.host):\(url.port)")
            head.headers.add(name: "authorization", value: "Bearer \(token.text)")
            channel = try await Self.connect(url, PortalTrust(token: token, url: url))
        }
        do {
            return try await Self.exchange(head, body, on: channel)
        } catch let sentence as Sentence {
            throw sentence
        } catch {
            throw Self.cutOff
        }
    }

    private static let cutOff = Sentence(
        "The connection ended before the answer was whole.",
        exit: .notConnected
    )

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private static func connect(path: String) async throws -> Connection {
        do {
            return try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch let error as IOError where error.errnoCode == EACCES {
            throw Sentence(
                "You may not speak to \(path); run as root or join the group culvert.",
                exit: .notConnected
            )
        } catch {
            throw Sentence(
                "Nothing answers at \(path); is the daemon running? Another place is named with "
                    + "--socket.",
                exit: .notConnected
            )
        }
    }

    private static func connect(_ url: PortalURL, _ trust: PortalTrust) async throws -> Connection {
        do {
            return try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.seconds(10))
                .connect(host: url.host, port: Int(url.port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(trust.handler())
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw trust.lastFailure
                ?? Sentence(
                    "The portal at \(url) cannot be reached: \(error).",
                    exit: .notConnected
                )
        }
    }

    private static func exchange(
        _ head: HTTPRequestHead,
        _ body: Data,
        on connection: Connection
    ) async throws -> Answer {
        let deadline = connection.channel.eventLoop.scheduleTask(in: Limits.time) {
            connection.channel.close(promise: nil)
        }
        defer { deadline.cancel() }
        return try await connection.executeThenClose { inbound, outbound in
            let bytes = IOData.byteBuffer(ByteBuffer(bytes: body))
            // Who answers early may have hung up before all was written: the answer counts.
            try? await outbound.write(contentsOf: [.head(head), .body(bytes), .end(nil)])
            var status: Int?
            var received = Data()
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(let buffer):
                    received.append(contentsOf: buffer.readableBytesView)
                    guard received.count <= Limits.answerByteCount else {
                        throw Sentence("The answer is longer than this command takes.")
                    }
                case .end:
                    guard let status else { break }
                    return Answer(status: status, body: received)
                }
            }
            throw cutOff
        }
    }
}
