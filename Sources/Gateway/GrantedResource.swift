public import Control
internal import DNS
public import IP

/// Why a grant is not taken; the words go to the portal.
public enum GrantRefusal: Error, Hashable, Sendable {
    /// The resource's pattern or alias cannot be read.
    case unreadablePattern(String)
    /// The alias and the address do not name the same labels.
    case unusableAlias(alias: String, address: String)
    /// The name is not one that the resource stands for.
    case nameMismatch(name: String, pattern: String)
    /// A proxy address lies outside the account's range.
    case unusableProxy(IPAddress)
    /// A key of the client is not one.
    case unreadableKey
    /// The client has no tunnel address, or one outside the account's range.
    case unusableTunnelAddress
    /// Another client has this tunnel address.
    case tunnelAddressTaken(IPAddress)
    /// Another client has this public key.
    case keyTaken
    /// A bound is reached.
    case tooMany(String)
    /// The gateway is going away.
    case stopping

    /// The stable word.
    public var code: String {
        switch self {
        case .unreadablePattern: "unreadable-pattern"
        case .unusableAlias: "unusable-alias"
        case .nameMismatch: "name-mismatch"
        case .unusableProxy: "unusable-proxy"
        case .unreadableKey: "unreadable-key"
        case .unusableTunnelAddress: "unusable-tunnel-address"
        case .tunnelAddressTaken: "tunnel-address-taken"
        case .keyTaken: "key-taken"
        case .tooMany: "too-many"
        case .stopping: "stopping"
        }
    }

    /// What is wrong, and what helps.
    public var sentence: String {
        switch self {
        case .unreadablePattern(let text):
            "“\(text)” is not a pattern that this gateway can read; change the resource’s address"
        case .unusableAlias(let alias, let address):
            "the alias “\(alias)” does not have the wildcards of “\(address)”; make them alike"
        case .nameMismatch(let name, let pattern):
            "“\(name)” is not covered by “\(pattern)”"
        case .unusableProxy(let address):
            "\(address) is not a proxy address of this account"
        case .unreadableKey: "the client’s key cannot be used; restart the client"
        case .unusableTunnelAddress: "the client has no usable tunnel address; restart the client"
        case .tunnelAddressTaken(let address):
            "another client of this gateway has the tunnel address \(address)"
        case .keyTaken: "another client of this gateway has the same key; restart the client"
        case .tooMany(let what): "this gateway serves no more \(what); add a gateway to the site"
        case .stopping: "this gateway is shutting down"
        }
    }
}

/// A resource as it is served to one client.
public struct GrantedResource: Sendable {
    /// What packets to it look like.
    enum Target: Sendable {
        /// Packets to proxy addresses of names that match.
        case names(NamePattern, NameAlias)
        /// Packets to addresses inside.
        case prefix(IPPrefix)
        /// Packets to addresses that mean the same everywhere.
        case internet
    }

    /// The client's number for it; never given twice.
    public let number: UInt32
    /// What the portal says of it.
    public internal(set) var resource: ResourceForGateway
    let target: Target
    /// Live leases for it.
    var leaseCount = 0

    init(_ resource: ResourceForGateway, number: UInt32) throws(GrantRefusal) {
        self.number = number
        self.resource = resource
        switch resource.address {
        case .prefix(let prefix): target = .prefix(prefix)
        case .internet: target = .internet
        case .name(let address):
            let alias = try NameAlias(asked: resource.alias ?? address, real: address)
            target = .names(alias.asked, alias)
        }
    }

    /// Whether its filters let the flow through.
    func permits(_ key: FlowKey) -> Bool {
        resource.filters.permit(key.transport.filter, port: key.destinationPort)
    }
}

extension FlowKey.Transport {
    var filter: Filter.Transport {
        switch self {
        case .tcp: .tcp
        case .udp: .udp
        case .icmp: .icmp
        }
    }
}
