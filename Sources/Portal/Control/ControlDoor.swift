internal import Control
internal import Foundation
internal import IP
internal import Logging
internal import NIOCore
internal import NIOHTTP1

/// A client, gateway or relay whose token was accepted.
struct RoleCaller: Sendable {
    let token: StoredToken
    let role: CallerRole
    /// Where the portal sees it.
    let remote: IPAddress?
}

/// The WebSocket at `/control`: lets in who has a good token, and hands its messages to the
/// switchboard.
struct ControlDoor: WebSocketDoor {
    let switchboard: Switchboard
    let remoteAddress: RemoteAddress
    let metrics: PortalMetrics
    let heartbeat: Duration
    let logger: Logger

    func admit(
        _ head: HTTPRequestHead,
        from remote: SocketAddress?
    ) async -> Admission<RoleCaller> {
        let admission = await judge(head, from: remote)
        if case .refuse = admission { metrics.count(.refusedTokens) }
        return admission
    }

    private func judge(
        _ head: HTTPRequestHead,
        from remote: SocketAddress?
    ) async -> Admission<RoleCaller> {
        let path = head.uri.prefix { $0 != "?" }
        guard path == controlPath else {
            return .refuse(
                .notFound,
                Refusal(.notFound, .mend, "There is no channel at \(path); use \(controlPath).")
            )
        }
        let bearer = head.headers["authorization"].first ?? ""
        guard bearer.lowercased().hasPrefix("bearer ") else {
            return .unauthenticated("A token is missing; start with --token-file.")
        }
        let token: Token
        do {
            token = try Token(parsing: String(bearer.dropFirst(7)))
        } catch {
            return .unauthenticated(error.sentence)
        }
        guard let role = CallerRole(token.kind) else {
            return .unauthenticated(
                "A token for \(token.kind) opens no channel; make one for a client, gateway or relay."
            )
        }
        if let seconds = await switchboard.overloadSeconds {
            let refusal = Refusal(
                .overloaded,
                .retryAfter,
                "Many are connecting at once; this connection has to wait.",
                retryAfterSeconds: seconds
            )
            return .refuse(.serviceUnavailable, refusal)
        }
        switch await switchboard.token(secret: token.secret) {
        case .some(let stored) where stored.revokedAt != nil:
            return .unauthenticated("This token was revoked; ask an administrator for a new one.")
        case .some(let stored) where stored.tokenKind == token.kind:
            let forwarded = head.headers["x-forwarded-for"]
            let address = remoteAddress.address(of: remote, forwardedFor: forwarded)
            return .accept(RoleCaller(token: stored, role: role, remote: address))
        default:
            return .unauthenticated("This portal does not know this token; ask for a new one.")
        }
    }

    func serve(_ caller: RoleCaller, over frames: FrameChannel) async {
        let connection = ControlConnection(
            number: await switchboard.nextConnectionNumber(),
            remote: caller.remote,
            channel: frames.channel,
            heartbeat: heartbeat
        )
        let greeting = Task {
            try await Task.sleep(for: ControlConnection.Limits.greeting)
            await switchboard.closeIfSilent(connection)
        }
        await connection.run(frames) { connection, buffer in
            await switchboard.receive(buffer, from: caller, on: connection)
        } end: { connection, ending in
            greeting.cancel()
            await switchboard.ended(connection, ending)
        }
    }
}

extension Admission {
    /// A refusal as the body of an answer.
    static func refuse(_ status: HTTPResponseStatus, _ refusal: Refusal) -> Self {
        .refuse(status, body: refusal.json, retryAfter: refusal.retryAfterSeconds.map(Int.init))
    }

    /// The one answer that ends a token.
    static func unauthenticated(_ sentence: String) -> Self {
        .refuse(.unauthorized, Refusal(.unauthenticated, .signIn, sentence))
    }
}
