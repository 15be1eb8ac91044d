internal import Bytes
internal import IP

/// A host behind a gateway, or on the internet: answers pings, echoes UDP and TCP on open ports.
///
/// Its TCP keeps the stream's offsets: each byte comes back at the offset where it went, so that a
/// repeated segment is answered by the repeated echo without any timer here.
final class ResourceServer {
    private struct Connection {
        var remote: Endpoint
        var local: Endpoint
        /// The first byte of the stream, theirs and ours.
        var theirStart: UInt32
        var ourStart: UInt32
        /// Bytes taken in order.
        var received: UInt32 = 0
        var hasEnded = false
    }

    let name: String
    let addresses: [IPAddress]
    private let udpPorts: [UInt16]
    private let tcpPorts: [UInt16]
    private var connections: [Connection] = []
    /// Connections kept; more than ever live at once.
    private let connectionsMax = 1024
    /// Something of a probe came.
    var onProbe: (ProbePayload, PacketHeader) -> Void = { _, _ in }
    /// A connection was asked for.
    var onOpening: (PacketHeader) -> Void = { _ in }
    /// Something came that is nobody's.
    var onStranger: (String) -> Void = { _ in }

    init(_ name: String, _ addresses: [IPAddress], udpPorts: [UInt16], tcpPorts: [UInt16]) {
        (self.name, self.addresses) = (name, addresses)
        (self.udpPorts, self.tcpPorts) = (udpPorts, tcpPorts)
    }

    func isOpen(_ transport: TransportProtocol, _ port: UInt16) -> Bool {
        switch transport {
        case .tcp: tcpPorts.contains(port)
        case .udp: udpPorts.contains(port)
        default: true
        }
    }

    /// The answers to a packet.
    func receive(_ packet: [UInt8]) -> [[UInt8]] {
        if let problem = PacketCheck.problem(packet) {
            onStranger("a packet that \(problem)")
            return []
        }
        guard let header = try? PacketHeader(packet.rawSpan) else { return [] }
        let payload = Array(packet[header.payloadOffset...])
        if header.isTCP { return receiveTCP(header, payload) }
        if header.isICMPError { return [] }
        guard header.isUDP || header.isEchoRequest else {
            onStranger("a packet of protocol \(header.transportProtocol)")
            return []
        }
        if let probe = ProbePayload.read(payload) {
            onProbe(probe, header)
        } else {
            onStranger("a payload that no probe has")
        }
        return [
            header.isUDP ? answerUDP(packet, header, payload) : answerEcho(packet, header, payload)
        ]
    }

    private func back(_ header: PacketHeader) -> IPHeader {
        IPHeader(from: header.destination, to: header.source)
    }

    private func answerEcho(
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ payload: [UInt8]
    ) -> [UInt8] {
        let sequence = packet.rawSpan.uint16(at: header.transportOffset + 6)
        let echo = ICMPHeader.echoReply(
            header.family,
            identifier: header.sourcePort,
            sequence: sequence
        )
        return back(header).packet(echo, body: payload)
    }

    private func answerUDP(
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ payload: [UInt8]
    ) -> [UInt8] {
        guard udpPorts.contains(header.destinationPort) else {
            let error = try? Refusal.portUnreachable.answer(
                to: packet.rawSpan,
                from: header.destination
            )
            return error ?? []
        }
        let udp = UDPHeader(
            sourcePort: header.destinationPort,
            destinationPort: header.sourcePort
        )
        return back(header).packet(udp, payload: payload)
    }
}

// MARK: - TCP

extension ResourceServer {
    private func receiveTCP(_ header: PacketHeader, _ payload: [UInt8]) -> [[UInt8]] {
        let place = connections.firstIndex {
            $0.remote == header.sourceEndpoint && $0.local == header.destinationEndpoint
        }
        if header.tcpFlags.contains(.rst) {
            if let place { connections.remove(at: place) }
            return []
        }
        if header.tcpFlags.contains(.syn) { return open(header, place) }
        guard let place else {
            return [segment(header, .rst, sequence: header.acknowledgment, acknowledgment: 0)]
        }
        return take(header, payload, place)
    }

    private func open(_ header: PacketHeader, _ place: Int?) -> [[UInt8]] {
        onOpening(header)
        guard tcpPorts.contains(header.destinationPort) else {
            let reset: TCPFlags = [.rst, .ack]
            return [segment(header, reset, sequence: 0, acknowledgment: header.sequence &+ 1)]
        }
        if let place, connections[place].theirStart == header.sequence &+ 1 {
            return [greeting(header, connections[place])]
        }
        if let place { connections.remove(at: place) }
        if connections.count >= connectionsMax { connections.removeFirst(connectionsMax / 4) }
        let connection = Connection(
            remote: header.sourceEndpoint,
            local: header.destinationEndpoint,
            theirStart: header.sequence &+ 1,
            ourStart: header.sequence &* 2_654_435_761 &+ 1
        )
        connections.append(connection)
        return [greeting(header, connection)]
    }

    private func greeting(_ header: PacketHeader, _ connection: Connection) -> [UInt8] {
        segment(
            header,
            [.syn, .ack],
            sequence: connection.ourStart &- 1,
            acknowledgment: connection.theirStart
        )
    }

    private func take(_ header: PacketHeader, _ payload: [UInt8], _ place: Int) -> [[UInt8]] {
        let offset = header.sequence &- connections[place].theirStart
        let count = UInt32(payload.count)
        let taken = connections[place].received
        // Behind a gap: what is missing comes again, and this with it.
        guard Int32(bitPattern: offset &- taken) <= 0 else {
            return [acknowledgment(header, place)]
        }
        if Int32(bitPattern: offset &+ count &- taken) > 0 {
            connections[place].received = offset &+ count
        }
        var answers: [[UInt8]] = []
        let sequence = connections[place].ourStart &+ offset
        if !payload.isEmpty {
            answers.append(
                segment(
                    header,
                    [.ack, .psh],
                    sequence: sequence,
                    acknowledgment: next(place),
                    payload: payload
                )
            )
        }
        if header.tcpFlags.contains(.fin), offset &+ count == connections[place].received {
            connections[place].hasEnded = true
            answers.append(
                segment(
                    header,
                    [.fin, .ack],
                    sequence: sequence &+ count,
                    acknowledgment: next(place)
                )
            )
        }
        return answers
    }

    /// The next byte that we want.
    private func next(_ place: Int) -> UInt32 {
        connections[place].theirStart &+ connections[place].received
            &+ (connections[place].hasEnded ? 1 : 0)
    }

    private func acknowledgment(_ header: PacketHeader, _ place: Int) -> [UInt8] {
        segment(
            header,
            .ack,
            sequence: connections[place].ourStart &+ connections[place].received,
            acknowledgment: next(place)
        )
    }

    private func segment(
        _ header: PacketHeader,
        _ flags: TCPFlags,
        sequence: UInt32,
        acknowledgment: UInt32,
        payload: [UInt8] = []
    ) -> [UInt8] {
        let tcp = TCPHeader(
            sourcePort: header.destinationPort,
            destinationPort: header.sourcePort,
            sequence: sequence,
            acknowledgment: acknowledgment,
            flags: flags
        )
        return back(header).packet(tcp, payload: payload)
    }
}
