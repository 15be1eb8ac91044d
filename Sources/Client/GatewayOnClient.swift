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
    var isSuspect: Bool { suspectSince != nil }
    /// Since when there is a session, and since when packets take the path that they take.
    var connectedSince: Instant?
    var pathSince: Instant?
    /// When nothing was heard for so long that it was given up.
    var lostAt: Instant?
    /// When a packet last asked for it while it was silent.
    var askedAt: Instant?
    /// Since when it has been in distress.
    var suspectSince: Instant?
    /// When the portal's help is asked for again, while it is in distress and in use.
    var nextCall: Instant?
}

/// What a gateway said of one name.
struct NameOnGateway {
    enum Limits {
        /// Between repetitions of a names frame without answer; the last gap again and again.
        static let resendGaps: [Duration] = [
            .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2),
        ]
        /// Frames without answer about a name that packets pass for; the next packet that looks
        /// begins again.
        static let sends = 12
        /// After this a name that never was served counts as not served, for as long again.
        static let patience: Duration = .seconds(2)
        /// How long a refusal of the gateway is believed.
        static let refusalLifetime: Duration = .seconds(5)
        /// Between two tellings of a name that is served.
        static let retellGap: Duration = .seconds(1)
        /// A name that packets passed for within this time is told again when its lease is renewed.
        static let useTime: Duration = .seconds(300)
        /// Names told again at a time.
        static let retold = 64
        /// Names told to all gateways.
        static let names = 1 << 16
    }

    enum State: Equatable {
        /// Not answered yet; packets wait for that, or pass where the portal told the gateway too.
        case unanswered(isGranted: Bool)
        case active
        /// Not served; asked again after this.
        case inactive(ControlFrame.Status, until: Instant)
    }

    /// A names frame that waits for its answer.
    struct Telling: Equatable {
        /// When there was first a session to tell it by.
        var since: Instant
        var sends = 0
        /// Nil: as soon as there is a session.
        var nextSend: Instant?
    }

    var resource: ResourceID
    var name: String
    var proxies: [IPAddress]
    /// Of the last names frame.
    var epoch: UInt64
    var state: State
    /// Nil: the last frame was answered, or given up.
    var telling: Telling?
    /// When it was last begun to be told.
    var toldAt: Instant
    /// Whether it ever was served there: then silence alone does not end that.
    var wasActive = false
}
