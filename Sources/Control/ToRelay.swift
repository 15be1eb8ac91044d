/// What the portal says to a relay.
public enum ToRelay: ControlMessage {
    /// The whole state; replaces what was said before, also in the middle of a session: that is how
    /// the secrets change.
    case welcome(Welcome)
    /// The session ends, and why.
    case refusal(Refusal)
    /// A message of a later version; to be ignored.
    case unknown(String)
}

extension ToRelay {
    /// All that a relay needs to check a password.
    public struct Welcome: Hashable, Sendable, Codable {
        /// The version agreed on.
        public var version: ProtocolVersion
        /// The portal's run.
        public var instance: String
        /// The relay's own name, given by the portal.
        public var relay: RelayID
        /// What it says as REALM (RFC 8489 14.9).
        public var realm: String
        /// What passwords are made with, the newest first; each of them is good. Never in a
        /// description or a log.
        public var secrets: [String]
        /// How often each side sends a heartbeat.
        public var heartbeatSeconds: UInt32

        public init(
            version: ProtocolVersion = .current,
            instance: String,
            relay: RelayID,
            realm: String,
            secrets: [String],
            heartbeatSeconds: UInt32 = 10
        ) {
            (self.version, self.instance, self.relay) = (version, instance, relay)
            (self.realm, self.secrets) = (realm, secrets)
            self.heartbeatSeconds = heartbeatSeconds
        }
    }
}

extension ToRelay.Welcome: CustomStringConvertible, CustomReflectable {
    /// The relay and how many secrets there are, never which.
    public var description: String { "welcome of \(relay) with \(secrets.count) secrets" }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "version": version, "instance": instance, "relay": relay, "realm": realm,
                "heartbeatSeconds": heartbeatSeconds,
            ]
        )
    }
}

extension ToRelay {
    public var type: String {
        switch self {
        case .welcome: "welcome"
        case .refusal: "refusal"
        case .unknown(let type): type
        }
    }

    public init(from decoder: any Decoder) throws {
        switch try decoder.messageType() {
        case "welcome": self = .welcome(try Welcome(from: decoder))
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
        case .refusal(let payload): payload
        case .unknown: nil
        }
    }
}
