internal import HTTPTypes
internal import Hummingbird
internal import IP
internal import Logging
internal import NIOCore

/// Who makes a request.
enum Principal: Equatable, Sendable {
    /// A process on this machine, by its uid: root or the portal's own user.
    case local(uid: UInt32)
    /// A program with an API token.
    case token(id: String, name: String)
    /// An administrator in a browser.
    case administrator(WebSession)

    /// How the audit log calls it.
    var name: String {
        switch self {
        case .local(let uid): "local user \(uid)"
        case .token(_, let name): "token \(name)"
        case .administrator(let session): session.email
        }
    }
}

/// What handlers know of a request beside its text.
struct PortalContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection, for its peer.
    let channel: any Channel
    /// Who asks; nil until somebody found out.
    var principal: Principal?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// An apply may carry a whole account.
    var maxUploadSize: Int { 32 << 20 }

    /// Whether it came through the socket of this machine.
    var isLocal: Bool {
        if case .unixDomainSocket = channel.localAddress { return true }
        return false
    }
}

/// An administrator's session, for handlers behind ``SessionGate``.
extension PortalContext {
    var session: WebSession? {
        if case .administrator(let session) = principal { return session }
        return nil
    }
}
