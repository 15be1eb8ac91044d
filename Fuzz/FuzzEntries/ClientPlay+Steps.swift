internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

extension ClientPlay {
    /// What the script can do; its number is what a step begins with.
    enum Step: UInt8, CaseIterable {
        case tunnelPacket, packet, query, streamQuery, answer, datagram, burst, sealed, replayed
        case delivered, time, frame, decision, message, host, question
    }

    func step() {
        switch Step(rawValue: script.byte() & 15) {
        case .tunnelPacket:
            let offload = script.offload()
            put(script.chunk(), from: .tunnel, Batch.Packet(offload: offload))
        case .packet: sendPacket()
        case .query: sendQuery()
        case .streamQuery:
            let sentinel = script.choice(sentinels) ?? Self.own
            handle(.streamQuery(id: 2, sentinel: sentinel, bytes: script.chunk()))
        case .answer: answerExchange()
        case .datagram: receiveDatagram()
        case .burst: receiveBurst()
        case .sealed: if let site = script.choice(sites) { seal(script.chunk(), by: site) }
        case .replayed: replay()
        case .delivered: deliverPacket()
        case .time:
            now = now.advanced(by: script.duration())
            advance()
        case .frame: receiveFrame()
        case .decision: decide()
        case .message: if script.flag() { receiveMessage() } else { receiveNotice() }
        case .host: changeHost()
        case .question: _ = client.explain(script.text(), at: now)
        case nil: break
        }
    }

    // MARK: Host

    /// A whole packet of an application to somewhere that means something.
    private func sendPacket() {
        let kind = script.byte()
        guard let destination = script.choice(destinations + sentinels) else { return }
        let (source, port) = (UInt16(script.byte()), script.uint16())
        let ip = IPHeader(
            from: destination.isIPv4 ? Self.own : Self.ownIPv6,
            to: destination,
            hopLimit: kind & 128 == 0 ? 64 : 1
        )
        let payload = script.chunk()
        let packet: [UInt8]
        switch kind & 3 {
        case 0:
            packet = ip.packet(
                UDPHeader(sourcePort: source, destinationPort: port),
                payload: payload
            )
        case 1:
            let flags = TCPFlags(rawValue: kind & 4 == 0 ? 2 : script.byte())
            let tcp = TCPHeader(sourcePort: source, destinationPort: port, flags: flags)
            packet = ip.packet(tcp, payload: payload)
        case 2:
            let echo = ICMPHeader.echoRequest(ip.family, identifier: source, sequence: port)
            packet = ip.packet(echo, body: payload)
        default:
            var other = ip
            other.transportProtocol = TransportProtocol(rawValue: script.byte())
            packet = other.packet(payload: payload)
        }
        put(packet, from: .tunnel)
    }

    /// A DNS message over UDP to a sentinel, or to an address that might be one.
    private func sendQuery() {
        guard let sentinel = script.choice(sentinels + destinations) else { return }
        let source = sentinel.isIPv4 ? Self.own : Self.ownIPv6
        let udp = UDPHeader(sourcePort: script.uint16(), destinationPort: 53)
        put(
            IPHeader(from: source, to: sentinel).packet(udp, payload: script.chunk()),
            from: .tunnel
        )
    }

    private func answerExchange() {
        guard let exchange = script.choice(exchanges) else { return }
        let bytes = NameserverAnswer.make(to: exchange.bytes, &script)
        guard let command = Client.command(answering: exchange.token, with: bytes) else { return }
        handle(command)
    }

    private func changeHost() {
        switch script.byte() & 7 {
        case 0: handle(.portalConnected(script.flag()))
        case 1: handle(.internetResource(isOn: script.flag()))
        case 2: handle(.flushNames)
        case 3: handle(.localAddresses(script.addresses(), port: script.uint16()))
        case 4: handle(.hostResolvers(script.addresses().map { Endpoint($0, port: 53) }))
        case 5: handle(.shutdown)
        case 6: ask(script.text(), RecordType(rawValue: script.uint16()))
        default:
            let choices: [ControlFrame.Status?] = [
                nil, .active, .notAuthorized, .nameMismatch, .noAddresses, .unresolved, .other(9),
            ]
            namesStatus = script.choice(choices) ?? nil
        }
    }

    // MARK: Network

    private func receiveDatagram() {
        let packet = Batch.Packet(
            remote: script.flag() ? script.endpoint() : sites[0].endpoint,
            local: Self.endpoint,
            ecn: script.byte() & 3
        )
        put(script.chunk(), from: .network, packet)
    }

    /// As many datagrams as a kernel joins at most, of one sender.
    private func receiveBurst() {
        guard let site = script.choice(sites) else { return }
        let word = Int(script.byte())
        let bytes = script.chunk()
        let size = max(1, word, (bytes.count + 63) / 64)
        let packet = Batch.Packet(
            segmentByteCount: size,
            remote: site.endpoint,
            local: Self.endpoint
        )
        put(bytes, from: .network, packet)
    }

    /// The last authentic datagram again, as it was or not.
    private func replay() {
        guard let site = script.choice(sites) else { return }
        let place = Int(script.uint16())
        var datagram = site.sealed
        if !datagram.isEmpty { datagram[place % datagram.count] ^= script.byte() }
        send(datagram, from: site)
    }

    /// A whole packet out of the tunnel.
    private func deliverPacket() {
        guard let site = script.choice(sites), let source = script.choice(destinations) else {
            return
        }
        let word = script.byte()
        // Mostly for the host, sometimes for somebody else.
        let other = word & 128 == 0 ? nil : script.choice(destinations)
        let destination = other ?? (source.isIPv4 ? Self.own : Self.ownIPv6)
        let ip = IPHeader(from: source, to: destination, trafficClass: word & 3)
        let port = script.uint16()
        let kind = script.byte()
        let payload = script.chunk()
        switch kind & 3 {
        case 0, 1:
            let flags = TCPFlags(rawValue: kind >> 2)
            var tcp = TCPHeader(sourcePort: port, destinationPort: 1, flags: flags)
            tcp.sequence = UInt32(kind)
            seal(ip.packet(tcp, payload: payload), by: site)
        case 2:
            let udp = UDPHeader(sourcePort: port, destinationPort: 1)
            seal(ip.packet(udp, payload: payload), by: site)
        default:
            let error = ICMPHeader(type: UInt8(port >> 8), code: UInt8(port & 255))
            seal(ip.packet(error, body: payload), by: site)
        }
    }

    private func receiveFrame() {
        guard let site = script.choice(sites) else { return }
        switch script.byte() & 3 {
        case 0: seal(ControlFrame.goodbye(.other(script.byte())).bytes, by: site)
        case 1: seal(ControlFrame.probe(number: UInt64(script.byte())).bytes, by: site)
        case 2: seal(ControlFrame.probeAnswer(number: UInt64(script.byte())).bytes, by: site)
        default:
            let answer = ControlFrame.NamesAnswer(
                epoch: UInt64(script.byte()),
                resource: script.flag() ? "name" : script.text(),
                name: script.flag() ? "a.test" : script.text(),
                status: script.flag() ? .active : .other(script.byte()),
                families: script.flag() ? [.ipv4, .ipv6] : []
            )
            seal(ControlFrame.namesAnswer(answer).bytes, by: site)
        }
    }
}
