public import Bytes
public import Control
internal import DNS
public import IP
internal import Peering
internal import RelayUse
public import SansIO

extension Client {
    /// How a client does, for people and for programs.
    public struct Status: Hashable, Sendable, Codable {
        /// The account's display name; nil before the first welcome.
        public var account: String?
        /// Who is signed in; nil before the first welcome.
        public var actor: String?
        /// What people call this device.
        public var device: String?
        /// Our own addresses in the tunnel.
        public var tunnel: [IPAddress]
        /// Whether there is a session with the portal.
        public var isPortalConnected: Bool
        /// Why the portal ended the last session, in a sentence.
        public var portalRefusal: String?
        /// All that may be reached, by identifier.
        public var resources: [ResourceStatus]
        /// The gateways that we are connected to, or try to be.
        public var gateways: [GatewayStatus]
        /// Nameservers that the host is given, and whom they stand for.
        public var nameservers: [NameserverStatus]
        /// The relays that the portal dealt.
        public var relays: [RelayState]
        /// Where gateways may reach us.
        public var candidates: [Control.Candidate]
        /// DNS queries that came since the start.
        public var queries: UInt64
    }

    /// One resource.
    public struct ResourceStatus: Hashable, Sendable, Codable {
        /// What is known of the permission.
        public enum State: String, Hashable, Sendable, Codable {
            /// No packet asked for it, or its lease ended.
            case idle
            /// The portal has been asked.
            case asking
            /// A lease is there.
            case leased
            /// The portal said no.
            case denied
        }

        public var id: ResourceID
        public var name: String
        /// What people ask for: pattern, network, or `internet`.
        public var address: String
        public var site: String
        /// Whether a gateway of the site is connected to the portal; nil means unknown.
        public var isOnline: Bool?
        public var state: State
        /// The gateway that serves it.
        public var gateway: GatewayID?
        /// How long the lease lives.
        public var leaseSeconds: Int64?
        /// Why it was denied, and which conditions failed.
        public var reasons: [String]
    }

    /// One gateway.
    public struct GatewayStatus: Hashable, Sendable, Codable {
        /// How the connection does.
        public enum State: String, Hashable, Sendable, Codable {
            case connecting, connected, distress, lost
        }

        public var id: GatewayID
        public var name: String
        public var state: State
        /// Where packets go; nil before the first answer.
        public var remote: String?
        /// Where they leave from; nil means the kernel's choice.
        public var local: String?
        /// `direct` or `relayed`.
        public var path: String
        /// How the path's worse end became known: `host`, `server-reflexive`, `peer-reflexive`,
        /// `relayed`.
        public var kind: String
        /// Our own relay that the path goes through; nil: none.
        public var relay: String?
        /// Seconds since the session began.
        public var connectedSeconds: Int64?
        /// Seconds since packets take this path.
        public var pathSeconds: Int64?
        /// The path's round trip in microseconds; nil before it was measured.
        public var roundTripMicroseconds: Int64?
        public var bytesIn: UInt64
        public var bytesOut: UInt64
        /// Seconds since something was heard.
        public var silentSeconds: Int64?
    }

    /// One relay.
    public struct RelayState: Hashable, Sendable, Codable {
        public var id: RelayID
        /// Where it stands, in the account's own words.
        public var region: String?
        /// Where it is reached; nil while it is in reserve.
        public var server: String?
        /// Whether it lends us an address.
        public var isUsable: Bool
        /// Whether it is reached over TCP or TLS, because UDP does not get through.
        public var isStream: Bool
        /// Its round trip in microseconds; nil before it was measured.
        public var roundTripMicroseconds: Int64?
        /// Our addresses as it sees them.
        public var mapped: [Endpoint]
        /// The addresses that it lends us.
        public var relayed: [Endpoint]
    }

    /// One nameserver.
    public struct NameserverStatus: Hashable, Sendable, Codable {
        public var sentinel: IPAddress
        /// Address and port.
        public var upstream: String
    }

