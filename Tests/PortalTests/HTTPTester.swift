internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Where a request goes.
enum HTTPTarget: Sendable {
    case tls(port: Int)
    case socket(String)
}

/// What came back.
struct HTTPAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: String

    func decoded<Value: Decodable>() throws -> Value {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(Value.self, from: Data(body.utf8))
    }

    /// The value of a cookie that it sets.
    func cookie(_ name: String) -> String? {
        for header in headers["set-cookie"] where header.hasPrefix("\(name)=") {
            return String(header.dropFirst(name.count + 1).prefix { $0 != ";" })
        }
        return nil
    }

    /// The value of a hidden field of a form.
    func field(_ name: String) -> String? {
        guard let start = body.range(of: "name=\"\(name)\" value=\"") else { return nil }
        return String(body[start.upperBound...].prefix { $0 != "\"" })
    }
}

/// An HTTP client of a few lines: one request on one connection.
enum HTTPTester {
    static func send(
        _ method: String,
        _ path: String,
        to target: HTTPTarget,
        headers: [String: String] = [:],
        body: String = ""
    ) async throws -> HTTPAnswer {
        let channel = try await connect(target)
        return try await channel.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(
                version: .http1_1,
                method: .init(rawValue: method),
                uri: path
            )
            head.headers = [
                "host": "localhost", "content-length": "\(body.utf8.count)", "connection": "close",
            ]
            for (name, value) in headers { head.headers.replaceOrAdd(name: name, value: value) }
            try await outbound.write(.head(head))
            if !body.isEmpty {
                try await outbound.write(.body(.byteBuffer(ByteBuffer(string: body))))
            }
            try await outbound.write(.end(nil))
            var (status, answered, text) = (0, HTTPHeaders(), "")
            for try await part in inbound {
                switch part {
                case .head(let head): (status, answered) = (Int(head.status.code), head.headers)
                case .body(let buffer): text += String(buffer: buffer)
                case .end: return HTTPAnswer(status: status, headers: answered, body: text)
                }
            }
            return HTTPAnswer(status: status, headers: answered, body: text)
        }
    }

    static func form(_ fields: [String: String]) -> String {
        fields.map { name, value in
            "\(name)=\(value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")"
        }.joined(separator: "&")
    }

    /// A TLS client that takes any certificate; a test of its own looks at the certificate.
    static func insecure() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.shutdownTimeout = .milliseconds(200)
        return try NIOSSLContext(configuration: configuration)
    }

    private static func connect(
        _ target: HTTPTarget
    ) async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        let context = try insecure()
        let isTLS = if case .tls = target { true } else { false }
        let setUp:
            @Sendable (any Channel) -> EventLoopFuture<
                NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
            > = { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if isTLS {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: "localhost")
                        )
                    }
                    try pipeline.addHTTPClientHandlers()
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
        switch target {
        case .tls(let port):
            return try await bootstrap.connect(
                host: "127.0.0.1",
                port: port,
                channelInitializer: setUp
            )
        case .socket(let path):
            return try await bootstrap.connect(
                unixDomainSocketPath: path,
                channelInitializer: setUp
            )
        }
    }
}
