internal import Bytes
internal import IP

/// What the kernel of the gateway's host does with packets of tunnel addresses: they get the host's
/// own address, answers and errors get back the tunnel's.
final class Masquerade {
    private struct Flow {
        var transport: UInt8
        var inside: Endpoint
        var peer: Endpoint
        var port: UInt16
    }

    private let own: [IPAddress]
    private var flows: [Flow] = []
    private var nextPort: UInt16 = 30_000
    /// Flows kept; more than ever live at once.
    private let flowsMax = 4096

    init(own: [IPAddress]) { self.own = own }

    /// A packet on its way out; nil when it cannot be translated.
    func outbound(_ packet: [UInt8], _ header: PacketHeader) -> [UInt8]? {
        guard let address = own.first(where: { $0.family == header.family }) else { return nil }
        if header.isICMPError { return outboundError(packet, header, address) }
        let peer = Endpoint(header.destination, port: header.isEcho ? 0 : header.destinationPort)
        let port = port(of: header.sourceEndpoint, to: peer, header.transportProtocol.rawValue)
        var block = Block(byteCount: packet.count)
        var room = block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        do {
            var rewritten = try MutablePacket(room, header: header)
            rewritten.setSource(address, port: port)
            guard rewritten.decrementHopLimit() else { return nil }
        } catch { return nil }
        return block.bytes(0..<packet.count).array
    }

    private func outboundError(
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ address: IPAddress
    ) -> [UInt8]? {
        var block = Block(byteCount: packet.count)
        var room = block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        do {
            var rewritten = try MutablePacket(room, header: header)
            rewritten.setSource(address)
        } catch { return nil }
        return block.bytes(0..<packet.count).array
    }

    private func port(of inside: Endpoint, to peer: Endpoint, _ transport: UInt8) -> UInt16 {
        if let known = flows.first(where: {
            $0.inside == inside && $0.peer == peer && $0.transport == transport
        }) {
            return known.port
        }
        nextPort = nextPort < 65_000 ? nextPort + 1 : 30_000
        if flows.count >= flowsMax { flows.removeFirst(flowsMax / 4) }
        flows.append(Flow(transport: transport, inside: inside, peer: peer, port: nextPort))
        return nextPort
    }

    /// A packet from outside; nil when it belongs to nothing.
    func inbound(_ packet: [UInt8], _ header: PacketHeader) -> [UInt8]? {
        var block = Block(byteCount: packet.count)
        var room = block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        do {
            var rewritten = try MutablePacket(room, header: header)
            if header.isICMPError {
                guard let quoted = rewritten.quoted,
                    let flow = flow(
                        quoted.transportProtocol,
                        port: quoted.sourcePort,
                        peer: Endpoint(
                            quoted.destination,
                            port: quoted.isEcho ? 0 : quoted.destinationPort
                        )
                    )
                else { return nil }
                rewritten.setQuotedSource(flow.inside.address, port: flow.inside.port)
                rewritten.setDestination(flow.inside.address)
            } else {
                let peer = Endpoint(header.source, port: header.isEcho ? 0 : header.sourcePort)
                guard
                    let flow = flow(
                        header.transportProtocol,
                        port: header.destinationPort,
                        peer: peer
                    )
                else { return nil }
                rewritten.setDestination(flow.inside.address, port: flow.inside.port)
            }
        } catch { return nil }
        return block.bytes(0..<packet.count).array
    }

    private func flow(_ transport: TransportProtocol, port: UInt16, peer: Endpoint) -> Flow? {
        flows.first { $0.port == port && $0.transport == transport.rawValue && $0.peer == peer }
    }
}
