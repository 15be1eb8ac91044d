public import IP

/// What a client, a gateway or a relay says to the portal.
public enum FromRole: ControlMessage {
    /// Opens the session of a client or gateway.
    case hello(Hello)
    /// Opens the session of a relay.
    case relayHello(RelayHello)
    /// A client wants to reach a resource.
    case authorize(Authorize)
    /// A client needs leases no longer.
    case release(Release)
    /// A client hears nothing of a gateway, and wants to be probed by it.
    case punch(Punch)
    /// How long relays take to answer a client or gateway.
    case relayTimes(RelayTimes)
    /// How a relay is doing.
    case relayReport(RelayReport)
    /// Its own addresses changed.
    case candidates(CandidatesChanged)
    /// A gateway took a grant, or says why not.
    case grantAnswer(GrantAnswer)
    /// How a gateway is doing.
    case report(Report)
    /// A gateway reaches a resource no longer, or again.
    case reach(Reach)
    /// Flows that ended at a gateway.
    case flows(Flows)
    /// Changes were missed: asks for welcome again.
    case resync(Resync)
    /// A message of a later version; to be ignored.
    case unknown(String)
}

/// Which role a session is of.
public enum Role: String, Sendable, Codable, CaseIterable {
    case client, gateway
}

extension FromRole {
    /// Who opens the session, and what it knows already.
    public struct Hello: Hashable, Sendable, Codable {
        /// Protocol versions that it speaks.
        public var versions: [ProtocolVersion]
        public var role: Role
        /// What people call this device or gateway.
        public var name: String
        /// The version of the program, such as `1.1.0`.
        public var software: String
        /// The operating system, such as `linux`.
        public var os: String
        /// Made anew at each start.
        public var publicKey: KeyText
        public var candidates: [Candidate]
        /// Words for what it can do beyond the version.
        public var capabilities: [String]
        /// The portal instance last seen; nil at first.
        public var instance: String?
        /// The last revision seen of that instance.
        public var revision: UInt64?
        /// The leases that it holds; nil where there is nothing to tell, unlike none.
        public var leases: [LeaseID]?
        /// Where it stands, in the account's own words; nil means unknown.
        public var region: String?

        public init(
            versions: [ProtocolVersion] = ProtocolVersion.spoken,
            role: Role,
            name: String,
            software: String,
            os: String,
            publicKey: KeyText,
            candidates: [Candidate] = [],
            capabilities: [String] = [],
            instance: String? = nil,
            revision: UInt64? = nil,
            leases: [LeaseID]? = nil,
            region: String? = nil
        ) {
            (self.versions, self.role, self.name) = (versions, role, name)
            (self.software, self.os, self.publicKey) = (software, os, publicKey)
            (self.candidates, self.capabilities) = (candidates, capabilities)
            (self.instance, self.revision, self.leases) = (instance, revision, leases)
            self.region = region
        }
    }

    /// Asks for a lease.
    public struct Authorize: Hashable, Sendable, Codable {
        /// Chosen by the client; the same id again gets the same answer.
        public var id: RequestID
        public var resource: ResourceID
        /// The name that the waiting packet is for.
        public var name: String?
        /// The proxy addresses that stand for `name`.
        public var proxies: [IPAddress]
        /// Gateways it is connected to, best first; preferred, so that flows stick.
        public var connected: [GatewayID]
        public var candidates: [Candidate]
        /// Gateways that refused or did not answer: another one, please.
        public var withoutGateway: [GatewayID]?
        /// A second lease, at a gateway not in ``withoutGateway``, beside one that stays as it is;
        /// nil means no.
        public var standBy: Bool?

        public init(
            id: RequestID,
            resource: ResourceID,
            name: String? = nil,
            proxies: [IPAddress] = [],
            connected: [GatewayID] = [],
            candidates: [Candidate] = [],
            withoutGateway: [GatewayID]? = nil,
            standBy: Bool? = nil
        ) {
            (self.id, self.resource, self.name, self.proxies) = (id, resource, name, proxies)
            (self.connected, self.candidates) = (connected, candidates)
            (self.withoutGateway, self.standBy) = (withoutGateway, standBy)
        }
    }

