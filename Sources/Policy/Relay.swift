public import Control

extension Directory {
    /// A stock TURN server that serves as a relay.
    ///
    /// Relays of this system are not here: they connect to the portal and say where they are.
    public struct Relay: TableRow {
        /// Bounds.
        public enum Limits {
            /// Addresses for one transport.
            public static var addresses: Int { ChannelLimits.relayEndpoints }
            /// Relays in one account.
            public static var relays: Int { 256 }
            /// Characters of a region.
            public static var regionCharacters: Int { 64 }
        }

        public let id: RelayID
        public var name: String
        public var udp: [RelayAddress]
        public var tcp: [RelayAddress]
        public var tls: [RelayAddress]
        /// The file on the portal that holds the secret which passwords are made with.
        public var secretFile: String
        /// Where it stands, in the account's own words; nil means unknown.
        public var region: String?

        public init(
            id: RelayID,
            name: String,
            udp: [RelayAddress] = [],
            tcp: [RelayAddress] = [],
            tls: [RelayAddress] = [],
            secretFile: String,
            region: String? = nil
        ) {
            (self.id, self.name, self.udp, self.tcp, self.tls) = (id, name, udp, tcp, tls)
            (self.secretFile, self.region) = (secretFile, region)
        }

        public var uniqueName: String? { name.lowercased() }
    }

    func check(_ relay: Relay) throws(ChangeError) {
        try checkName(relay.name, relay, in: relays)
        if relays[relay.id] == nil, relays.count >= Relay.Limits.relays {
            throw ChangeError(field: "relays", .tooLong(countMax: Relay.Limits.relays))
        }
        for (field, addresses) in [
            ("udp", relay.udp), ("tcp", relay.tcp), ("tls", relay.tls),
        ] where addresses.count > Relay.Limits.addresses {
            throw ChangeError(field: field, .tooLong(countMax: Relay.Limits.addresses))
        }
        guard !relay.udp.isEmpty || !relay.tcp.isEmpty || !relay.tls.isEmpty else {
            throw ChangeError(field: "address", .missing)
        }
        guard relay.secretFile.hasPrefix("/") else {
            throw ChangeError(field: "secretFile", .badPath(relay.secretFile))
        }
        if let region = relay.region {
            guard !region.isEmpty else { throw ChangeError(field: "region", .missing) }
            guard region.count <= Relay.Limits.regionCharacters else {
                let countMax = Relay.Limits.regionCharacters
                throw ChangeError(field: "region", .tooLong(countMax: countMax))
            }
        }
    }
}
