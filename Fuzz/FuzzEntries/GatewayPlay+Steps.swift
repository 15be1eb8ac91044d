internal import Bytes
internal import Control
internal import DNS
internal import Gateway
internal import IP
internal import Peering
internal import SansIO
internal import WireGuard

extension GatewayPlay {
    /// What the script can do; its number is what a step begins with.
    enum Step: UInt8, CaseIterable {
        case sealed, packet, error, names, frame, replayed, tunnelPacket, returned, datagram, burst
        case answer, time, order, message, host, storage
    }

    func step() {
        switch Step(rawValue: script.byte() & 15) {
        case .sealed:
            let ecn = script.byte() & 3
            seal(script.chunk(), ecn: ecn)
        case .packet: sendPacket()
        case .error: sendError()
        case .names: sendNames()
        case .frame:
            let word = script.byte()
            seal(
                (word & 1 == 0
                    ? ControlFrame.goodbye(.other(word >> 1))
                    : .path(number: UInt64(word))).bytes
            )
        case .replayed: replay()
        case .tunnelPacket:
            let offload = script.offload()
            put(script.chunk(), from: .tunnel, Batch.Packet(offload: offload))
        case .returned: returnPacket()
        case .datagram: receiveDatagram()
        case .burst: receiveBurst()
        case .answer: answerExchange()
        case .time:
            now = now.advanced(by: script.duration())
            advance()
        case .order: order()
        case .message:
            guard let message = ControlEntry.message(ToGateway.self, script.chunk()) else { break }
            isTrusted = false
            handle(.portal(message))
        case .host: changeHost()
        case .storage:
            let bytes = script.chunk()
            readFlows(bytes)
            upgrade(damage: bytes)
        case nil: break
        }
    }

    // MARK: Client

    private static let destinations =
        proxies + [
            IPAddress(ipv4: 0x0a02_0001), gateway, IPAddress(ipv4: 0x6460_0009), real,
            IPAddress(ipv4: 0x0101_0101),
        ]

    /// A whole packet of the client to somewhere that means something.
    private func sendPacket() {
        let kind = script.byte()
        guard let destination = script.choice(Self.destinations) else { return }
        let (source, port) = (UInt16(script.byte()), script.uint16())
        let payload = script.chunk()
        let ip = IPHeader(
            from: destination.isIPv4 ? Self.client : Self.clientIPv6,
            to: destination,
            hopLimit: kind & 128 == 0 ? 64 : 1,
            trafficClass: kind >> 3 & 3,
            identification: UInt16(kind)
        )
        let ecn = kind >> 5 & 3
        switch kind & 3 {
        case 0:
            let isQuery = destination == Self.gateway && kind & 4 != 0
            let udp = UDPHeader(sourcePort: source, destinationPort: isQuery ? 53 : port)
            let body = isQuery ? Self.query(payload, RecordType(rawValue: port)) : payload
            seal(ip.packet(udp, payload: body), ecn: ecn)
        case 1:
            let flags = TCPFlags(rawValue: kind & 4 == 0 ? 2 : script.byte())
            let tcp = TCPHeader(sourcePort: source, destinationPort: port, flags: flags)
            seal(ip.packet(tcp, payload: payload), ecn: ecn)
        case 2:
            let echo = ICMPHeader.echoRequest(ip.family, identifier: source, sequence: port)
            seal(ip.packet(echo, body: payload), ecn: ecn)
        default:
            var other = ip
            other.transportProtocol = TransportProtocol(rawValue: script.byte())
            seal(other.packet(payload: payload), ecn: ecn)
        }
    }

    /// A query for the site's records of a name; what is none stands as it is.
    private static func query(_ text: [UInt8], _ type: RecordType) -> [UInt8] {
        guard let name = Name(String(decoding: text, as: UTF8.self)) else { return text }
        let edns = type.rawValue & 1 == 0 ? EDNS(isDNSSECWanted: true) : nil
        return Message(query: Question(name, type), id: type.rawValue, edns: edns).wire()
    }

    /// An ICMP error of the client about anything.
    private func sendError() {
        guard let destination = script.choice(Self.destinations) else { return }
        let ip = IPHeader(
            from: destination.isIPv4 ? Self.client : Self.clientIPv6,
            to: destination
        )
        let error = ICMPHeader(type: script.byte(), code: script.byte(), word: script.uint32())
        seal(ip.packet(error, body: script.chunk()))
    }

