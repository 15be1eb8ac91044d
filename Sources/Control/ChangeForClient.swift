/// One change of what a client knows.
public enum ChangeForClient: Hashable, Sendable {
    /// A resource is new, or other than before.
    case resource(ResourceForClient)
    /// A resource is gone, or may not be reached any more.
    case resourceRemoved(ResourceID)
    /// The nameservers are others.
    case dns(DNSSettings)
    /// The client's own name, actor or addresses are others.
    case client(ClientIdentity)
    /// The account's ranges are others.
    case addresses(AddressPlan)
    /// The names that it must refuse are others.
    case withheld(WithheldNames)
}

extension ChangeForClient: Codable, ListElement {
    static var listCountMax: Int { ChannelLimits.entries }

    private enum CodingKeys: String, CodingKey {
        case type, resource, id, dns, client, addresses, withheld
    }

    private struct ResourceName: Decodable {
        let id: ResourceID
    }

    /// A resource that cannot be read any more, such as one of a new kind, is one that is gone.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(String.self, forKey: .type) {
        case "resource":
            if let resource = try? container.decode(ResourceForClient.self, forKey: .resource) {
                self = .resource(resource)
            } else {
                let name = try container.decode(ResourceName.self, forKey: .resource)
                self = .resourceRemoved(name.id)
            }
        case "resource-removed":
            self = .resourceRemoved(try container.decode(ResourceID.self, forKey: .id))
        case "dns": self = .dns(try container.decode(DNSSettings.self, forKey: .dns))
        case "client": self = .client(try container.decode(ClientIdentity.self, forKey: .client))
        case "addresses":
            self = .addresses(try container.decode(AddressPlan.self, forKey: .addresses))
        case "withheld":
            self = .withheld(try container.decode(WithheldNames.self, forKey: .withheld))
        case let type:
            throw DecodingError.dataCorruptedError(
                forKey: .type,
                in: container,
                debugDescription: "unknown change: \(type)"
            )
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .resource(let resource):
            try container.encode("resource", forKey: .type)
            try container.encode(resource, forKey: .resource)
        case .resourceRemoved(let id):
            try container.encode("resource-removed", forKey: .type)
            try container.encode(id, forKey: .id)
        case .dns(let dns):
            try container.encode("dns", forKey: .type)
            try container.encode(dns, forKey: .dns)
        case .client(let client):
            try container.encode("client", forKey: .type)
            try container.encode(client, forKey: .client)
        case .addresses(let addresses):
            try container.encode("addresses", forKey: .type)
            try container.encode(addresses, forKey: .addresses)
        case .withheld(let names):
            try container.encode("withheld", forKey: .type)
            try container.encode(names, forKey: .withheld)
        }
    }
}
