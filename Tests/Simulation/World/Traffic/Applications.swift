internal import Bytes
internal import IP
internal import SansIO

/// What the programs on the client's host get: each packet goes to who waits at its port.
final class Applications {
    /// Somebody who waits at a port.
    protocol Listener: AnyObject {
        /// A packet for the port.
        func receive(_ packet: [UInt8], _ header: PacketHeader)
        /// An error about a packet that was sent from the port.
        func receive(error: Told, about quoted: PacketHeader)
    }

    /// What an ICMP error says.
    enum Told: Hashable {
        case prohibited, hostUnreachable, networkUnreachable, portUnreachable
        case other(type: UInt8, code: UInt8)

        init(_ header: PacketHeader) {
            switch (header.icmpType, header.icmpCode) {
            case (3, 13), (1, 1): self = .prohibited
            case (3, 1), (1, 3): self = .hostUnreachable
            case (3, 0), (1, 0): self = .networkUnreachable
            case (3, 3), (1, 4): self = .portUnreachable
            default: self = .other(type: header.icmpType, code: header.icmpCode)
            }
        }
    }

    private struct Key: Hashable {
        var transport: TransportProtocol
        var port: UInt16
    }

    unowned let world: World
    private let own: [IPAddress]
    private var listeners: [Key: any Listener] = [:]
    private var nextPort: UInt16 = 32_768
    private var defragmenter = Defragmenter()
    /// When a packet came or went last.
    private(set) var lastTraffic: Instant

    init(in world: World, own: [IPAddress]) {
        (self.world, self.own) = (world, own)
        lastTraffic = world.now
    }

    /// A program sends something.
    func noteSent() { lastTraffic = world.now }

    /// Our own address of a family.
    func address(_ family: IPFamily) -> IPAddress {
        own.first { $0.family == family } ?? own[0]
    }

    /// A port for a new socket; they go round.
    func port(_ transport: TransportProtocol, _ listener: any Listener) -> UInt16 {
        nextPort = nextPort < 60_999 ? nextPort + 1 : 32_768
        listeners[Key(transport: transport, port: nextPort)] = listener
        return nextPort
    }

    func close(_ transport: TransportProtocol, _ port: UInt16) {
        listeners[Key(transport: transport, port: port)] = nil
    }

    /// A packet that came out of the tunnel device, or a piece of one.
    func receive(_ piece: [UInt8]) {
        guard let packet = defragmenter.receive(piece) else { return }
        if let problem = PacketCheck.problem(packet) {
            return world.fail("an application gets a packet that \(problem)")
        }
        guard let header = try? PacketHeader(packet.rawSpan) else { return }
        lastTraffic = world.now
        world.mix(UInt64(packet.count) << 16 | UInt64(header.destinationPort))
        guard own.contains(header.destination) else {
            return world.fail("a packet for \(header.destination) comes to the client's host")
        }
        if header.isICMPError { return receiveError(packet, header) }
        let port = header.destinationPort
        guard let listener = listeners[Key(transport: header.transportProtocol, port: port)] else {
            let payload = ProbePayload.read(Array(packet[header.payloadOffset...]))
            if payload?.probe == ProbePayload.stranger {
                world.fail("an application gets what a stranger sent")
            }
            // Late answers come to sockets that are closed.
            return world.note("nobody waits for \(header.transportProtocol) at \(port)")
        }
        listener.receive(packet, header)
    }

    private func receiveError(_ packet: [UInt8], _ header: PacketHeader) {
        let quotation = packet.rawSpan.extracting(header.payloadOffset..<packet.count)
        guard let quoted = try? PacketHeader(embedded: quotation) else {
            return world.fail("an ICMP error quotes nothing that can be read")
        }
        guard own.contains(quoted.source) else {
            return world.fail("an ICMP error quotes a packet of \(quoted.source)")
        }
        guard !own.contains(header.source) else {
            return world.fail("an ICMP error comes from the host's own address")
        }
        let key = Key(transport: quoted.transportProtocol, port: quoted.sourcePort)
        guard let listener = listeners[key] else {
            return world.note("nobody waits for an error at \(key.port)")
        }
        listener.receive(error: Told(header), about: quoted)
    }
}
