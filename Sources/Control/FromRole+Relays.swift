public import Bytes
internal import IP

extension FromRole {
    /// Who opens the session of a relay, and where it can be reached.
    public struct RelayHello: Hashable, Sendable, Codable {
        /// Protocol versions that it speaks.
        public var versions: [ProtocolVersion]
        /// What people call this relay.
        public var name: String
        /// The version of the program, such as `1.1.0`.
        public var software: String
        /// Where clients and gateways find it over UDP, at most one of each family.
        public var udp: [Endpoint]
        /// Likewise over TCP.
        public var tcp: [Endpoint]
        /// Likewise over TLS.
        public var tls: [Endpoint]
        /// SHA-256 of its certificate in lower-case hexadecimal, where it made that itself.
        public var tlsFingerprint: String?
        /// The name that its certificate speaks for, where an authority vouches for it.
        public var tlsName: String?
        /// Where it stands, in the account's own words.
        public var region: String?

        public init(
            versions: [ProtocolVersion] = ProtocolVersion.spoken,
            name: String,
            software: String,
            udp: [Endpoint] = [],
            tcp: [Endpoint] = [],
            tls: [Endpoint] = [],
            tlsFingerprint: String? = nil,
            tlsName: String? = nil,
            region: String? = nil
        ) {
            (self.versions, self.name, self.software) = (versions, name, software)
            (self.udp, self.tcp, self.tls) = (udp, tcp, tls)
            (self.tlsFingerprint, self.tlsName, self.region) = (tlsFingerprint, tlsName, region)
        }
    }

    /// How a relay is doing; sent when it changes much, not on a clock.
    public struct RelayReport: Hashable, Sendable, Codable {
        /// Live allocations.
        public var allocations: UInt32

        public init(allocations: UInt32) { self.allocations = allocations }
    }

    /// Asks that a gateway sends probes to all of the sender's candidates, and checks its own
    /// addresses; passed on only inside a live lease.
    public struct Punch: Hashable, Sendable, Codable {
        public var gateway: GatewayID
        /// Where the sender can be reached now; replaces what it said before.
        public var candidates: [Candidate]

        public init(gateway: GatewayID, candidates: [Candidate]) {
            (self.gateway, self.candidates) = (gateway, candidates)
        }
    }

    /// How long the sender's relays take to answer; those without an answer are left out.
    public struct RelayTimes: Hashable, Sendable, Codable {
        public var times: [RelayTime]

        public init(times: [RelayTime]) { self.times = times }
    }

    /// A client needs these leases no longer.
    public struct Release: Hashable, Sendable, Codable {
        public var leases: [LeaseID]

        public init(leases: [LeaseID]) { self.leases = leases }
    }
}