    private func sendNames() {
        let flags = script.byte()
        let epoch = UInt64(script.byte())
        let name = flags & 1 == 0 ? "a.test" : script.text()
        let proxies = flags & 2 == 0 ? Self.proxies : script.addresses(countMax: 16)
        if flags & 4 != 0 {
            let release = ControlFrame.Release(epoch: epoch, name: name, proxies: proxies)
            return seal(ControlFrame.release(release).bytes)
        }
        let names = ControlFrame.Names(
            epoch: epoch,
            resource: flags & 8 == 0 ? "name" : "name6",
            name: name,
            proxies: proxies
        )
        seal(ControlFrame.names(names).bytes)
    }

    private func replay() {
        let place = Int(script.uint16())
        var datagram = sealed
        if !datagram.isEmpty { datagram[place % datagram.count] ^= script.byte() }
        clientSends(datagram)
    }

    private func receiveDatagram() {
        let packet = Batch.Packet(remote: script.endpoint(), local: Self.local)
        put(script.chunk(), from: .network, packet)
    }

    /// As many datagrams as a kernel joins at most, of one sender.
    private func receiveBurst() {
        let word = Int(script.byte())
        let bytes = script.chunk()
        let packet = Batch.Packet(
            segmentByteCount: max(1, word, (bytes.count + 63) / 64),
            remote: Self.remote,
            local: Self.local
        )
        put(bytes, from: .network, packet)
    }

    // MARK: Resources

    /// What comes back for something that went out: an answer, or an error about it.
    private func returnPacket() {
        let kind = script.byte()
        guard let packet = script.choice(forwarded), let header = try? PacketHeader(packet.rawSpan)
        else { return }
        let payload = script.chunk()
        let ip = IPHeader(from: header.destination, to: header.source, trafficClass: kind)
        switch kind & 3 {
        case 0:
            let udp = UDPHeader(
                sourcePort: header.destinationPort,
                destinationPort: header.sourcePort
            )
            put(ip.packet(udp, payload: payload), from: .tunnel)
        case 1:
            let tcp = TCPHeader(
                sourcePort: header.destinationPort,
                destinationPort: header.sourcePort,
                flags: TCPFlags(rawValue: kind >> 2)
            )
            put(ip.packet(tcp, payload: payload), from: .tunnel)
        case 2:
            let echo = ICMPHeader.echoReply(
                ip.family,
                identifier: header.sourcePort,
                sequence: 1
            )
            put(ip.packet(echo, body: payload), from: .tunnel)
        default:
            let type = UInt8(header.family == .ipv4 ? 3 : 1)
            let error = ICMPHeader(type: type, code: kind >> 2, word: 1_200)
            put(ip.packet(error, body: packet), from: .tunnel)
        }
    }

    private func answerExchange() {
        guard let exchange = script.choice(exchanges) else { return }
        let bytes = NameserverAnswer.make(to: exchange.bytes, &script)
        if let bytes, let message = try? Message(bytes.rawSpan) {
            for record in message.answers + message.authorities + message.additionals {
                if let address = record.data.address { answered.insert(address) }
            }
        }
        guard let command = Gateway.command(answering: exchange.token, with: bytes) else { return }
        handle(command)
    }

    private func changeHost() {
        switch script.byte() & 7 {
        case 0: handle(.portalConnected(script.flag()))
        case 1:
            let addresses = script.addresses()
            let hosts = [Gateway.HostEntry(name: script.text(), addresses: addresses)]
            answered.formUnion(addresses)
            let servers = script.addresses().map { Endpoint($0, port: 53) }
            handle(.resolvers(servers, hosts: hosts, options: resolverOptions()))
        case 2: handle(.localAddresses(script.addresses(), port: script.uint16()))
        case 4: askByStream()
        case 5: handle(.servesStreams(script.flag()))
        default: if script.byte() == 1 { handle(.shutdown) } else { initiate() }
        }
    }

    private func resolverOptions() -> ResolverOptions {
        let word = script.byte()
        guard word != 0 else { return ResolverOptions() }
        return ResolverOptions(
            search: [script.text()],
            words: ["ndots:\(word & 3)", "timeout:\(word >> 2 & 7)", "attempts:\(word >> 5)"]
        )
    }

    /// A query on a TCP connection, of the client or of somebody else.
    private func askByStream() {
        let isOwn = script.flag()
        let type = RecordType(rawValue: script.uint16())
        let bytes = Self.query(script.chunk(), type)
        streamCount += 1
        let client = isOwn ? Self.client : script.address()
        handle(.streamQuery(id: streamCount, client: client, bytes: bytes))
    }

    /// What an older process wrote of its flows.
    private func readFlows(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes.rawSpan)
        guard let nat = try? NAT(reading: &reader, seed: 7) else { return }
        var again: [UInt8] = []
        nat.write(to: &again)
        precondition(again.count <= bytes.count, "more flows than were there")
    }
}
