public import IP

/// What a resource is: a name or pattern of names, a network, or the whole internet.
public enum ResourceAddress: Hashable, Sendable {
    /// A name or pattern (module `DNS` reads it), in lower-case A-labels.
    case name(String)
    /// A network; one address is a network of one.
    case prefix(IPPrefix)
    /// Everything that no other resource covers.
    case internet

    /// The word for it in messages: `name`, `prefix`, `internet`.
    public var kind: String {
        switch self {
        case .name: "name"
        case .prefix: "prefix"
        case .internet: "internet"
        }
    }

    /// The pattern, the network in CIDR notation, or `internet`.
    public var text: String {
        switch self {
        case .name(let pattern): pattern
        case .prefix(let prefix): prefix.description
        case .internet: "internet"
        }
    }
}

extension ResourceAddress: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind, address
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(String.self, forKey: .kind) {
        case "name": self = .name(try container.decode(String.self, forKey: .address))
        case "prefix": self = .prefix(try container.decode(IPPrefix.self, forKey: .address))
        case "internet": self = .internet
        case let kind:
            throw DecodingError.dataCorruptedError(
                forKey: .kind,
                in: container,
                debugDescription: "unknown kind of resource: \(kind)"
            )
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        try container.encode(text, forKey: .address)
    }
}

/// Which families a name is answered in.
public enum ServedFamilies: String, Sendable, Codable, CaseIterable {
    case both, ipv4, ipv6

    /// Whether `family` is among them.
    public func contains(_ family: IPFamily) -> Bool {
        switch self {
        case .both: true
        case .ipv4: family == .ipv4
        case .ipv6: family == .ipv6
        }
    }
}

/// A site as clients know it.
public struct SiteReference: Hashable, Sendable, Codable {
    public var id: SiteID
    public var name: String

    public init(id: SiteID, name: String) { (self.id, self.name) = (id, name) }
}

/// A resource as a client that may reach it knows it.
public struct ResourceForClient: Hashable, Sendable {
    public var id: ResourceID
    public var name: String
    /// What the gateway resolves or routes to.
    public var address: ResourceAddress
    /// What clients ask for instead of `address`; nil means the same.
    public var alias: String?
    /// What passes; empty means everything.
    public var filters: [Filter]
    /// Names only.
    public var family: ServedFamilies
    public var site: SiteReference
    /// Whether a gateway of the site is connected; nil means unknown.
    public var online: Bool?

    public init(
        id: ResourceID,
        name: String,
        address: ResourceAddress,
        alias: String? = nil,
        filters: [Filter] = [],
        family: ServedFamilies = .both,
        site: SiteReference,
        online: Bool? = nil
    ) {
        (self.id, self.name, self.address, self.alias) = (id, name, address, alias)
        (self.filters, self.family, self.site, self.online) = (filters, family, site, online)
    }

    /// The pattern that clients match names against; nil for networks and the internet.
    public var pattern: String? {
        guard case .name(let pattern) = address else { return nil }
        return alias ?? pattern
    }
}

extension ResourceForClient: Codable, ListElement {
    static var listCountMax: Int { ChannelLimits.entries }

    private enum CodingKeys: String, CodingKey {
        case id, name, alias, filters, family, site, online
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(ResourceID.self, forKey: .id)
        name = try container.decode(String.self, forKey: .name)
        address = try ResourceAddress(from: decoder)
        alias = try container.decodeIfPresent(String.self, forKey: .alias)
        filters = try container.decode([Filter].self, forKey: .filters)
        family = try container.decodeIfPresent(ServedFamilies.self, forKey: .family) ?? .both
        site = try container.decode(SiteReference.self, forKey: .site)
        online = try container.decodeIfPresent(Bool.self, forKey: .online)
    }

    public func encode(to encoder: any Encoder) throws {
        try address.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(alias, forKey: .alias)
        try container.encode(filters, forKey: .filters)
        try container.encode(family, forKey: .family)
        try container.encode(site, forKey: .site)
        try container.encodeIfPresent(online, forKey: .online)
    }
}

/// A resource as a gateway of its site knows it.
public struct ResourceForGateway: Hashable, Sendable {
    public var id: ResourceID
    public var name: String
    /// What the gateway resolves or routes to.
    public var address: ResourceAddress
    /// What clients ask for instead of `address`; nil means the same.
    public var alias: String?
    /// What passes; empty means everything.
    public var filters: [Filter]
    /// Names only.
    public var family: ServedFamilies

    public init(
        id: ResourceID,
        name: String,
        address: ResourceAddress,
        alias: String? = nil,
        filters: [Filter] = [],
        family: ServedFamilies = .both
    ) {
        (self.id, self.name, self.address, self.alias) = (id, name, address, alias)
        (self.filters, self.family) = (filters, family)
    }
}

extension ResourceForGateway: Codable {
    private enum CodingKeys: String, CodingKey {
        case id, name, alias, filters, family
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(ResourceID.self, forKey: .id)
        name = try container.decode(String.self, forKey: .name)
        address = try ResourceAddress(from: decoder)
        alias = try container.decodeIfPresent(String.self, forKey: .alias)
        filters = try container.decode([Filter].self, forKey: .filters)
        family = try container.decodeIfPresent(ServedFamilies.self, forKey: .family) ?? .both
    }

    public func encode(to encoder: any Encoder) throws {
        try address.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(alias, forKey: .alias)
        try container.encode(filters, forKey: .filters)
        try container.encode(family, forKey: .family)
    }
}
