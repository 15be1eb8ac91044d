internal import Bytes
internal import IP
internal import Relay
internal import STUN
internal import SansIO

extension RelayPlay {
    /// What the script can do; its number is what a step begins with.
    enum Step: UInt8, CaseIterable {
        case request, signed, datagram, stranger, channel, indication, data, burst
        case time, host, stream, order, replayed, shutdown
    }

    func step() {
        switch Step(rawValue: script.byte() & 15) {
        case .request: sendRequest()
        case .signed: sendSigned()
        case .datagram: clientSends(Int(script.byte()), script.chunk())
        case .stranger:
            let remote = script.endpoint()
            put(script.chunk(), Batch.Packet(remote: remote, local: Self.main))
        case .channel:
            let (client, number) = (Int(script.byte()), UInt16(script.byte() & 3))
            let data = script.chunk()
            var bytes: [UInt8] = []
            bytes.append(bigEndian: 0x4000 + number)
            bytes.append(bigEndian: UInt16(data.count))
            clientSends(client, bytes + data, ecn: UInt8(number))
        case .indication:
            let client = Int(script.byte())
            var writer = STUNWriter(.indication, .send, transaction())
            writer.append(.xorPeerAddress, peer())
            writer.append(.data, script.chunk())
            clientSends(client, writer.bytes)
        case .data: receiveData()
        case .burst: sendBurst()
        case .time: pass(script.duration())
        case .host: answerHost()
        case .stream: changeStream()
        case .order: order()
        case .replayed:
            let (client, place) = (Int(script.byte()), Int(script.uint16()))
            var datagram = last
            if !datagram.isEmpty { datagram[place % datagram.count] ^= script.byte() }
            clientSends(client, datagram)
        case .shutdown:
            guard script.byte() == 1 else { break }
            handle(.shutdown)
            streams.removeAll()
        case nil: break
        }
    }

    // MARK: Clients

    func clientSends(_ client: Int, _ bytes: [UInt8], ecn: UInt8 = 0) {
        let place = Self.places[client % Self.places.count]
        last = bytes
        let local = place.address.isIPv4 ? Self.main : Self.mainIPv6
        put(bytes, Batch.Packet(remote: place, local: local, ecn: ecn & 3))
    }

    func transaction() -> TransactionID {
        transactions += 1
        return TransactionID(high: 7, low: transactions)
    }

    /// A peer: one that means something, or any.
    private func peer() -> Endpoint {
        switch script.byte() & 7 {
        case 0: Endpoint(IPAddress(ipv4: 0x0808_0808), port: 9)
        case 1: Endpoint(IPAddress(high: 0x2a00 << 48, low: 1), port: 9)
        case 2: Endpoint(Self.main.address, port: script.choice(lent) ?? 22)
        case 3: Endpoint(Self.mainIPv6.address, port: script.choice(lent) ?? 22)
        case 4: Endpoint(IPAddress(ipv4: 0x0a00_0001), port: 9)
        case 5: Self.main
        default: script.endpoint()
        }
    }

    func allocate(_ client: Int) {
        var writer = STUNWriter(.request, .allocate, transaction())
        writer.append(requestedTransport: 17)
        writer.append(.additionalAddressFamily, IPFamily.ipv6)
        sendSigned(writer, client)
    }

    /// A request as clients make them, with credentials.
    private func sendRequest() {
        let (kind, client) = (script.byte(), Int(script.byte()))
        let methods: [STUNMethod] = [.allocate, .refresh, .createPermission, .channelBind]
        var writer = STUNWriter(.request, methods[Int(kind & 3)], transaction())
        switch kind & 3 {
        case 0:
            writer.append(requestedTransport: 17)
            if kind & 4 != 0 { writer.append(.additionalAddressFamily, IPFamily.ipv6) }
            if kind & 8 != 0 { writer.append(.evenPort, [script.byte()]) }
        case 1:
            if kind & 4 != 0 { writer.append(.lifetime, UInt32(script.uint16())) }
            if kind & 8 != 0 { writer.append(.requestedAddressFamily, IPFamily.ipv6) }
        case 2:
            for _ in 0...kind >> 6 { writer.append(.xorPeerAddress, name(peer())) }
        default:
            writer.append(channel: 0x4000 + UInt16(kind >> 4 & 3))
            writer.append(.xorPeerAddress, name(peer()))
        }
        sendSigned(writer, client)
    }

