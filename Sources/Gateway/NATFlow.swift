public import IP
public import SansIO

/// What tells a flow apart on one side of the NAT, as its packets towards the resource show it.
public struct FlowKey: Hashable, Sendable {
    /// The protocols that are let through.
    public enum Transport: UInt8, Sendable {
        case tcp = 6
        case udp = 17
        /// Echo of either family; the identifier stands for the source port.
        case icmp = 1
    }

    /// The protocol.
    public var transport: Transport
    /// The client's port, or the echo's identifier.
    public var sourcePort: UInt16
    /// Where the packet goes: a proxy address inside, a real one outside.
    public var destination: IPAddress
    /// The port there; 0 for an echo.
    public var destinationPort: UInt16

    public init(
        transport: Transport,
        sourcePort: UInt16,
        destination: IPAddress,
        destinationPort: UInt16
    ) {
        self.transport = transport
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
    }
}

/// One session of the NAT: the same flow as both sides see it, and how far it has come.
public struct NATFlow: Sendable, Equatable {
    /// How far a flow has come; in the order in which flows go when a client has too many.
    ///
    ///     TCP   opening ──answer──▶ established ──both FINs──▶ closing
    ///              └───────────────RST──┴──────────────────────▶ reset
    ///     UDP   asked ──answer──▶ answered
    public enum Stage: UInt8, Sendable, CaseIterable {
        /// TCP: one side sent RST.
        case reset
        /// TCP: both sides sent FIN.
        case closing
        /// UDP: nothing came back yet.
        case asked
        /// TCP: nothing came back yet.
        case opening
        /// An echo.
        case echo
        /// UDP: something came back.
        case answered
        /// TCP: something came back.
        case established

        /// How long a flow lives after its last packet (RFC 5382, 4787, 5508).
        public var timeout: Duration {
            switch self {
            case .reset: .seconds(5)
            case .closing: .seconds(10)
            case .asked: .seconds(120)
            case .opening: .seconds(240)
            case .echo: .seconds(60)
            case .answered: .seconds(300)
            case .established: .seconds(7_440)
            }
        }

        /// Whether the connection is over, so that a SYN begins another one.
        public var isOver: Bool { self == .reset || self == .closing }
    }

    /// The flow as the client sees it.
    public let inside: FlowKey
    /// The client's port, or the echo's identifier, as the resource sees it.
    let outsidePort: UInt16
    /// The resource's address; of the other family when the flow is translated.
    public let real: IPAddress
    /// When it was begun.
    public internal(set) var opened: Instant
    /// When its last packet passed.
    public internal(set) var lastUsed: Instant
    /// Bytes of IP packets from the client and from the resource, as the client sends and gets
    /// them.
    public internal(set) var bytesOut: UInt64 = 0
    public internal(set) var bytesIn: UInt64 = 0
    /// Packets from the client and from the resource; a large one of the kernel counts once.
    public internal(set) var packetsOut: UInt32 = 0
    public internal(set) var packetsIn: UInt32 = 0
    /// Which of the client's resources it belongs to; a number that the owner of the table gives.
    public internal(set) var resource: UInt32
    /// The owner's revision at which the flow was last found permitted.
    public internal(set) var checkedRevision: UInt32
    /// What the owner's flow log calls it; a number that the owner gives.
    public internal(set) var label: UInt32
    var previous = NAT.none
    var next = NAT.none
    /// How far it has come.
    public internal(set) var stage: Stage
    var finFromInside = false
    var finFromOutside = false

    init(
        inside: FlowKey,
        outsidePort: UInt16,
        real: IPAddress,
        opened: Instant,
        resource: UInt32,
        revision: UInt32,
        label: UInt32,
        stage: Stage
    ) {
        (self.inside, self.outsidePort, self.real) = (inside, outsidePort, real)
        (self.opened, lastUsed) = (opened, opened)
        (self.resource, checkedRevision) = (resource, revision)
        (self.label, self.stage) = (label, stage)
    }

    /// The flow as the resource sees it.
    public var outside: FlowKey {
        FlowKey(
            transport: inside.transport,
            sourcePort: outsidePort,
            destination: real,
            destinationPort: inside.destinationPort
        )
    }

    func matches(outside key: FlowKey) -> Bool {
        real == key.destination && outsidePort == key.sourcePort
            && inside.destinationPort == key.destinationPort && inside.transport == key.transport
    }

    /// Whether its packets change their family on the way.
    public var isTranslated: Bool { inside.destination.isIPv4 != real.isIPv4 }

    /// When it ends unless a packet passes.
    public var deadline: Instant { lastUsed.advanced(by: stage.timeout) }

    /// Why a flow ended, for the flow log.
    public enum End: String, Sendable, CaseIterable {
        /// TCP: both sides sent FIN.
        case closed
        /// TCP: one side sent RST.
        case reset
        /// No packet for too long.
        case idle
        /// A new connection took its place.
        case replaced
        /// Its address did not answer; another one is tried.
        case unanswered
        /// It made room for others.
        case evicted
        /// The rules do not permit it any more.
        case revoked
        /// The client is gone, or its addresses changed.
        case left
    }

    /// Why it ended when nothing but time ended it.
    var endByTime: End {
        switch stage {
        case .closing: .closed
        case .reset: .reset
        case .asked, .opening, .echo, .answered, .established: .idle
        }
    }
}
