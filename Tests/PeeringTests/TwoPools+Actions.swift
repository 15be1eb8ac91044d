import Bytes
import IP
import STUN
import SansIO
import WireGuard

@testable import Peering

extension TwoPools {
    static let presharedKey = Key(copying: [UInt8](repeating: 7, count: 32).rawSpan)

    /// Both sides are told of each other at the same time.
    @discardableResult
    func introduce(
        clientCandidates: [Candidate] = [],
        gatewayCandidates: [Candidate] = [
            Candidate(.host, Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51830))
        ],
        speaksFrames: Bool = true
    ) -> PeerIndex? {
        tellGateway(candidates: clientCandidates, speaksFrames: speaksFrames)
        return tellClient(candidates: gatewayCandidates, speaksFrames: speaksFrames)
    }

    @discardableResult
    func tellGateway(candidates: [Candidate], speaksFrames: Bool = true) -> PeerIndex? {
        let index = gateway.upsert(
            PeerConfiguration(
                publicKey: client.publicKey,
                presharedKey: Self.presharedKey,
                candidates: candidates,
                speaksFrames: speaksFrames
            ),
            at: now,
            into: &outbox
        )
        settle(.gateway)
        return index
    }

    func tellClient(candidates: [Candidate], speaksFrames: Bool = true) -> PeerIndex? {
        upsertAtClient(
            PeerConfiguration(
                publicKey: gateway.publicKey,
                presharedKey: Self.presharedKey,
                candidates: candidates,
                speaksFrames: speaksFrames
            )
        )
    }

    func upsertAtClient(_ configuration: PeerConfiguration) -> PeerIndex? {
        let index = client.upsert(configuration, at: now, into: &outbox)
        settle(.client)
        return index
    }

    /// The client as the gateway knows it.
    var gatewayPeer: PeerIndex? { gateway.index(of: client.publicKey) }

    /// A datagram that somebody else puts on the network.
    func inject(_ bytes: [UInt8], from source: Endpoint, to end: End, ecn: UInt8 = 0) {
        order += 1
        let hosts = end == .client ? clientHosts : gatewayHosts
        deliver(
            Datagram(
                due: now,
                order: order,
                to: end,
                source: source,
                destination: hosts[0],
                bytes: bytes,
                ecn: ecn
            )
        )
    }

    /// The same bytes from many sources to the gateway.
    ///
    /// - Returns: The different sizes of what it answered.
    func flood(_ bytes: [UInt8], sources: Int) -> Set<Int> {
        var sizes: Set<Int> = []
        for number in 0..<sources {
            let source = Endpoint(IPAddress(ipv4: 0x0900_0000 + UInt32(number)), port: 2_000)
            _ = gateway.receive(
                bytes.rawSpan,
                remote: source,
                local: gatewayHosts[0],
                ecn: 0,
                at: now,
                into: &outbox
            )
            for run in 0..<outbox.runCount { sizes.insert(outbox.run(run).segmentByteCount) }
            outbox.removeAll()
        }
        return sizes
    }

    func punch() {
        guard let index = gateway.index(of: client.publicKey) else { return }
        gateway.punch(index, at: now, into: &outbox)
        settle(.gateway)
    }

    func setClientHosts(_ hosts: [Endpoint]) {
        clientHosts = hosts
        let candidates = hosts.map { Candidate(.host, $0) }
        client.setLocalCandidates(candidates, at: now, into: &outbox)
        settle(.client)
    }

    /// A UDP packet of `count` payload bytes, the first one telling which.
    static func packet(_ mark: UInt8, byteCount count: Int = 100) -> [UInt8] {
        var bytes: [UInt8] = [0x45, 0]
        bytes.append(bigEndian: UInt16(28 + count))
        bytes += [0, 0, 0, 0, 64, 17, 0, 0, 100, 64, 0, 2, 100, 96, 0, 9]
        bytes.append(bigEndian: UInt16(1000))
        bytes.append(bigEndian: UInt16(2000))
        bytes.append(bigEndian: UInt16(8 + count))
        bytes += [0, 0]
        return bytes + [mark] + [UInt8](repeating: 0xaa, count: count - 1)
    }

    @discardableResult
    func clientSends(
        _ packet: [UInt8],
        _ offload: Offload = .none,
        to index: PeerIndex
    ) -> SendOutcome {
        let outcome = client.send(packet.rawSpan, offload, to: index, at: now, into: &outbox)
        settle(.client)
        return outcome
    }

    /// Sends one packet each interval from one side, for a while.
    func flow(
        from end: End,
        to index: PeerIndex,
        every interval: Duration = .milliseconds(20),
        for time: Duration,
        mark: UInt8 = 1
    ) {
        let stop = now.advanced(by: time)
        while now < stop {
            switch end {
            case .client: clientSends(Self.packet(mark), to: index)
            case .gateway: gatewaySends(Self.packet(mark))
            }
            run(for: interval)
        }
    }

    /// When `end` first heard a packet with this mark since `start`.
    func heard(_ mark: UInt8, at end: End, since start: Instant) -> Instant? {
        let heard = end == .client ? clientHeard : gatewayHeard
        return heard.first { $0.at >= start && $0.bytes.count > 28 && $0.bytes[28] == mark }?.at
    }

    /// Connects, and lets probes settle.
    func connect() -> PeerIndex {
        guard let index = introduce() else { fatalError("there is room for one peer") }
        clientSends(Self.packet(0), to: index)
        run(for: .seconds(2))
        return index
    }

    func hasEvent(_ event: PeerEvent, since start: Instant) -> Bool {
        clientEvents.contains { $0.at >= start && $0.event == event }
    }

    @discardableResult
    func gatewaySends(_ packet: [UInt8]) -> SendOutcome {
        guard let index = gateway.index(of: client.publicKey) else { return .unknown }
        let outcome = gateway.send(packet.rawSpan, .none, to: index, at: now, into: &outbox)
        settle(.gateway)
        return outcome
    }

    @discardableResult
    func clientSends(_ frame: ControlFrame, to index: PeerIndex) -> SendOutcome {
        let outcome = client.send(frame, to: index, at: now, into: &outbox)
        settle(.client)
        return outcome
    }

    func removeClientsPeer(_ index: PeerIndex, goodbye: ControlFrame.Goodbye?) {
        client.remove(index, goodbye: goodbye, at: now, into: &outbox)
        settle(.client)
    }
}

