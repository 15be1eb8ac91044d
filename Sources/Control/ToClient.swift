public import IP

/// What the portal says to a client.
public enum ToClient: ControlMessage {
    /// The whole state; replaces everything known before.
    case welcome(Welcome)
    /// What changed since the last revision.
    case changes(Changes)
    /// A lease, in answer to `authorize`.
    case authorized(Authorized)
    /// No lease, in answer to `authorize`.
    case denied(Denied)
    /// A lease lives longer.
    case leaseExtended(LeaseExtended)
    /// A lease is over before its end.
    case leaseEnded(LeaseEnded)
    /// Something changed for a resource: a denial kept for it is to be forgotten.
    case resourceChanged(ResourceChanged)
    /// A gateway's addresses or keys changed.
    case gatewayCandidates(GatewayCandidates)
    /// A gateway has gone.
    case gatewayOffline(GatewayOffline)
    /// New flows to a resource are to go by another gateway; running ones stay where they are.
    case move(Move)
    /// The relays that it may use; replaces the list before.
    case relays(RelayList)
    /// The session ends, and why.
    case refusal(Refusal)
    /// A message of a later version; to be ignored.
    case unknown(String)
}

/// A client as it is told of itself.
public struct ClientIdentity: Hashable, Sendable, Codable {
    public var id: ClientID
    /// What people call this device.
    public var name: String
    /// Whose it is: an e-mail address or a service account's name.
    public var actor: String
    /// Its own addresses inside the tunnel, at most one of each family.
    public var tunnel: [IPAddress]

    public init(id: ClientID, name: String, actor: String, tunnel: [IPAddress]) {
        (self.id, self.name, self.actor, self.tunnel) = (id, name, actor, tunnel)
    }
}

extension ToClient {
    /// The whole state at one revision.
    public struct Welcome: Hashable, Sendable, Codable {
        /// The version agreed on.
        public var version: ProtocolVersion
        /// The portal's run; revisions of another one do not compare.
        public var instance: String
        public var revision: UInt64
        /// The account's display name.
        public var account: String
        public var client: ClientIdentity
        public var addresses: AddressPlan
        /// What it may reach; empty means nothing.
        public var resources: [ResourceForClient]
        public var dns: DNSSettings
        /// What it must refuse, by fingerprint; absent means nothing.
        public var withheld: WithheldNames?
        /// The relays that it may use; nil says nothing, unlike none.
        public var relays: [RelayForRole]?
        /// Which of the leases that its hello named are live; the others are over. Nil says
        /// nothing.
        public var leases: [LeaseState]?
        /// How often each side sends a heartbeat.
        public var heartbeatSeconds: UInt32

        public init(
            version: ProtocolVersion = .current,
            instance: String,
            revision: UInt64,
            account: String,
            client: ClientIdentity,
            addresses: AddressPlan = .standard,
            resources: [ResourceForClient] = [],
            dns: DNSSettings = DNSSettings(),
            withheld: WithheldNames? = nil,
            relays: [RelayForRole]? = nil,
            leases: [LeaseState]? = nil,
            heartbeatSeconds: UInt32 = 10
        ) {
            (self.version, self.instance, self.revision) = (version, instance, revision)
            (self.account, self.client, self.addresses) = (account, client, addresses)
            (self.resources, self.dns) = (resources, dns)
            (self.withheld, self.relays, self.leases) = (withheld, relays, leases)
            self.heartbeatSeconds = heartbeatSeconds
        }
    }

    /// What changed; its revision is the last one plus one, or something was missed.
    public struct Changes: Hashable, Sendable, Codable {
        public var revision: UInt64
        public var changes: [ChangeForClient]

        public init(revision: UInt64, changes: [ChangeForClient]) {
            (self.revision, self.changes) = (revision, changes)
        }
    }

    /// All that a client needs to reach the resource.
    public struct Authorized: Hashable, Sendable, Codable {
        /// The request's.
        public var id: RequestID
        public var resource: ResourceID
        public var lease: Lease
        public var site: SiteID
        public var gateway: GatewayForClient

        public init(
            id: RequestID,
            resource: ResourceID,
            lease: Lease,
            site: SiteID,
            gateway: GatewayForClient
        ) {
            (self.id, self.resource, self.lease) = (id, resource, lease)
            (self.site, self.gateway) = (site, gateway)
        }
    }

    /// A lease lives so long from now.
    public struct LeaseExtended: Hashable, Sendable, Codable {
        public var lease: LeaseID
        public var lifetimeSeconds: UInt32

        public init(lease: LeaseID, lifetimeSeconds: UInt32) {
            (self.lease, self.lifetimeSeconds) = (lease, lifetimeSeconds)
        }
    }

    /// A lease is over.
    public struct LeaseEnded: Hashable, Sendable, Codable {
        public var lease: LeaseID
        public var resource: ResourceID
        public var code: String
        public var sentence: String

        public init(lease: LeaseID, resource: ResourceID, code: String, sentence: String) {
            (self.lease, self.resource) = (lease, resource)
            (self.code, self.sentence) = (code, sentence)
        }
    }

