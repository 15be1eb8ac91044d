/// What one packet loop has done since its start.
public struct LoopCounters: Sendable, Equatable {
    /// Times the loop woke up.
    public var turns: UInt64 = 0

    /// Packets read from the tunnel device; large ones count once.
    public var tunnelPacketsRead: UInt64 = 0
    /// Bytes read from the tunnel device.
    public var tunnelBytesRead: UInt64 = 0
    /// Packets written to the tunnel device; large ones count once.
    public var tunnelPacketsWritten: UInt64 = 0
    /// Bytes written to the tunnel device.
    public var tunnelBytesWritten: UInt64 = 0
    /// Packets that the tunnel device did not take: full, down, or no room for them.
    public var tunnelWriteDrops: UInt64 = 0
    /// Packets of the tunnel device whose offload header made no sense.
    public var tunnelHeaderErrors: UInt64 = 0
    /// Large packets that the kernel refused and that were written one segment at a time.
    public var tunnelPacketsCut: UInt64 = 0
    /// Datagrams that were written in one large packet with others.
    public var tunnelDatagramsJoined: UInt64 = 0
    /// Packets moved between the two tunnel devices.
    public var divertedPackets: UInt64 = 0

    /// Reads from the network; datagrams that the kernel joined count once.
    public var networkReads: UInt64 = 0
    /// Datagrams from the network.
    public var datagramsReceived: UInt64 = 0
    /// Bytes of them.
    public var networkBytesReceived: UInt64 = 0
    /// Datagrams longer than any of ours may be, cut by the kernel and dropped.
    public var datagramsTruncated: UInt64 = 0
    /// Errors that a receive reported, which cost nothing but themselves.
    public var receiveErrors: UInt64 = 0
    /// Sends to the network; a segmented one counts once.
    public var networkSends: UInt64 = 0
    /// Datagrams to the network.
    public var datagramsSent: UInt64 = 0
    /// Bytes of them.
    public var networkBytesSent: UInt64 = 0
    /// Datagrams that the kernel refused to send for good.
    public var datagramsRefused: UInt64 = 0
    /// Segmented sends that were refused, and whose datagrams were sent one by one.
    public var segmentedSendsRefused: UInt64 = 0

    /// Times that a socket was full and the tunnel device was not read for it.
    public var backPressurePauses: UInt64 = 0
    /// Datagrams dropped because a socket stayed full for too long.
    public var backlogDrops: UInt64 = 0

    /// Ports opened for the machine beside the main one.
    public var portsOpened: UInt64 = 0
    /// Ports closed again.
    public var portsClosed: UInt64 = 0
    /// Ports that could not be opened.
    public var portsRefused: UInt64 = 0

    /// Exchanges begun.
    public var exchangesBegun: UInt64 = 0
    /// Exchanges that were answered.
    public var exchangesAnswered: UInt64 = 0
    /// Exchanges that failed at once: refused, unreachable, or too many.
    public var exchangesFailed: UInt64 = 0
    /// Exchanges given up after their time.
    public var exchangesExpired: UInt64 = 0

    /// Entries that the machine would not take even with an empty outbox.
    public var entriesStalled: UInt64 = 0

    public init() {}
}
