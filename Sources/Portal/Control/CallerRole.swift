internal import Control

/// Who may open a channel: what the token is for.
enum CallerRole: String, Sendable {
    case client, gateway, relay

    /// The role that a token of `kind` is for; nil where it opens no channel.
    init?(_ kind: Token.Kind) {
        switch kind {
        case .client: self = .client
        case .gateway: self = .gateway
        case .relay: self = .relay
        case .api: return nil
        }
    }

    /// The role of a device, which a relay is not.
    var device: Role? {
        switch self {
        case .client: .client
        case .gateway: .gateway
        case .relay: nil
        }
    }
}
