internal import Bytes
internal import Control
internal import SansIO

/// What is known of the permission to reach one resource, and what waits for it.
struct Authorization {
    enum Limits {
        /// Between two requests for one resource.
        static let requestInterval: Duration = .seconds(2)
        /// How long a denial is believed, unless the portal says that something changed.
        static let denialLifetime: Duration = .seconds(30)
        /// How long a gateway that failed is left out.
        static let exclusion: Duration = .seconds(30)
        /// Gateways left out at a time.
        static let excluded = 8
        /// A resource used within this time is worth a stand-by lease.
        static let activeTime: Duration = .seconds(30)
    }

    /// A live permission.
    struct Lease: Equatable {
        var id: LeaseID
        var gateway: GatewayID
        var endsAt: Instant
    }

    /// A question to the portal that is not answered yet.
    struct Request: Equatable {
        var id: RequestID
        var sentAt: Instant
        /// Whether it is for a second gateway while the lease at the first lives on.
        var isStandby: Bool
        /// What was sent.
        var message: FromRole.Authorize
        /// Whether new flows are to take the lease that it is for, and running ones stay.
        var isMove = false
    }

    /// A no of the portal.
    struct Denial: Equatable {
        var refusal: Control.Refusal
        var failed: [FailedCondition]
        var until: Instant
    }

    /// The lease that packets use.
    var lease: Lease?
    /// One at another gateway, for when the first is lost.
    var standby: Lease? {
        didSet {
            if standby?.id != oldValue?.id { standbyHeardAt = nil }
            if standby == nil { isMoving = false }
        }
    }
    /// The lease that was, at another gateway: connections that it carries stay there.
    var former: Lease?
    /// Whether the stand-by takes new flows as soon as its gateway is heard.
    var isMoving = false
    /// When its gateway was heard while the first one was lost.
    var standbyHeardAt: Instant?
    var request: Request?
    /// When the last request was made, answered or not.
    var requestedAt: Instant?
    var denial: Denial?
    /// Whether the portal said that there is no other gateway than the one that we hear nothing of.
    var isAlone = false
    /// The last denial, for explanations; kept after it was forgotten.
    var lastDenial: Denial?
    /// Gateways that failed lately.
    var excluded: [(gateway: GatewayID, until: Instant)] = []
    /// The gateway used last: asked for again, so that long flows survive.
    var lastGateway: GatewayID?
    /// When a packet last asked for the resource; exact to some seconds.
    var lastUsed: Instant?
    /// The name and proxy addresses that the waiting packets are for.
    var name: (text: String, slot: Int)?
    var held = HeldPackets()

    /// When a request may be made.
    func requestEarliest(_ now: Instant) -> Instant {
        requestedAt.map { max(now, $0.advanced(by: Limits.requestInterval)) } ?? now
    }

    /// Leaves a gateway out of the next requests.
    mutating func exclude(_ gateway: GatewayID, at now: Instant) {
        excluded.removeAll { $0.gateway == gateway || $0.until <= now }
        if excluded.count >= Limits.excluded { excluded.removeFirst() }
        excluded.append((gateway, now.advanced(by: Limits.exclusion)))
    }

    /// Gateways to leave out now.
    func excluded(at now: Instant) -> [GatewayID] {
        excluded.filter { $0.until > now }.map(\.gateway)
    }

    /// Whether a lease is at `gateway`.
    func uses(_ gateway: GatewayID) -> Bool {
        lease?.gateway == gateway || standby?.gateway == gateway || former?.gateway == gateway
    }

    /// The leases that live at `now`.
    func leases(at now: Instant) -> [Lease] {
        all.filter { $0.endsAt > now }
    }

    /// All leases, also those that ended just now.
    var all: [Lease] { [lease, standby, former].compactMap { $0 } }

    /// When something is due: a lease or denial ends, waiting packets ask again or give up.
    /// `isAwaited`: something else than packets waits, too.
    func nextDeadline(isPortalConnected: Bool, isAwaited: Bool) -> Instant? {
        var next: Instant?
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            if next.map({ deadline < $0 }) ?? true { next = deadline }
        }
        consider(lease?.endsAt)
        consider(standby?.endsAt)
        consider(former?.endsAt)
        consider(denial?.until)
        consider(held.nextDeadline)
        if isAwaited || !held.isEmpty, lease == nil, denial == nil, isPortalConnected {
            consider(requestedAt?.advanced(by: Limits.requestInterval))
        }
        return next
    }
}
