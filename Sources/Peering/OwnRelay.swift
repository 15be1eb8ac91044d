internal import Bytes
internal import IP
internal import SansIO
internal import STUN

/// A relay that we may use, what it lends us, and what became of it.
///
///     reserve ──start──▶ tried ──allocated──▶ usable ──left──▶ leaving ──30 s, or unused──▶ gone
///        ▲                 │ ▲                  │
///        └──── enough ─────┘ └────── lost ──────┘
struct OwnRelay {
    /// Stands in ``Path/relay``; never given to another.
    let number: UInt32
    /// What the portal dealt.
    var server: TURNServer
    /// What keeps its allocation; nil: it is in reserve.
    var client: TURNClient?
    /// The loopback endpoint of a stream to it.
    var bridge: Endpoint?
    /// Whether the last that was heard of it is that it does not work.
    var isFailing = false
    /// When it is closed though paths may use it; nil: it stays.
    var endsAt: Instant?
    /// Since when no path uses it while it is being left.
    var unusedSince: Instant?

    init(number: UInt32, server: TURNServer) {
        (self.number, self.server) = (number, server)
    }

    /// Whether its lent addresses can be used.
    var isUsable: Bool { client?.isAllocated ?? false }

    /// When a relay that is being left is closed: packets on their way arrive before.
    var closeDeadline: Instant? {
        guard let endsAt else { return nil }
        return unusedSince.map { min(endsAt, $0.advanced(by: PeerPool.Limits.lingerTime)) }
            ?? endsAt
    }

    /// What paths must know of it; nil while it lends nothing.
    var end: RelayEnd? {
        guard let client, client.isAllocated else { return nil }
        let relayed = client.relayedAddresses
        return RelayEnd(
            number: number,
            hasIPv4: relayed.contains { $0.address.isIPv4 },
            hasIPv6: relayed.contains { !$0.address.isIPv4 },
            isPrivate: isPrivate,
            isLeaving: endsAt != nil
        )
    }

    /// Whether it lies in a private network.
    private var isPrivate: Bool {
        let lent = client?.relayedAddresses ?? []
        return (lent + server.endpoints).contains { $0.address.isPrivate }
    }

    /// Whether a permission for `address` can be of use.
    func permits(_ address: IPAddress) -> Bool { end?.reaches(address) ?? false }

    var status: RelayStatus {
        var status = RelayStatus(id: server.id)
        guard let client else { return status }
        status.server = client.serverEndpoint
        status.roundTrip = client.roundTrip
        status.mapped = client.isStream ? [] : client.mappedAddresses
        status.relayed = client.relayedAddresses
        (status.isUsable, status.isStream) = (client.isAllocated, client.isStream)
        return status
    }
}
