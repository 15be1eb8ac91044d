internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Policy

/// An error with the HTTP status that it is answered with.
struct APIError: Error, Equatable {
    let status: HTTPResponse.Status
    let refusal: Refusal
    /// Places in a file, where there are any.
    var problems: [Problem] = []

    /// What is wrong at one place of a file or form.
    struct Problem: Codable, Equatable {
        var file: String?
        var line: Int?
        var column: Int?
        var field: String?
        var sentence: String
    }

    init(_ status: HTTPResponse.Status, _ refusal: Refusal, problems: [Problem] = []) {
        (self.status, self.refusal, self.problems) = (status, refusal, problems)
    }

    static func notFound(_ sentence: String) -> APIError {
        APIError(.notFound, Refusal(.notFound, .mend, sentence))
    }

    static func malformed(_ sentence: String) -> APIError {
        APIError(.badRequest, Refusal(.malformed, .mend, sentence))
    }
}

/// What surrounds every answer: headers for browsers, counting, and errors in words.
struct AnswerGuard: RouterMiddleware {
    let metrics: PortalMetrics

    func handle(
        _ request: Request,
        context: PortalContext,
        next: (Request, PortalContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = answer(to: error, request, context)
        }
        metrics.count(response.status.kind == .serverError ? .failedRequests : .requests)
        Self.addHeaders(to: &response, isLocal: context.isLocal)
        return response
    }

    private func answer(to error: any Error, _ request: Request, _ context: PortalContext)
        -> Response
    {
        let error = APIError(translating: error)
        if error.status.kind == .serverError {
            let why = Logger.MetadataValue("\(error.refusal.sentence)")
            context.logger.error(
                "a request failed",
                metadata: ["path": "\(request.uri.path)", "why": why]
            )
        }
        let isForPrograms = request.uri.path.hasPrefix("/api/") || context.isLocal
        return isForPrograms ? .json(error) : MessagePage.response(error)
    }

    private static func addHeaders(to response: inout Response, isLocal: Bool) {
        for (name, value) in headers where response.headers[name] == nil {
            response.headers[name] = value
        }
        if isLocal { response.headers[.strictTransportSecurity] = nil }
    }

    private static let headers: [(HTTPField.Name, String)] = [
        (
            .contentSecurityPolicy,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                + "base-uri 'none'; frame-ancestors 'none'"
        ),
        (.xContentTypeOptions, "nosniff"),
        (.strictTransportSecurity, "max-age=31536000"),
        (.cacheControl, "no-store"),
        (.referrerPolicy, "same-origin"),
        (.crossOriginOpenerPolicy, "same-origin"),
    ]
}

extension HTTPField.Name {
    fileprivate static let referrerPolicy = Self("Referrer-Policy") ?? .referer
    fileprivate static let crossOriginOpenerPolicy = Self("Cross-Origin-Opener-Policy") ?? .origin
}

extension APIError.Problem {
    fileprivate init(_ place: Policy::Node.Place?, field: String? = nil, _ sentence: String) {
        self.init(
            file: place.flatMap { $0.file.isEmpty ? nil : $0.file },
            line: place?.line,
            column: place?.column,
            field: field,
            sentence: sentence
        )
    }
}

extension APIError {
    /// Any error of a handler, as what is answered.
    init(translating error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as Refusal: self.init(.badRequest, error)
        case let error as ChangeError:
            let problem = Problem(field: error.field, sentence: error.sentence)
            let refusal = Refusal(.malformed, .mend, "\(error.field): \(error.sentence)")
            self.init(.unprocessableContent, refusal, problems: [problem])
        case let error as PlanError:
            let sentence = "\(error.subject): \(error.sentence)"
            let place = error.place.map { "\($0): " } ?? ""
            let problem = Problem(error.place, field: error.subject, sentence)
            self.init(
                .unprocessableContent,
                Refusal(.malformed, .mend, place + sentence),
                problems: [problem]
            )
        case let error as ConfigurationError:
            let problems = error.problems.map { Problem($0.place, $0.sentence) }
            let first = error.problems.first.map { "\($0.place): \($0.sentence)" }
            let refusal = Refusal(.malformed, .mend, first ?? "The configuration cannot be read.")
            self.init(.unprocessableContent, refusal, problems: problems)
        case let error as StoreError:
            let refusal = Refusal(.fault, .retryAfter, error.sentence, retryAfterSeconds: 5)
            self.init(.serviceUnavailable, refusal)
        case let error as any HTTPResponseError:
            self.init(error.status, Refusal(.malformed, .mend, Self.sentence(error.status)))
        default:
            let sentence = "Something went wrong inside the portal; its log says more."
            self.init(.internalServerError, Refusal(.fault, .retry, sentence))
        }
    }

    private static func sentence(_ status: HTTPResponse.Status) -> String {
        switch status {
        case .notFound: "There is nothing here."
        case .methodNotAllowed: "This cannot be done here."
        case .contentTooLarge: "The request is too large."
        default: "The request could not be understood."
        }
    }
}

extension Response {
    /// A value as JSON.
    static func json(
        _ value: some Encodable,
        status: HTTPResponse.Status = .ok
    ) throws -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: try text(of: value) + "\n"))
        )
    }

    private static func text(of value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// An error as JSON: a refusal, and what is wrong where.
    static func json(_ error: APIError) -> Response {
        struct Body: Encodable {
            let code: String
            let kind: String
            let sentence: String
            let problems: [APIError.Problem]
        }
        let body = Body(
            code: error.refusal.code.rawValue,
            kind: error.refusal.kind.rawValue,
            sentence: error.refusal.sentence,
            problems: error.problems
        )
        var response = (try? json(body, status: error.status)) ?? Response(status: error.status)
        if let seconds = error.refusal.retryAfterSeconds {
            response.headers[.retryAfter] = "\(seconds)"
        }
        return response
    }

    /// Text of any kind.
    static func text(
        _ text: String,
        type: String = "text/plain; charset=utf-8",
        status: HTTPResponse.Status = .ok
    ) -> Response {
        Response(
            status: status,
            headers: [.contentType: type],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text))
        )
    }

    /// To another page, after something was done.
    static func seeOther(_ location: String) -> Response {
        Response(status: .seeOther, headers: [.location: location])
    }
}
