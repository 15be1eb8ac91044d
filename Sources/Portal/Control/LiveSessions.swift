internal import Control
internal import Foundation
internal import IP

/// A client that is connected now.
struct LiveClient {
    let id: ClientID
    let connection: ControlConnection
    let token: String
    let publicKey: KeyText
    var candidates: [Candidate]
    /// The last revision that its channel carried; each message of changes adds one.
    var channelRevision: UInt64
    /// What it was told of, so that only differences are sent.
    var shown: [ResourceID: ResourceForClient]
    /// What it was told of itself and of nameservers, likewise.
    var settings: ClientSettings
    /// Resources that it was denied, for which a change may be news; with when the clock alone may
    /// change that.
    var denied: [ResourceID: Date]
    /// Requests answered on this connection.
    var answers = AnswerCache<RequestID, AuthorizationAnswer>()
}

/// What a client knows beside its resources.
struct ClientSettings: Equatable {
    let identity: ClientIdentity
    let dns: DNSSettings
    let addresses: AddressPlan
    /// Names that are protected, but not for this client.
    let withheld: WithheldNames?
}

/// How a request was answered: the same id gets the same again.
enum AuthorizationAnswer: Sendable {
    case lease(LeaseID, ResourceID)
    case denied(ToClient.Denied)

    var resource: ResourceID {
        switch self {
        case .lease(_, let resource): resource
        case .denied(let denied): denied.resource
        }
    }
}

/// A gateway that is connected now.
struct LiveGateway {
    let id: GatewayID
    let site: SiteID
    let connection: ControlConnection
    let token: String
    let publicKey: KeyText
    var candidates: [Candidate]
    let version: ProtocolVersion
    var isDraining = false
    var report: FromRole.Report?
}

/// A connection that said hello, by who it is.
enum LiveIdentity: Hashable {
    case client(ClientID)
    case gateway(GatewayID)
}
