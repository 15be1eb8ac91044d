public import Control
internal import IP
internal import Peering
internal import RelayUse
public import SansIO

extension Gateway {
    /// How the gateway is doing, for `culvert status` and metrics.
    public struct Status: Sendable, Equatable, Codable {
        /// One client.
        public struct Client: Sendable, Equatable, Codable {
            public var id: ClientID
            /// Its tunnel addresses.
            public var tunnel: [String]
            /// Whether a session is there.
            public var isConnected: Bool
            /// Where it is reached; nil before it was heard.
            public var remote: String?
            /// `direct` or `relayed`.
            public var path: String
            /// How the path's worse end became known: `host`, `server-reflexive`, `peer-reflexive`,
            /// `relayed`.
            public var kind: String
            /// Our own relay that the path goes through; nil: none.
            public var relay: String?
            /// The path's round trip in microseconds; nil before it was measured.
            public var roundTripMicroseconds: Int64?
            /// Bytes of datagrams received and sent.
            public var bytesIn: UInt64
            public var bytesOut: UInt64
            /// What it may reach.
            public var leases: [Lease]
            /// Names that it uses.
            public var names: Int
            /// Its flows.
            public var flows: Int
        }

        /// One lease.
        public struct Lease: Sendable, Equatable, Codable {
            public var id: LeaseID
            public var resource: ResourceID
            /// What people call the resource.
            public var name: String
            /// How long it lives, in seconds.
            public var remainingSeconds: Double
        }

        /// One relay.
        public struct RelayState: Sendable, Equatable, Codable {
            public var id: RelayID
            /// Where it is reached; nil while it is in reserve.
            public var server: String?
            /// Whether it lends us an address.
            public var isUsable: Bool
            /// Whether it is reached over TCP or TLS, because UDP does not get through.
            public var isStream: Bool
            /// Its round trip in microseconds; nil before it was measured.
            public var roundTripMicroseconds: Int64?
            /// Our addresses as it sees them.
            public var mapped: [String]
            /// The addresses that it lends us.
            public var relayed: [String]
        }

        /// The gateway's name; nil before the first welcome.
        public var name: String?
        /// Its own tunnel addresses.
        public var tunnel: [String]
        /// Whether the channel to the portal is up.
        public var isPortalUp: Bool
        public var clients: [Client]
        /// The relays that the portal dealt.
        public var relays: [RelayState]
        /// Where clients may reach us.
        public var candidates: [Control.Candidate]
        /// Names whose addresses are remembered.
        public var resolvedNames: Int
        /// Look-ups of names that no server answered.
        public var failedLookups: UInt64
        /// Flows begun, ended by time, and ended to make room.
        public var flowsOpened: UInt64
        public var flowsExpired: UInt64
        public var flowsEvicted: UInt64
        public var counters: Counters
    }

    /// How it is doing at `now`; O(everything), for people and metrics.
    public func status(at now: Instant) -> Status {
        var status = Status(
            name: identity?.name,
            tunnel: (identity?.tunnel ?? []).map(\.description),
            isPortalUp: isPortalUp,
            clients: [],
            relays: pool.relayStatuses.map { Self.state(of: $0) },
            candidates: candidates,
            resolvedNames: resolver.count,
            failedLookups: resolver.counters.failures,
            flowsOpened: 0,
            flowsExpired: 0,
            flowsEvicted: 0,
            counters: counters
        )
        for case let client? in clients {
            status.clients.append(self.status(of: client, at: now))
            status.flowsOpened += client.nat.counters.opened
            status.flowsExpired += client.nat.counters.expired
            status.flowsEvicted += client.nat.counters.evicted
        }
        return status
    }

    private static func state(of relay: Peering.RelayStatus) -> Status.RelayState {
        Status.RelayState(
            id: RelayID(relay.id),
            server: relay.server?.description,
            isUsable: relay.isUsable,
            isStream: relay.isStream,
            roundTripMicroseconds: relay.roundTrip.map { $0.nanoseconds / 1000 },
            mapped: relay.mapped.map(\.description),
            relayed: relay.relayed.map(\.description)
        )
    }

    private func status(of client: ClientOnGateway, at now: Instant) -> Status.Client {
        let connection = pool.status(of: client.peer)
        let leases = client.grants.leases.compactMap { lease -> Status.Lease? in
            guard let resource = client.grants.resource(lease.resource)?.resource else {
                return nil
            }
            let left = now.duration(to: lease.end)
            return Status.Lease(
                id: lease.id,
                resource: resource.id,
                name: resource.name,
                remainingSeconds: max(0, left / .seconds(1))
            )
        }
        return Status.Client(
            id: client.id,
            tunnel: client.tunnel.map(\.description),
            isConnected: client.isConnected,
            remote: connection?.remote?.description,
            path: connection?.kind == .relayed ? "relayed" : "direct",
            kind: connection.map { Control.Candidate.Kind($0.kind).rawValue } ?? "none",
            relay: connection?.relay,
            roundTripMicroseconds: connection?.roundTrip.map { $0.nanoseconds / 1000 },
            bytesIn: connection?.bytesIn ?? 0,
            bytesOut: connection?.bytesOut ?? 0,
            leases: leases,
            names: client.names.count,
            flows: client.nat.count
        )
    }

    /// All live leases, for hello.
    public var leases: [LeaseID] {
        var all: [LeaseID] = []
        for case let client? in clients { all += client.grants.leases.map(\.id) }
        return all.sorted()
    }
}
