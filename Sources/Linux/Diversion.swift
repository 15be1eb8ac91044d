internal import Bytes
public import IP

/// A second tunnel device, in a network namespace of the daemon's own, whose TCP stack serves some
/// addresses: see ``SentinelListener``. Packets are moved as they are, offload headers included.
public struct Diversion: ~Copyable, Sendable {
    /// Who is at the other end of the second device.
    public enum Peer: Sendable {
        /// This host: its packets to the addresses are taken before the machine sees them.
        case host
        /// The machine: what it sends to the tunnel device for the addresses goes to the second.
        case machine
    }

    let device: TunnelDevice
    let peer: Peer
    var destinations: [IPPrefix]

    /// TCP to `destinations` goes to `device`, and what `device` says goes to `peer`.
    public init(device: consuming TunnelDevice, destinations: [IPPrefix], between peer: Peer) {
        self.device = device
        self.destinations = destinations
        self.peer = peer
    }

    /// Whether `packet` is TCP to one of the addresses.
    func matches(_ packet: RawSpan) -> Bool {
        guard packet.byteCount >= 20 else { return false }
        let destination: IPAddress
        switch packet.byte(at: 0) >> 4 {
        case 4:
            guard packet.byte(at: 9) == 6 else { return false }
            destination = IPAddress(ipv4: packet.uint32(at: 16))
        case 6:
            guard packet.byteCount >= 40, packet.byte(at: 6) == 6 else { return false }
            destination = IPAddress(high: packet.uint64(at: 24), low: packet.uint64(at: 32))
        default:
            return false
        }
        return destinations.contains { $0.contains(destination) }
    }
}