    /// A snapshot.
    public func status(at now: Instant) -> Status {
        Status(
            account: identity == nil ? nil : account,
            actor: identity?.actor,
            device: identity?.name,
            tunnel: identity?.tunnel ?? [],
            isPortalConnected: isPortalConnected,
            portalRefusal: portalRefusal?.sentence,
            resources: router.ids.compactMap { id in router[id].map { status(of: $0, at: now) } },
            gateways: gateways.map { status(of: $0, at: now) },
            nameservers: nameservers,
            relays: pool.relayStatuses.map { state(of: $0) },
            candidates: candidates,
            queries: queries
        )
    }

    private func state(of relay: Peering.RelayStatus) -> RelayState {
        RelayState(
            id: RelayID(relay.id),
            region: relays.list.first { $0.id.text == relay.id }?.region,
            server: relay.server?.description,
            isUsable: relay.isUsable,
            isStream: relay.isStream,
            roundTripMicroseconds: relay.roundTrip.map { $0.nanoseconds / 1000 },
            mapped: relay.mapped,
            relayed: relay.relayed
        )
    }

    private var queries: UInt64 {
        switch stub {
        case .some(let stub): stub.queryCount
        case .none: 0
        }
    }

    private var nameservers: [NameserverStatus] {
        switch stub {
        case .some(let stub):
            stub.sentinels.mappings.map {
                NameserverStatus(sentinel: $0.sentinel, upstream: $0.upstream.description)
            }
        case .none: []
        }
    }

    private func status(of resource: ResourceForClient, at now: Instant) -> ResourceStatus {
        let authorization = authorizations[resource.id]
        let lease = authorization?.lease.flatMap { $0.endsAt > now ? $0 : nil }
        let denial = authorization?.denial.flatMap { $0.until > now ? $0 : nil }
        let state: ResourceStatus.State =
            if lease != nil {
                .leased
            } else if denial != nil {
                .denied
            } else if authorization?.request != nil {
                .asking
            } else {
                .idle
            }
        return ResourceStatus(
            id: resource.id,
            name: resource.name,
            address: resource.pattern ?? resource.address.text,
            site: resource.site.name,
            isOnline: resource.online,
            state: state,
            gateway: lease?.gateway,
            leaseSeconds: lease.map { now.duration(to: $0.endsAt).components.seconds },
            reasons: denial.map(Self.reasons) ?? []
        )
    }

    /// What the portal said, then each condition that failed.
    static func reasons(of denial: Authorization.Denial) -> [String] {
        [denial.refusal.sentence] + denial.failed.map(\.sentence)
    }

    func status(of gateway: GatewayOnClient, at now: Instant) -> GatewayStatus {
        let peer = pool.status(of: gateway.peer)
        let state: GatewayStatus.State =
            switch gateway.health {
            case .connecting: .connecting
            case .lost: .lost
            case .connected: gateway.isSuspect ? .distress : .connected
            }
        let local = peer?.local ?? .unspecified
        return GatewayStatus(
            id: gateway.id,
            name: gateway.name,
            state: state,
            remote: peer?.remote?.description,
            local: local == .unspecified ? nil : local.address.description,
            path: peer?.kind == .relayed ? "relayed" : "direct",
            kind: peer.map { Control.Candidate.Kind($0.kind).rawValue } ?? "none",
            relay: peer?.relay,
            connectedSeconds: gateway.connectedSince.map { Self.seconds(since: $0, now) },
            pathSeconds: gateway.pathSince.map { Self.seconds(since: $0, now) },
            roundTripMicroseconds: peer?.roundTrip.map { $0.nanoseconds / 1000 },
            bytesIn: peer?.bytesIn ?? 0,
            bytesOut: peer?.bytesOut ?? 0,
            silentSeconds: peer?.lastHeard.map { Self.seconds(since: $0, now) }
        )
    }

    private static func seconds(since start: Instant, _ now: Instant) -> Int64 {
        start.duration(to: now).components.seconds
    }
}
