public import IP

/// A time-limited permission as it travels: its life is a duration, so clocks may differ.
public struct Lease: Hashable, Sendable, Codable {
    public var id: LeaseID
    /// The directory's revision at which it was decided.
    public var revision: UInt64
    /// Seconds it lives from when the message was written.
    public var lifetimeSeconds: UInt32

    public init(id: LeaseID, revision: UInt64, lifetimeSeconds: UInt32) {
        (self.id, self.revision, self.lifetimeSeconds) = (id, revision, lifetimeSeconds)
    }

    /// How long it lives.
    public var lifetime: Duration { .seconds(lifetimeSeconds) }
}

/// A live lease, and what is left of its life.
public struct LeaseState: Hashable, Sendable, Codable, ListElement {
    static var listCountMax: Int { ChannelLimits.identifiers }

    public var lease: LeaseID
    /// Seconds it lives from when the message was written.
    public var lifetimeSeconds: UInt32

    public init(lease: LeaseID, lifetimeSeconds: UInt32) {
        (self.lease, self.lifetimeSeconds) = (lease, lifetimeSeconds)
    }

    /// How long it lives.
    public var lifetime: Duration { .seconds(lifetimeSeconds) }
}

/// A client as a gateway needs to know it to talk to it.
public struct ClientForGateway: Hashable, Sendable, Codable {
    public var id: ClientID
    public var publicKey: KeyText
    /// Of this pair of keys.
    public var presharedKey: PresharedKeyText
    /// The source addresses that its packets must have.
    public var tunnel: [IPAddress]
    public var candidates: [Candidate]
    /// The device's name and its owner's e-mail address, for the gateway's flow log.
    public var device: String?
    public var person: String?

    public init(
        id: ClientID,
        publicKey: KeyText,
        presharedKey: PresharedKeyText,
        tunnel: [IPAddress],
        candidates: [Candidate],
        device: String? = nil,
        person: String? = nil
    ) {
        (self.device, self.person) = (device, person)
        (self.id, self.publicKey, self.presharedKey) = (id, publicKey, presharedKey)
        (self.tunnel, self.candidates) = (tunnel, candidates)
    }
}

/// A gateway as a client needs to know it to talk to it.
public struct GatewayForClient: Hashable, Sendable, Codable {
    public var id: GatewayID
    public var name: String
    public var publicKey: KeyText
    /// Of this pair of keys.
    public var presharedKey: PresharedKeyText
    /// The gateway's own addresses inside the tunnel.
    public var tunnel: [IPAddress]
    public var candidates: [Candidate]

    public init(
        id: GatewayID,
        name: String,
        publicKey: KeyText,
        presharedKey: PresharedKeyText,
        tunnel: [IPAddress],
        candidates: [Candidate]
    ) {
        (self.id, self.name, self.publicKey) = (id, name, publicKey)
        (self.presharedKey, self.tunnel, self.candidates) = (presharedKey, tunnel, candidates)
    }
}

/// A lease with all that a gateway needs to serve it.
public struct Grant: Hashable, Sendable, Codable, ListElement {
    static var listCountMax: Int { ChannelLimits.entries }

    public var lease: Lease
    public var resource: ResourceForGateway
    public var client: ClientForGateway
    /// The name that the client's packet is for; nil for networks and the internet.
    public var name: String?
    /// The proxy addresses that stand for `name`.
    public var proxies: [IPAddress]

    public init(
        lease: Lease,
        resource: ResourceForGateway,
        client: ClientForGateway,
        name: String? = nil,
        proxies: [IPAddress] = []
    ) {
        (self.lease, self.resource, self.client) = (lease, resource, client)
        (self.name, self.proxies) = (name, proxies)
    }
}
