public import IP

/// What the portal says to a gateway, in one ordered stream.
public enum ToGateway: ControlMessage {
    /// The whole state; grants that it does not hold are over.
    case welcome(Welcome)
    /// A new lease to serve; to be answered.
    case grant(GrantOrder)
    /// A lease lives longer.
    case extend(Extend)
    /// Leases are over: their packets are refused from now on.
    case revoke(Revoke)
    /// A resource changed; running flows obey at once.
    case resource(ResourceUpdate)
    /// A client's addresses or keys changed.
    case clientCandidates(ClientCandidates)
    /// A client hears nothing: it is to be probed at all its candidates.
    case punch(Punch)
    /// The relays that it may use; replaces the list before.
    case relays(RelayList)
    /// The session ends, and why.
    case refusal(Refusal)
    /// A message of a later version; to be ignored.
    case unknown(String)
}

/// A gateway as it is told of itself.
public struct GatewayIdentity: Hashable, Sendable, Codable {
    public var id: GatewayID
    public var name: String
    public var site: SiteReference
    /// Its own addresses inside the tunnel, at most one of each family.
    public var tunnel: [IPAddress]

    public init(id: GatewayID, name: String, site: SiteReference, tunnel: [IPAddress]) {
        (self.id, self.name, self.site, self.tunnel) = (id, name, site, tunnel)
    }
}

extension ToGateway {
    /// The whole state at one revision.
    public struct Welcome: Hashable, Sendable, Codable {
        /// The version agreed on.
        public var version: ProtocolVersion
        /// The portal's run.
        public var instance: String
        public var revision: UInt64
        /// The account's display name.
        public var account: String
        public var gateway: GatewayIdentity
        public var addresses: AddressPlan
        /// All leases that are live here; empty means none.
        public var grants: [Grant]
        /// The relays that it may use; nil says nothing, unlike none.
        public var relays: [RelayForRole]?
        /// How long leases live on without the portal.
        public var limitSeconds: UInt32
        /// How often each side sends a heartbeat.
        public var heartbeatSeconds: UInt32

        public init(
            version: ProtocolVersion = .current,
            instance: String,
            revision: UInt64,
            account: String,
            gateway: GatewayIdentity,
            addresses: AddressPlan = .standard,
            grants: [Grant] = [],
            relays: [RelayForRole]? = nil,
            limitSeconds: UInt32 = 86_400,
            heartbeatSeconds: UInt32 = 10
        ) {
            (self.version, self.instance, self.revision) = (version, instance, revision)
            (self.account, self.gateway, self.addresses) = (account, gateway, addresses)
            (self.grants, self.relays) = (grants, relays)
            self.limitSeconds = limitSeconds
            self.heartbeatSeconds = heartbeatSeconds
        }
    }

    /// A new lease.
    public struct GrantOrder: Hashable, Sendable, Codable {
        /// Names the answer.
        public var id: RequestID
        public var grant: Grant

        public init(id: RequestID, grant: Grant) { (self.id, self.grant) = (id, grant) }
    }

    /// A lease lives so long from now.
    public struct Extend: Hashable, Sendable, Codable {
        public var lease: LeaseID
        public var lifetimeSeconds: UInt32

        public init(lease: LeaseID, lifetimeSeconds: UInt32) {
            (self.lease, self.lifetimeSeconds) = (lease, lifetimeSeconds)
        }
    }

    /// Leases that are over.
    public struct Revoke: Hashable, Sendable, Codable {
        public var leases: [LeaseID]
        public var code: String
        public var sentence: String

        public init(leases: [LeaseID], code: String, sentence: String) {
            (self.leases, self.code, self.sentence) = (leases, code, sentence)
        }
    }

    /// A resource as it is now.
    public struct ResourceUpdate: Hashable, Sendable, Codable {
        public var resource: ResourceForGateway

        public init(resource: ResourceForGateway) { self.resource = resource }
    }

    /// A client that hears nothing, and where it can be reached now.
    public struct Punch: Hashable, Sendable, Codable {
        public var client: ClientID
        public var candidates: [Candidate]

        public init(client: ClientID, candidates: [Candidate]) {
            (self.client, self.candidates) = (client, candidates)
        }
    }

    /// Where a client can be reached now.
    public struct ClientCandidates: Hashable, Sendable, Codable {
        public var client: ClientID
        /// Its new key, when it started anew.
        public var publicKey: KeyText?
        /// The secret that belongs to `publicKey`; there when that is.
        public var presharedKey: PresharedKeyText?
        public var candidates: [Candidate]

        public init(
            client: ClientID,
            publicKey: KeyText? = nil,
            presharedKey: PresharedKeyText? = nil,
            candidates: [Candidate]
        ) {
            (self.client, self.candidates) = (client, candidates)
            (self.publicKey, self.presharedKey) = (publicKey, presharedKey)
        }
    }
}

extension ToGateway {
    public var type: String {
        switch self {
        case .welcome: "welcome"
        case .grant: "grant"
        case .extend: "extend"
        case .revoke: "revoke"
        case .resource: "resource"
        case .clientCandidates: "client-candidates"
        case .punch: "punch"
        case .relays: "relays"
        case .refusal: "refusal"
        case .unknown(let type): type
        }
    }

    public init(from decoder: any Decoder) throws {
        switch try decoder.messageType() {
        case "welcome": self = .welcome(try Welcome(from: decoder))
        case "grant": self = .grant(try GrantOrder(from: decoder))
        case "extend": self = .extend(try Extend(from: decoder))
        case "revoke": self = .revoke(try Revoke(from: decoder))
        case "resource": self = .resource(try ResourceUpdate(from: decoder))
        case "client-candidates": self = .clientCandidates(try ClientCandidates(from: decoder))
        case "punch": self = .punch(try Punch(from: decoder))
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
        case .grant(let payload): payload
        case .extend(let payload): payload
        case .revoke(let payload): payload
        case .resource(let payload): payload
        case .clientCandidates(let payload): payload
        case .punch(let payload): payload
        case .relays(let payload): payload
        case .refusal(let payload): payload
        case .unknown: nil
        }
    }
}
