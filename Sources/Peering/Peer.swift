internal import Bytes
internal import IP
internal import SansIO
internal import WireGuard

/// One peer of a pool: its tunnel, its ways and what is known of its health.
///
/// A class because an array cannot hold what owns keys (a tunnel is not copyable); only the pool
/// holds it, so nothing is shared.
final class Peer {
    let index: PeerIndex
    var configuration: PeerConfiguration
    var tunnel: Tunnel
    var paths: PathTable
    var liveness: Liveness
    var ladder: Ladder?
    /// Gateway: the rounds of probes that look for a direct way; nil: none is looked for.
    var search: Search?
    /// What a peer under load gave for paths; mac2 is made with it.
    var cookies: [(path: Path, cookie: Cookie)] = []
    /// Whether the role was told that a session is there.
    var isConnected = false
    /// When a connection was last wanted: by an upsert or by a packet.
    var wantedAt: Instant
    /// Since when a session is wanted and not there; nil when it is there, or not wanted.
    var connectingSince: Instant?
    /// Whether the role was told that this peer is lost.
    var isLost = false
    /// Gateway: the counter of the newest packet that named the path, in the session in use.
    var namedBy: UInt64?
    /// Client: when something was last heard by the chosen path.
    var chosenHeardAt: Instant?
    /// Client: when an endpoint of it was last learnt from a packet that came straight.
    var learntAt: Instant?
    /// The same from one that came through a relay of ours.
    var learntByRelayAt: Instant?
    /// The addresses that relays were asked to let through for it.
    var permitted: [IPAddress] = []
    /// The path through a relay that a channel is wanted for.
    var bound: Path?
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0

    init(
        index: PeerIndex,
        configuration: PeerConfiguration,
        tunnel: consuming Tunnel,
        paths: PathTable,
        role: PeerRole,
        at now: Instant
    ) {
        (self.index, self.configuration) = (index, configuration)
        self.tunnel = tunnel
        liveness = Liveness(role)
        self.paths = paths
        wantedAt = now
    }

    /// Whether frames may be sent to it.
    var speaksFrames: Bool { configuration.speaksFrames }

    /// The cookie for `path`; nil when none is known.
    func cookie(for path: Path) -> Cookie? { cookies.first { $0.path == path }?.cookie }

    func keep(_ cookie: Cookie, for path: Path) {
        cookies.removeAll { $0.path == path }
        if cookies.count >= PathTable.Limits.pairs { cookies.removeFirst() }
        cookies.append((path, cookie))
    }

    /// When something must be done for it.
    var nextDeadline: Instant? {
        var next = tunnel.nextDeadline
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            if next.map({ deadline < $0 }) ?? true { next = deadline }
        }
        consider(ladder?.next)
        if let connectingSince, !isLost {
            consider(connectingSince.advanced(by: PeerPool.Limits.connectPatience))
        }
        if isConnected, speaksFrames {
            consider(paths.nextProbe)
            consider(search?.next)
            consider(liveness.nextDeadline(roundTrip: paths.chosenRoundTrip))
        }
        return next
    }
}