    /// Where the sender can be reached now; replaces what it said before.
    public struct CandidatesChanged: Hashable, Sendable, Codable {
        public var candidates: [Candidate]

        public init(candidates: [Candidate]) { self.candidates = candidates }
    }

    /// A gateway's answer to `ToGateway.grant`.
    public struct GrantAnswer: Hashable, Sendable, Codable {
        /// The id of the grant's message.
        public var id: RequestID
        public var lease: LeaseID
        public var accepted: Bool
        /// Why not: a stable word.
        public var code: String?
        /// Why not, for people.
        public var sentence: String?

        public init(
            id: RequestID,
            lease: LeaseID,
            accepted: Bool,
            code: String? = nil,
            sentence: String? = nil
        ) {
            (self.id, self.lease, self.accepted) = (id, lease, accepted)
            (self.code, self.sentence) = (code, sentence)
        }
    }

    /// How a gateway is doing; sent when it changes, not on a clock.
    public struct Report: Hashable, Sendable, Codable {
        /// Clients with a live session.
        public var clients: UInt32
        /// Live flows.
        public var flows: UInt32
        /// Its share of the machine in use, 0…1; nil means unknown.
        public var load: Double?
        /// Takes nobody new.
        public var draining: Bool

        public init(
            clients: UInt32,
            flows: UInt32,
            load: Double? = nil,
            draining: Bool = false
        ) {
            (self.clients, self.flows) = (clients, flows)
            (self.load, self.draining) = (load, draining)
        }
    }

    /// Asks for welcome again.
    public struct Resync: Hashable, Sendable, Codable {
        /// For logs.
        public var reason: String

        public init(reason: String) { self.reason = reason }
    }
}

extension FromRole {
    public var type: String {
        switch self {
        case .hello: "hello"
        case .relayHello: "relay-hello"
        case .authorize: "authorize"
        case .release: "release"
        case .punch: "punch"
        case .relayTimes: "relay-times"
        case .relayReport: "relay-report"
        case .candidates: "candidates"
        case .grantAnswer: "grant-answer"
        case .report: "report"
        case .reach: "reach"
        case .flows: "flows"
        case .resync: "resync"
        case .unknown(let type): type
        }
    }

    public init(from decoder: any Decoder) throws {
        switch try decoder.messageType() {
        case "hello": self = .hello(try Hello(from: decoder))
        case "relay-hello": self = .relayHello(try RelayHello(from: decoder))
        case "authorize": self = .authorize(try Authorize(from: decoder))
        case "release": self = .release(try Release(from: decoder))
        case "punch": self = .punch(try Punch(from: decoder))
        case "relay-times": self = .relayTimes(try RelayTimes(from: decoder))
        case "relay-report": self = .relayReport(try RelayReport(from: decoder))
        case "candidates": self = .candidates(try CandidatesChanged(from: decoder))
        case "grant-answer": self = .grantAnswer(try GrantAnswer(from: decoder))
        case "report": self = .report(try Report(from: decoder))
        case "reach": self = .reach(try Reach(from: decoder))
        case "flows": self = .flows(try Flows(from: decoder))
        case "resync": self = .resync(try Resync(from: decoder))
        case let type: self = .unknown(type)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        try encoder.encode(type: type, payload)
    }

    private var payload: (any Encodable)? {
        switch self {
        case .hello(let payload): payload
        case .relayHello(let payload): payload
        case .authorize(let payload): payload
        case .release(let payload): payload
        case .punch(let payload): payload
        case .relayTimes(let payload): payload
        case .relayReport(let payload): payload
        case .candidates(let payload): payload
        case .grantAnswer(let payload): payload
        case .report(let payload): payload
        case .reach(let payload): payload
        case .flows(let payload): payload
        case .resync(let payload): payload
        case .unknown: nil
        }
    }
}
