internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// Lets administrators through, by the cookie of their session; others go and sign in first.
struct SessionGate: RouterMiddleware {
    /// The session's cookie; its prefix makes browsers refuse it from anywhere but this host.
    static let cookie = "__Host-culvert"

    let store: Store

    func handle(
        _ request: Request,
        context: PortalContext,
        next: (Request, PortalContext) async throws -> Response
    ) async throws -> Response {
        guard let secret = request.cookies[Self.cookie]?.value,
            let session = try await store.session(secret, now: .now)
        else {
            guard request.method == .get else {
                let sentence = "Your session is over; sign in again."
                throw APIError(.unauthorized, Refusal(.unauthenticated, .mend, sentence))
            }
            let target = request.uri.string.addingPercentEncoding(
                withAllowedCharacters: .alphanumerics
            )
            return .seeOther("/sign-in?next=\(target ?? "")")
        }
        var context = context
        context.principal = .administrator(session)
        return try await next(request, context)
    }
}

extension Form {
    /// The form of a signed-in administrator, checked to come from a page of this portal.
    static func read(_ request: Request, _ context: PortalContext) async throws -> Form {
        let form = try await read(request)
        guard let session = context.session, form.carries(session.formKey) else { throw forged }
        return form
    }

    /// Whether it carries the key that the page was given.
    func carries(_ key: String) -> Bool {
        !key.isEmpty && Secrets.areEqual(Array(exact("formKey").utf8), Array(key.utf8))
    }

    /// What a form is answered with that comes from elsewhere.
    static var forged: APIError {
        let sentence =
            "This form is too old or comes from another page; go back, reload, try again."
        return APIError(.forbidden, Refusal(.forbidden, .mend, sentence))
    }
}

extension Response {
    /// Sets a cookie that scripts cannot read and that travels over TLS only.
    mutating func setCookie(_ name: String, _ value: String, lifetime: Int) {
        let text = "\(name)=\(value); Path=/; Max-Age=\(lifetime); Secure; HttpOnly; SameSite=Lax"
        headers.append(HTTPField(name: .setCookie, value: text))
    }
}
