internal import Bytes
internal import IP
internal import SansIO
internal import STUN

/// A relay that we may use, what it lends us, and what became of it.
///
///     reserve ──start──▶ tried ──allocated──▶ usable ──left──▶ leaving ──30 s, or unused──▶ gone
///        ▲                 │ ▲                  │
///        └──── enough ─────┘ └────── lost ──────┘
///
/// One that is used through a stream, and answers datagrams again, is tried by datagrams beside
/// that: the stream is left as any other relay is, once something is lent by them.
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
    /// Whether datagrams are answered where a stream is used.
    var answersDatagrams = false
    /// The number of the one whose stream this would do without; 0: none.
    var wouldReplace: UInt32 = 0
    /// When it is closed though paths may use it; nil: it stays.
    var endsAt: Instant?
    /// Since when no path uses it while it is being left.
    var unusedSince: Instant?

    init(number: UInt32, server: TURNServer) {
        (self.number, self.server) = (number, server)
    }

    /// Whether it is what the portal dealt: neither left nor tried beside another.
    var isInUse: Bool { endsAt == nil && wouldReplace == 0 }

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
        guard let client, client.isAllocated, wouldReplace == 0 else { return nil }
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
