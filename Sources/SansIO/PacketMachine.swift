public import Bytes

/// Where a batch came from.
public enum Side: Sendable {
    /// The tunnel device: packets of this host, or towards it.
    case tunnel
    /// UDP sockets: datagrams of peers.
    case network
}

/// A question that the host asks for a core on a socket of its own, around the tunnel: one message
/// there, one message back.
public struct Exchange: Sendable, Equatable {
    /// How the question travels.
    public enum Transport: Sendable, Equatable {
        /// One UDP datagram each way, on the loop itself.
        case datagram
        /// One TCP connection, each message after its 16-bit length (RFC 1035 4.2.2).
        case stream
    }

    /// How it travels.
    public let transport: Transport
    /// The core's name for it; comes back with the answer.
    public let token: UInt64
    /// Whom to ask.
    public let server: Endpoint
    /// The question, as sent.
    public let bytes: [UInt8]

    public init(
        token: UInt64,
        server: Endpoint,
        bytes: [UInt8],
        transport: Transport = .datagram
    ) {
        (self.token, self.server, self.bytes) = (token, server, bytes)
        self.transport = transport
    }
}

/// What a core wants done about a UDP port of its own, beside the main one.
public enum PortRequest: Sendable, Equatable {
    /// Receive on this port, in these families, and say by a command whether that works.
    case open(UInt16, ipv4: Bool, ipv6: Bool)
    /// Let go of it.
    case close(UInt16)
}

/// A core on the packet path: bytes, time and commands in; bytes, outputs and a deadline out.
///
/// The host calls `receive` for each batch, `advance` at `nextDeadline` at the latest, then empties
/// the outbox and polls the outputs. Early calls of `advance` are harmless. Anything queued means a
/// deadline of now.
public protocol PacketMachine: ~Copyable {
    /// What the control side and the host say to it.
    associatedtype Command: Sendable
    /// What the host must do for it.
    associatedtype Output: Sendable

    /// Bytes in, from the tunnel device or the network; bytes out into `outbox`.
    ///
    /// - Returns: How many entries of `batch.indices` it took; with no room left it stops, and is
    ///   called again with the rest after the outbox was sent.
    mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int

    /// What the portal, the resolver or the host says.
    mutating func handle(_ command: Command, at now: Instant, into outbox: inout Outbox)

    /// Time passed.
    mutating func advance(to now: Instant, into outbox: inout Outbox)

    /// When `advance` must be called at the latest; nil means never.
    var nextDeadline: Instant? { get }

    /// What the host must do, one thing at a time; nil when nothing is left.
    mutating func pollOutput() -> Output?

    /// The output as an exchange that the host does for the core; nil when it is something else.
    static func exchange(of output: Output) -> Exchange?

    /// The command that says that an exchange was answered, or (nil) failed at once; a time-out is
    /// the core's own affair.
    static func command(answering token: UInt64, with bytes: [UInt8]?) -> Command?

    /// The output as a request about a port, which the host does at once; nil when it is something
    /// else.
    static func portRequest(of output: Output) -> PortRequest?

    /// The command that says, in the turn of the request, whether the host now receives on `port`
    /// in every family that was asked for.
    static func command(port: UInt16, isOpen: Bool) -> Command?
}

extension PacketMachine where Self: ~Copyable {
    public static func exchange(of output: Output) -> Exchange? { nil }
    public static func command(answering token: UInt64, with bytes: [UInt8]?) -> Command? { nil }
    public static func portRequest(of output: Output) -> PortRequest? { nil }
    public static func command(port: UInt16, isOpen: Bool) -> Command? { nil }
}