    /// Any method and any attributes, with credentials.
    private func sendSigned() {
        let client = Int(script.byte())
        let method = STUNMethod(rawValue: UInt16(script.byte()))
        var writer = STUNWriter(.request, method, transaction())
        for _ in 0..<script.byte() & 7 {
            let type = STUNAttributeType(rawValue: script.uint16())
            let value = script.chunk()
            writer.append(type, value)
        }
        if let message = try? STUNMessage(writer.bytes.rawSpan) {
            named.formUnion(message.peerAddresses.map(\.address))
        }
        sendSigned(writer, client)
    }

    private func name(_ peer: Endpoint) -> Endpoint {
        named.insert(peer.address)
        return peer
    }

    private func sendSigned(_ request: STUNWriter, _ client: Int) {
        let client = client % Self.places.count
        if nonces[client].isEmpty { takeNonce(client) }
        let until = Self.unixStart + 100_000
        let credentials = Self.secret.credentials(for: "c\(client & 1)", until: until)
        var writer = request
        writer.append(.username, credentials.username)
        writer.append(.realm, configuration.realm)
        writer.append(.nonce, nonces[client])
        let key = credentials.key(realm: configuration.realm, .md5) ?? []
        writer.seal(.sha1, key: key.rawSpan)
        clientSends(client, writer.bytes)
    }

    /// A 401, and the nonce in it.
    private func takeNonce(_ client: Int) {
        let place = Self.places[client]
        let request = STUNWriter(.request, .refresh, transaction()).bytes
        let local = place.address.isIPv4 ? Self.main : Self.mainIPv6
        heard.insert(place)
        batch.hold(request, Batch.Packet(remote: place, local: local))
        _ = relay.receive(batch, from: .network, at: now, into: &outbox)
        for index in 0..<outbox.runCount {
            let answer = outbox.bytes(ofRun: index)
            if let message = try? STUNMessage(answer), let nonce = message.array(.nonce) {
                nonces[client] = nonce
            }
        }
        settle()
    }

    private func sendBurst() {
        let (client, word) = (Int(script.byte()), Int(script.byte()))
        let bytes = script.chunk()
        let place = Self.places[client % Self.places.count]
        let packet = Batch.Packet(
            segmentByteCount: max(1, word, (bytes.count + 63) / 64),
            remote: place,
            local: place.address.isIPv4 ? Self.main : Self.mainIPv6
        )
        put(bytes, packet)
    }

    // MARK: Peers and host

    private func receiveData() {
        let port = script.choice(lent) ?? script.uint16()
        let remote = peer()
        let address = remote.address.isIPv4 ? Self.main.address : Self.mainIPv6.address
        let word = script.byte()
        let bytes = script.chunk()
        // The main port has its own steps.
        guard port != Self.main.port else { return }
        let packet = Batch.Packet(
            segmentByteCount: word == 0 ? 0 : max(Int(word), (bytes.count + 63) / 64),
            remote: remote,
            local: Endpoint(address, port: port),
            ecn: word & 3
        )
        put(bytes, packet)
    }

    private func answerHost() {
        let word = script.byte()
        if word & 1 != 0 { answersAtOnce = word & 2 != 0 }
        guard word & 4 != 0, let port = asked.popLast() else {
            // What nobody asked, or an open port that breaks.
            let port = script.choice(lent) ?? script.uint16()
            guard !asked.contains(port) else { return }
            ports.remove(port)
            return handle(.portRefused(port))
        }
        answer(port, isOpen: word & 8 == 0)
        settle()
    }

    private func changeStream() {
        let word = script.byte()
        var bridge = Self.bridge
        bridge.port += UInt16(word >> 4)
        if word & 1 == 0 { return openStream(bridge) }
        streams.removeAll { $0 == bridge }
        handle(.streamClosed(bridge: bridge))
    }

    private func order() {
        let word = script.byte()
        switch word & 7 {
        case 0: configuration.allowedPeers = [IPPrefix("10.0.0.0/8")].compactMap(\.self)
        case 1: configuration.allowedPeers = []
        case 2: configuration.secrets = word & 8 == 0 ? ["t", "s"] : ["t"]
        case 3: configuration.quotas.allocations = Int(word >> 3)
        case 4: configuration.ports = 50_000...50_000 + UInt16(word >> 3)
        case 5: configuration.ipv4 = word & 8 == 0 ? Relay.LentAddress(Self.main.address) : nil
        case 6:
            configuration.wallClock = Relay.WallClock(
                unixSeconds: Self.unixStart + UInt64(script.uint32()),
                at: now
            )
        default: configuration.quotas.packetsPerSecond = word & 8 == 0 ? nil : Int(word)
        }
        handle(.configure(configuration))
    }
}
