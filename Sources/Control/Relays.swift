public import Bytes
internal import IP

/// A relay as a client or gateway needs to know it to use it.
///
/// Name and password follow the shared-secret scheme of stock TURN servers: the name begins with
/// the second at which it ends, in Unix time, the password is a code over the name.
public struct RelayForRole: Hashable, Sendable, Codable {
    public var id: RelayID
    /// Where it listens for UDP, best first; empty where it does not.
    public var udp: [Endpoint]
    /// Where it listens for TCP.
    public var tcp: [Endpoint]
    /// Where it listens for TLS over TCP.
    public var tls: [Endpoint]
    /// SHA-256 of its certificate in lower-case hexadecimal; nil means that ``tlsName`` is checked
    /// against the machine's own authorities.
    public var tlsFingerprint: String?
    /// The name that its certificate speaks for.
    public var tlsName: String?
    /// Where it stands, in the account's own words.
    public var region: String?
    public var username: String
    /// Never in a description or a log.
    public var password: String
    /// Seconds that name and password are good for, from when the message was written.
    public var lifetimeSeconds: UInt32

    public init(
        id: RelayID,
        udp: [Endpoint] = [],
        tcp: [Endpoint] = [],
        tls: [Endpoint] = [],
        tlsFingerprint: String? = nil,
        tlsName: String? = nil,
        region: String? = nil,
        username: String,
        password: String,
        lifetimeSeconds: UInt32
    ) {
        (self.id, self.udp, self.tcp, self.tls) = (id, udp, tcp, tls)
        (self.tlsFingerprint, self.tlsName, self.region) = (tlsFingerprint, tlsName, region)
        (self.username, self.password) = (username, password)
        self.lifetimeSeconds = lifetimeSeconds
    }

    /// How long name and password are good for.
    public var lifetime: Duration { .seconds(lifetimeSeconds) }
}

extension RelayForRole: ListElement {
    static var listCountMax: Int { ChannelLimits.relays }
    static var listPolicy: ListPolicy { .skipMalformedAndExcess }
}

extension RelayForRole: CustomStringConvertible, CustomReflectable {
    /// The relay and how long its password is good for, never the password.
    public var description: String { "relay \(id) for \(lifetimeSeconds) s" }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "id": id, "udp": udp, "tcp": tcp, "tls": tls, "region": region as Any,
                "username": username, "lifetimeSeconds": lifetimeSeconds,
            ]
        )
    }
}

/// All relays that a client or gateway may use; those not in it are gone.
public struct RelayList: Hashable, Sendable, Codable {
    /// Nearest first; empty means none.
    public var relays: [RelayForRole]

    public init(relays: [RelayForRole]) { self.relays = relays }
}

/// How long a relay takes to answer.
public struct RelayTime: Hashable, Sendable, Codable {
    public var relay: RelayID
    /// There and back, without load.
    public var milliseconds: UInt32

    public init(relay: RelayID, milliseconds: UInt32) {
        (self.relay, self.milliseconds) = (relay, milliseconds)
    }
}

extension RelayTime: ListElement {
    static var listCountMax: Int { ChannelLimits.relays }
    static var listPolicy: ListPolicy { .skipMalformedAndExcess }
}

extension Endpoint: ListElement {
    static var listCountMax: Int { ChannelLimits.relayEndpoints }
    static var listPolicy: ListPolicy { .skipMalformedAndExcess }
}
