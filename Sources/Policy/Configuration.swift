public import Control

/// What a configuration file says, with names in place of identifiers.
///
/// A section that is nil was not in the file, and is left as it is; one that is empty asks for
/// nothing to be left of it.
public struct Configuration: Hashable, Sendable {
    /// A site.
    public struct Site: Hashable, Sendable {
        public var name: String
        var places = Places()

        public init(name: String) { self.name = name }
    }

    /// A resource.
    public struct Resource: Hashable, Sendable {
        public var name: String
        public var address: ResourceAddress
        public var alias: String?
        /// A site's name.
        public var site: String
        /// Empty means everything.
        public var allow: [Filter]
        public var family: ServedFamilies
        var places = Places()

        public init(
            name: String,
            address: ResourceAddress,
            alias: String? = nil,
            site: String,
            allow: [Filter] = [],
            family: ServedFamilies = .both
        ) {
            (self.name, self.address, self.alias) = (name, address, alias)
            (self.site, self.allow, self.family) = (site, allow, family)
        }
    }

    /// A group.
    public struct Group: Hashable, Sendable {
        public var name: String
        /// E-mail addresses, also of people who never signed in, and service accounts' names.
        public var members: [String]
        var places = Places()

        public init(name: String, members: [String] = []) {
            (self.name, self.members) = (name, members)
        }
    }

    /// A policy.
    public struct Policy: Hashable, Sendable {
        /// A group's name.
        public var group: String
        /// A resource's name.
        public var resource: String
        /// Without providers, which `providers` names.
        public var conditions: Conditions
        /// Providers' names.
        public var providers: [String]
        var places = Places()

        public init(
            group: String,
            resource: String,
            conditions: Conditions = Conditions(),
            providers: [String] = []
        ) {
            (self.group, self.resource) = (group, resource)
            (self.conditions, self.providers) = (conditions, providers)
        }
    }

    /// An identity provider.
    public struct Provider: Hashable, Sendable {
        public var name: String
        public var issuer: String
        public var clientID: String
        public var clientSecretFile: String?
        var places = Places()

        public init(
            name: String,
            issuer: String,
            clientID: String,
            clientSecretFile: String? = nil
        ) {
            (self.name, self.issuer, self.clientID) = (name, issuer, clientID)
            self.clientSecretFile = clientSecretFile
        }
    }

    /// A stock TURN server that serves as a relay.
    public struct Relay: Hashable, Sendable {
        public var name: String
        public var udp: [RelayAddress]
        public var tcp: [RelayAddress]
        public var tls: [RelayAddress]
        public var secretFile: String
        public var region: String?
        var places = Places()

        public init(
            name: String,
            udp: [RelayAddress] = [],
            tcp: [RelayAddress] = [],
            tls: [RelayAddress] = [],
            secretFile: String,
            region: String? = nil
        ) {
            (self.name, self.udp, self.tcp, self.tls) = (name, udp, tcp, tls)
            (self.secretFile, self.region) = (secretFile, region)
        }
    }

    /// The account's display name.
    public var account: String?
    public var sites: [Site]?
    public var resources: [Resource]?
    public var groups: [Group]?
    public var policies: [Policy]?
    public var dns: DNSSettings?
    /// Ranges that are not named keep the standard.
    public var addresses: AddressPlan?
    public var providers: [Provider]?
    public var relays: [Relay]?
    public var tests: [PolicyTest]?
    var places = Places()

    public init() {}
}

/// All that is wrong with a configuration file.
public struct ConfigurationError: Error, Hashable, Sendable {
    /// One thing that is wrong, and where.
    public struct Problem: Hashable, Sendable {
        public let place: Node.Place
        public let sentence: String
    }

    /// In the order of the file; at least one.
    public let problems: [Problem]
}
