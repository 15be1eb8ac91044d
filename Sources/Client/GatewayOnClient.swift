internal import Control
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

/// A gateway as a client knows it: who it is, and how the connection does.
struct GatewayOnClient {
    /// How the connection does.
    enum Health {
        /// Never heard yet.
        case connecting
        case connected
        /// Nothing was heard for so long that another gateway should serve.
        case lost
    }

    let id: GatewayID
    var name: String
    var publicKey: Key
    var presharedKey: Key
    var tunnel: [IPAddress]
    var peer: PeerIndex
    var health = Health.connecting
    /// Whether it is in distress: another gateway is being asked for.
    var isSuspect = false
}

/// What a gateway said of one name.
struct NameOnGateway {
    enum Limits {
        /// Between repetitions of a names frame without answer.
        static let resendGap: Duration = .milliseconds(500)
        /// After this the name counts as not served, for as long again.
        static let patience: Duration = .seconds(2)
        /// How long a refusal of the gateway is believed.
        static let refusalLifetime: Duration = .seconds(5)
        /// Names told to all gateways.
        static let names = 1 << 16
    }

    enum State: Equatable {
        /// Told; packets wait for the answer, or pass where the portal told the gateway too.
        case told(nextSend: Instant, patienceEnd: Instant, isGranted: Bool)
        case active
        /// Not served; asked again after this.
        case inactive(ControlFrame.Status, until: Instant)
    }

    var resource: ResourceID
    var name: String
    var proxies: [IPAddress]
    /// Of the last names frame.
    var epoch: UInt64
    var state: State
}
