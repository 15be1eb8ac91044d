public import Bytes
internal import IP

/// What a packet loop has noticed and goes on in spite of; for the log.
public enum LoopNote: Sendable, Equatable, CustomStringConvertible {
    /// A segmented send was refused: datagrams to this endpoint go one by one for ten minutes.
    case sendsSingly(Endpoint)
    /// The tunnel device has gone away under us; the number is the errno of the read.
    case tunnelLost(Int32)
    /// The kernel has no more sockets to give; the number is the errno. Said once.
    case portsExhausted(Int32)
    /// The kernel refused a large packet: from now on they are cut before they are written.
    case cutsTunnelPackets

    public var description: String {
        switch self {
        case .sendsSingly(let endpoint):
            "The way to \(endpoint) carries no segmented sends (a link with a small MTU, or a "
                + "driver without offloads); sending datagrams singly for 10 minutes."
        case .tunnelLost(let code):
            "The tunnel device is gone (\(SystemError.text(of: code))): another program removed "
                + "it. Restart to make it again."
        case .portsExhausted(let code):
            "No further UDP port can be opened (\(SystemError.text(of: code))); raise the limit of "
                + "open files (ulimit -n, or LimitNOFILE= of the service)."
        case .cutsTunnelPackets:
            "The kernel refused a large packet at the tunnel device; writing segments singly."
        }
    }
}
