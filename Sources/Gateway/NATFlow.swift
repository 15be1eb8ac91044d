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
    /// The flow as the resource sees it.
    public let outside: FlowKey
    /// Which of the client's resources it belongs to; a number that the owner of the table gives.
    public internal(set) var resource: UInt32
    /// When it was begun.
    public let opened: Instant
    /// When its last packet passed.
    public internal(set) var lastUsed: Instant
    /// How far it has come.
    public internal(set) var stage: Stage
    /// The owner's revision at which the flow was last found permitted.
    public internal(set) var checkedRevision: UInt32
    /// Packets that came back: 0, 1, or 2 for any more.
    public internal(set) var answers: UInt8 = 0
    var finFromInside = false
    var finFromOutside = false
    var previous = NAT.none
    var next = NAT.none

    /// When it ends unless a packet passes.
    public var deadline: Instant { lastUsed.advanced(by: stage.timeout) }
}
