public import Foundation
internal import Glibc
internal import HTTPTypes
internal import Hummingbird
public import Logging
internal import NIOCore

/// Serves the commands of the same machine: HTTP with JSON over a Unix socket.
///
/// Who may speak is the file's mode: root, and the group `culvert` where there is one.
public struct LocalServer: Sendable {
    /// A request.
    public struct Request: Sendable {
        /// `GET /api/v1/status`.
        public let route: String
        /// The query's fields.
        public let query: [String: String]
        /// The body.
        public let body: Data
    }

    /// An answer: a status and JSON, or a sentence.
    public struct Answer: Sendable {
        let status: Int
        let body: Data
        let contentType: String

        /// 200 with `value` as JSON.
        public static func json(_ value: some Encodable) -> Answer {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            let body = (try? encoder.encode(value)) ?? Data("{}".utf8)
            return Answer(status: 200, body: body, contentType: "application/json")
        }

        /// 200 with text, for metrics.
        public static func text(_ text: String) -> Answer {
            Answer(status: 200, body: Data(text.utf8), contentType: "text/plain; version=0.0.4")
        }

        /// A refusal in words: `{"sentence": …}`.
        public static func refusal(_ status: Int, _ sentence: String) -> Answer {
            let body = (try? JSONEncoder().encode(["sentence": sentence])) ?? Data()
            return Answer(status: status, body: body, contentType: "application/json")
        }
    }

    private let address: BindAddress
    private let socketPath: String?
    private let place: String
    private let logger: Logger
    private let answer: @Sendable (Request) async -> Answer

    /// - Parameters:
    ///   - path: Where the socket is made; a stale one is removed.
    ///   - logger: Told of connections that fail.
    ///   - answer: Called for every request, also concurrently.
    public init(
        path: String,
        logger: Logger,
        answer: @escaping @Sendable (Request) async -> Answer
    ) {
        address = .unixDomainSocket(path: path)
        socketPath = path
        place = path
        self.logger = logger
        self.answer = answer
    }

    /// The same on loopback by TCP, for metrics and health.
    public init(
        loopbackPort: Int,
        logger: Logger,
        answer: @escaping @Sendable (Request) async -> Answer
    ) {
        address = .hostname("127.0.0.1", port: loopbackPort)
        socketPath = nil
        place = "127.0.0.1:\(loopbackPort)"
        self.logger = logger
        self.answer = answer
    }

    /// Serves until the task is cancelled.
    ///
    /// - Throws: ``Sentence`` when the address is taken or cannot be made.
    public func run() async throws {
        let answer = self.answer
        let responder = CallbackResponder {
            (request: Hummingbird.Request, _: BasicRequestContext) in
            let body = try await request.body.collect(upTo: 1 << 20)
            let asked = Request(
                route: "\(request.method.rawValue) \(request.uri.path)",
                query: Dictionary(
                    request.uri.queryParameters.map { (String($0.key), String($0.value)) }
                ) { $1 },
                body: Data(body.readableBytesView)
            )
            let answered = await answer(asked)
            return Response(
                status: .init(code: answered.status),
                headers: [.contentType: answered.contentType],
                body: .init(byteBuffer: ByteBuffer(bytes: answered.body))
            )
        }
        if let socketPath { unsafe unlink(socketPath) }
        var quiet = logger
        quiet.logLevel = .critical
        let application = Application(
            responder: responder,
            configuration: .init(address: address),
            onServerRunning: { _ in if let socketPath { Self.openToGroup(socketPath) } },
            logger: quiet
        )
        do { try await application.run() } catch is CancellationError {} catch {
            throw Self.sentence(for: error, at: place)
        }
        if let socketPath { unsafe unlink(socketPath) }
    }

    private static func sentence(for error: any Error, at place: String) -> Sentence {
        guard let error = error as? IOError else {
            return Sentence("\(place) cannot be opened: \(error).")
        }
        guard error.errnoCode == EADDRINUSE else {
            let word = Sentence.word(for: error.errnoCode)
            return Sentence(
                "\(place) cannot be opened (\(word)); mend that or choose another place."
            )
        }
        return Sentence("\(place) is taken by another program; stop it or choose another port.")
    }

    private static func openToGroup(_ path: String) {
        unsafe chmod(path, 0o600)
        guard let group = unsafe getgrnam("culvert") else { return }
        if unsafe chown(path, uid_t.max, group.pointee.gr_gid) == 0 { unsafe chmod(path, 0o660) }
    }
}
