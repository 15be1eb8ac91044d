public import Control
public import IP

extension Directory {
    /// A person or a service account.
    public struct Actor: TableRow {
        /// What kind of actor.
        public enum Kind: String, Sendable, Codable, CaseIterable {
            /// Somebody who signs in; the name is an e-mail address.
            case person
            /// A program, which has a token.
            case service
        }

        public let id: ActorID
        public var kind: Kind
        /// An e-mail address, or a service account's name.
        public var name: String
        /// What people call it; nil means the same as `name`.
        public var displayName: String?
        /// Reaches nothing for now.
        public var isDisabled: Bool

        public init(
            id: ActorID,
            kind: Kind = .person,
            name: String,
            displayName: String? = nil,
            isDisabled: Bool = false
        ) {
            (self.id, self.kind, self.name) = (id, kind, name)
            (self.displayName, self.isDisabled) = (displayName, isDisabled)
        }

        public var uniqueName: String? { name.lowercased() }
    }

    /// Actors to whom policies apply together.
    public struct Group: TableRow {
        public let id: GroupID
        public var name: String
        /// In order, each once.
        public private(set) var members: [ActorID]

        public init(id: GroupID, name: String, members: [ActorID] = []) {
            (self.id, self.name) = (id, name)
            self.members = members.sorted().reduce(into: []) { if $0.last != $1 { $0.append($1) } }
        }

        public var uniqueName: String? { name.lowercased() }

        /// Whether `actor` is a member. O(log n).
        public func contains(_ actor: ActorID) -> Bool {
            let place = place(of: actor)
            return place < members.count && members[place] == actor
        }

        mutating func insert(_ actor: ActorID) {
            if !contains(actor) { members.insert(actor, at: place(of: actor)) }
        }

        mutating func remove(_ actor: ActorID) {
            if contains(actor) { members.remove(at: place(of: actor)) }
        }

        private func place(of actor: ActorID) -> Int {
            var (low, high) = (0, members.count)
            while low < high {
                let middle = (low + high) / 2
                if members[middle] < actor { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// A set of gateways that can all reach the same resources.
    public struct Site: TableRow {
        /// Bounds.
        public enum Limits {
            /// How long leases may live without the portal: from a minute to thirty days.
            public static var absenceSeconds: ClosedRange<UInt32> { 60...2_592_000 }
        }

        public let id: SiteID
        public var name: String
        /// How long its gateways keep leases while the portal is away.
        public var absenceSeconds: UInt32

        public init(id: SiteID, name: String, absenceSeconds: UInt32 = 86_400) {
            (self.id, self.name, self.absenceSeconds) = (id, name, absenceSeconds)
        }

        public var uniqueName: String? { name.lowercased() }
    }

    /// What is protected.
    public struct Resource: TableRow {
        public let id: ResourceID
        public var name: String
        public var address: ResourceAddress
        /// What clients ask for instead of `address`; nil means the same.
        public var alias: String?
        /// Names only.
        public var family: ServedFamilies
        /// What passes; empty means everything.
        public var filters: [Filter]
        public var site: SiteID

        public init(
            id: ResourceID,
            name: String,
            address: ResourceAddress,
            alias: String? = nil,
            family: ServedFamilies = .both,
            filters: [Filter] = [],
            site: SiteID
        ) {
            (self.id, self.name, self.address, self.alias) = (id, name, address, alias)
            (self.family, self.filters, self.site) = (family, filters, site)
        }

        public var uniqueName: String? { name.lowercased() }

        /// The pattern that clients match names against; nil for networks and the internet.
        public var pattern: String? {
            guard case .name(let pattern) = address else { return nil }
            return alias ?? pattern
        }
    }

    /// Lets a group reach a resource, under conditions.
    public struct Policy: TableRow {
        public let id: PolicyID
        public var group: GroupID
        public var resource: ResourceID
        public var conditions: Conditions

        public init(
            id: PolicyID,
            group: GroupID,
            resource: ResourceID,
            conditions: Conditions = Conditions()
        ) {
            (self.id, self.group, self.resource) = (id, group, resource)
            self.conditions = conditions
        }

        public var uniqueName: String? { nil }
    }

    /// A device that runs a client.
    public struct Client: TableRow {
        public let id: ClientID
        /// Whose it is.
        public var actor: ActorID
        /// What people call it; may repeat.
        public var name: String
        public var device: Device
        /// The key of its last start; nil means that it has not connected yet.
        public var publicKey: KeyText?
        /// Its own addresses inside the tunnel, at most one of each family.
        public var tunnel: [IPAddress]

        public init(
            id: ClientID,
            actor: ActorID,
            name: String,
            device: Device = Device(),
            publicKey: KeyText? = nil,
            tunnel: [IPAddress] = []
        ) {
            (self.id, self.actor, self.name) = (id, actor, name)
            (self.device, self.publicKey, self.tunnel) = (device, publicKey, tunnel)
        }

        public var uniqueName: String? { nil }
    }

    /// A gateway.
    public struct Gateway: TableRow {
        public let id: GatewayID
        public var name: String
        public var site: SiteID
        /// Its own addresses inside the tunnel, at most one of each family.
        public var tunnel: [IPAddress]

        public init(id: GatewayID, name: String, site: SiteID, tunnel: [IPAddress] = []) {
            (self.id, self.name, self.site, self.tunnel) = (id, name, site, tunnel)
        }

        public var uniqueName: String? { name.lowercased() }
    }

    /// An identity provider through which people sign in (OpenID Connect).
    public struct Provider: TableRow {
        public let id: ProviderID
        public var name: String
        /// Its URL.
        public var issuer: String
        public var clientID: String
        /// The file on the portal that holds the secret; nil means none.
        public var clientSecretFile: String?

        public init(
            id: ProviderID,
            name: String,
            issuer: String,
            clientID: String,
            clientSecretFile: String? = nil
        ) {
            (self.id, self.name, self.issuer) = (id, name, issuer)
            (self.clientID, self.clientSecretFile) = (clientID, clientSecretFile)
        }

        public var uniqueName: String? { name.lowercased() }
    }
}