    /// A resource for which asking again may give another answer.
    public struct ResourceChanged: Hashable, Sendable, Codable {
        public var resource: ResourceID

        public init(resource: ResourceID) { self.resource = resource }
    }

    /// Where a gateway can be reached now.
    public struct GatewayCandidates: Hashable, Sendable, Codable {
        public var gateway: GatewayID
        /// Its new key, when it started anew.
        public var publicKey: KeyText?
        /// The secret that belongs to `publicKey`; there when that is.
        public var presharedKey: PresharedKeyText?
        public var candidates: [Candidate]

        public init(
            gateway: GatewayID,
            publicKey: KeyText? = nil,
            presharedKey: PresharedKeyText? = nil,
            candidates: [Candidate]
        ) {
            (self.gateway, self.candidates) = (gateway, candidates)
            (self.publicKey, self.presharedKey) = (publicKey, presharedKey)
        }
    }

    /// A gateway that cannot be reached.
    public struct GatewayOffline: Hashable, Sendable, Codable {
        public var gateway: GatewayID

        public init(gateway: GatewayID) { self.gateway = gateway }
    }

    /// Asks a client to lease the resource at another gateway, for new flows; its lease at this one
    /// lives on for as long as flows need it.
    public struct Move: Hashable, Sendable, Codable {
        public var resource: ResourceID
        /// Where new flows shall not go any more.
        public var gateway: GatewayID
        /// A stable word: `draining` or `unreached`.
        public var code: Refusal.Code
        /// Why, for people.
        public var sentence: String

        public init(
            resource: ResourceID,
            gateway: GatewayID,
            code: Refusal.Code,
            sentence: String
        ) {
            (self.resource, self.gateway) = (resource, gateway)
            (self.code, self.sentence) = (code, sentence)
        }
    }
}

extension ToClient {
    /// Why there is no lease; the refusal's fields stand beside the others.
    public struct Denied: Hashable, Sendable, Codable {
        /// The request's.
        public var id: RequestID
        public var resource: ResourceID
        public var refusal: Refusal
        /// What was not met; empty where that may not be told, or is not the reason.
        public var failed: [FailedCondition]

        public init(
            id: RequestID,
            resource: ResourceID,
            refusal: Refusal,
            failed: [FailedCondition] = []
        ) {
            (self.id, self.resource) = (id, resource)
            (self.refusal, self.failed) = (refusal, failed)
        }

        private enum CodingKeys: String, CodingKey {
            case id, resource, failed
        }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            id = try container.decode(RequestID.self, forKey: .id)
            resource = try container.decode(ResourceID.self, forKey: .resource)
            refusal = try Refusal(from: decoder)
            failed = try container.decode([FailedCondition].self, forKey: .failed)
        }

        public func encode(to encoder: any Encoder) throws {
            try refusal.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(id, forKey: .id)
            try container.encode(resource, forKey: .resource)
            try container.encode(failed, forKey: .failed)
        }
    }
}

extension ToClient {
    public var type: String {
        switch self {
        case .welcome: "welcome"
        case .changes: "changes"
        case .authorized: "authorized"
        case .denied: "denied"
        case .leaseExtended: "lease-extended"
        case .leaseEnded: "lease-ended"
        case .resourceChanged: "resource-changed"
        case .gatewayCandidates: "gateway-candidates"
        case .gatewayOffline: "gateway-offline"
        case .move: "move"
        case .relays: "relays"
        case .refusal: "refusal"
        case .unknown(let type): type
        }
    }

    public init(from decoder: any Decoder) throws {
        switch try decoder.messageType() {
        case "welcome": self = .welcome(try Welcome(from: decoder))
        case "changes": self = .changes(try Changes(from: decoder))
        case "authorized": self = .authorized(try Authorized(from: decoder))
        case "denied": self = .denied(try Denied(from: decoder))
        case "lease-extended": self = .leaseExtended(try LeaseExtended(from: decoder))
        case "lease-ended": self = .leaseEnded(try LeaseEnded(from: decoder))
        case "resource-changed": self = .resourceChanged(try ResourceChanged(from: decoder))
        case "gateway-candidates": self = .gatewayCandidates(try GatewayCandidates(from: decoder))
        case "gateway-offline": self = .gatewayOffline(try GatewayOffline(from: decoder))
        case "move": self = .move(try Move(from: decoder))
        case "relays": self = .relays(try RelayList(from: decoder))
        case "refusal": self = .refusal(try Refusal(from: decoder))
        case let type: self = .unknown(type)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        try encoder.encode(type: type, payload)
    }

    private var payload: (any Encodable)? {
        switch self {
        case .welcome(let payload): payload
        case .changes(let payload): payload
        case .authorized(let payload): payload
        case .denied(let payload): payload
        case .leaseExtended(let payload): payload
        case .leaseEnded(let payload): payload
        case .resourceChanged(let payload): payload
        case .gatewayCandidates(let payload): payload
        case .gatewayOffline(let payload): payload
        case .move(let payload): payload
        case .relays(let payload): payload
        case .refusal(let payload): payload
        case .unknown: nil
        }
    }
}