// MARK: - Relays

extension TwoPools {
    /// The portal deals the relays to both ends.
    func dealRelays(_ dealt: [FakeRelay]? = nil) {
        dealRelays(dealt ?? relays, to: .client)
        dealRelays(dealt ?? relays, to: .gateway)
    }

    func dealRelays(_ dealt: [FakeRelay], to end: End) {
        switch end {
        case .client:
            client.setRelays(dealt.map { $0.server(for: "client") }, at: now, into: &outbox)
        case .gateway:
            gateway.setRelays(dealt.map { $0.server(for: "gateway") }, at: now, into: &outbox)
        }
        settle(end)
    }

    /// The portal deals relays with these endpoints.
    func deal(_ endpoints: [(id: String, endpoints: [Endpoint])], to end: End) {
        let servers = endpoints.map {
            TURNServer(id: $0.id, endpoints: $0.endpoints, username: "u", password: "secret")
        }
        switch end {
        case .client: client.setRelays(servers, at: now, into: &outbox)
        case .gateway: gateway.setRelays(servers, at: now, into: &outbox)
        }
        settle(end)
    }

    /// Whether the client sent anything there.
    func isSentTo(_ remote: Endpoint) -> Bool { sentByClient.contains { $0.destination == remote } }

    /// The relay, of either end, that the client's packets go through.
    func usedRelay(of index: PeerIndex) -> FakeRelay? {
        let status = client.status(of: index)
        return relays.first { $0.id == status?.relay }
            ?? relays.first { relay in status?.remote.map { relay.owns($0) } ?? false }
    }

    /// Nothing reaches the client but by its own relays, from now on.
    func forceOwnRelay(of index: PeerIndex) {
        dealRelays([], to: .gateway)
        introduceByCandidates()
        flow(from: .client, to: index, for: .seconds(32))
    }

    /// The pairs that the client has to its peer.
    func clientPaths(to index: PeerIndex) -> [Path] {
        client.peer(index)?.paths.pairs.map(\.path) ?? []
    }

    /// What a relay sends goes on its way.
    func pass(_ sent: [FakeRelay.Sent]) {
        for part in sent { route(part.bytes, from: part.source, to: part.destination, ecn: 0) }
    }

    func upsertAtGateway(_ configuration: PeerConfiguration) {
        _ = gateway.upsert(configuration, at: now, into: &outbox)
        settle(.gateway)
    }

    func setRelayStream(_ id: String, bridge: Endpoint?, at end: End) {
        switch end {
        case .client: client.setRelayStream(id, bridge: bridge, at: now, into: &outbox)
        case .gateway: gateway.setRelayStream(id, bridge: bridge, at: now, into: &outbox)
        }
        settle(end)
    }

    func setGatewayHosts(_ hosts: [Endpoint]) {
        gatewayHosts = hosts
        let candidates = hosts.map { Candidate(.host, $0) }
        gateway.setLocalCandidates(candidates, at: now, into: &outbox)
        settle(.gateway)
    }

    /// What the portal passes on: each is told of the other's candidates.
    @discardableResult
    func introduceByCandidates() -> PeerIndex? {
        introduce(
            clientCandidates: client.localCandidates,
            gatewayCandidates: gateway.localCandidates
        )
    }
}
