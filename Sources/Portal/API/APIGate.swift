internal import Control
internal import HTTPTypes
internal import Hummingbird

/// Lets in who may use the API: root and the portal's own user on the local socket, and whoever
/// holds an API token elsewhere. A browser's session opens nothing here.
struct APIGate: RouterMiddleware {
    let portal: Portal

    func handle(
        _ request: Request,
        context: PortalContext,
        next: (Request, PortalContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.principal =
            context.isLocal
            ? try await localPrincipal(context) : try await tokenPrincipal(request)
        return try await next(request, context)
    }

    private func localPrincipal(_ context: PortalContext) async throws -> Principal {
        guard let uid = await LocalPeer.uid(of: context.channel), LocalPeer.isAdministrator(uid)
        else {
            throw APIError(
                .forbidden,
                Refusal(
                    .forbidden,
                    .mend,
                    "Only root and the portal's own user may do this; use sudo."
                )
            )
        }
        return .local(uid: uid)
    }

    private func tokenPrincipal(_ request: Request) async throws -> Principal {
        let bearer = request.headers[.authorization] ?? ""
        guard bearer.lowercased().hasPrefix("bearer ") else {
            throw unauthenticated("An API token is missing; set CULVERT_API_TOKEN.")
        }
        let token: Token
        do {
            token = try Token(parsing: String(bearer.dropFirst(7)))
        } catch {
            throw unauthenticated(error.sentence)
        }
        guard token.kind == .api,
            let stored = await portal.switchboard.token(secret: token.secret),
            stored.tokenKind == .api, stored.revokedAt == nil
        else {
            portal.metrics.count(.refusedTokens)
            throw unauthenticated("This is no API token of this portal, or it was revoked.")
        }
        return .token(id: stored.id, name: stored.name)
    }

    private func unauthenticated(_ sentence: String) -> APIError {
        APIError(.unauthorized, Refusal(.unauthenticated, .signIn, sentence))
    }
}
