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
    /// Where it stands; nil means unknown.
    let region: String?
    /// When each gateway was last asked to probe it.
    var punchedAt: [GatewayID: ContinuousClock.Instant] = [:]
    /// Requests that wait for a gateway to come back.
    var waiting: [FromRole.Authorize] = []
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
    /// Where it stands; nil means unknown.
    let region: String?
    var isDraining = false
    var report: FromRole.Report?
}

/// A relay of this system that is connected now.
struct LiveRelay {
    let id: RelayID
    let name: String
    let software: String
    let connection: ControlConnection
    let token: String
    /// Live allocations, where it said so.
    var allocations: UInt32?
    /// When it was last told its secrets.
    var toldAt: Date
}

/// A connection that said hello, by who it is.
enum LiveIdentity: Hashable {
    case client(ClientID)
    case gateway(GatewayID)
    case relay(RelayID)
}
