public import Bytes
internal import IP

extension FromRole {
    /// Whether a gateway reaches a resource; said when it stops to, and when it does again.
    public struct Reach: Hashable, Sendable, Codable {
        public var resource: ResourceID
        public var isReached: Bool
        /// What was tried in vain, for people; nil when it is reached.
        public var sentence: String?

        public init(resource: ResourceID, isReached: Bool, sentence: String? = nil) {
            (self.resource, self.isReached, self.sentence) = (resource, isReached, sentence)
        }
    }

    /// Flows that ended at a gateway.
    public struct Flows: Hashable, Sendable, Codable {
        /// In the order of their ends, ``EndedFlow/Limits/count`` at most.
        public var flows: [EndedFlow]
        /// Flows that ended since the last message and found no room; nil means none.
        public var missing: UInt64?

        public init(flows: [EndedFlow], missing: UInt64? = nil) {
            (self.flows, self.missing) = (flows, missing)
        }
    }
}

/// One flow that is over: who reached what, how much, when, and why it ended.
public struct EndedFlow: Hashable, Sendable, Codable, ListElement {
    /// Bounds of what a gateway tells of flows.
    public enum Limits {
        /// Flows in one message.
        public static var count: Int { 256 }
        /// Bytes of a name in it; a longer one is cut by the reader.
        public static var textByteCount: Int { 256 }
    }

    static var listCountMax: Int { Limits.count }
    static var listPolicy: ListPolicy { .skipMalformedAndExcess }

    public var client: ClientID
    /// The device's name and its owner, as they were.
    public var device: String?
    public var person: String?
    public var resource: ResourceID
    public var resourceName: String
    /// The name that was asked for; nil for an address or network.
    public var name: String?
    /// `tcp`, `udp` or `icmp`.
    public var transport: String
    /// Where it went.
    public var real: Endpoint
    /// From the client, and to it.
    public var bytesOut: UInt64
    public var bytesIn: UInt64
    public var packetsOut: UInt64
    public var packetsIn: UInt64
    /// When the first packet passed, in milliseconds since 1970 by the gateway's clock.
    public var startMilliseconds: Int64
    /// When the last one did.
    public var endMilliseconds: Int64
    /// Why it ended: a stable word.
    public var why: String

    public init(
        client: ClientID,
        device: String? = nil,
        person: String? = nil,
        resource: ResourceID,
        resourceName: String,
        name: String? = nil,
        transport: String,
        real: Endpoint,
        bytesOut: UInt64,
        bytesIn: UInt64,
        packetsOut: UInt64,
        packetsIn: UInt64,
        startMilliseconds: Int64,
        endMilliseconds: Int64,
        why: String
    ) {
        (self.client, self.device, self.person) = (client, device, person)
        (self.resource, self.resourceName, self.name) = (resource, resourceName, name)
        (self.transport, self.real) = (transport, real)
        (self.bytesOut, self.bytesIn) = (bytesOut, bytesIn)
        (self.packetsOut, self.packetsIn) = (packetsOut, packetsIn)
        self.startMilliseconds = startMilliseconds
        self.endMilliseconds = endMilliseconds
        self.why = why
    }
}
