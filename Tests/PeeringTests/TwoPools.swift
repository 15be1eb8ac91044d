import Bytes
import IP
import STUN
import SansIO
import WireGuard

@testable import Peering

/// A client's pool and a gateway's, joined by a network that loses, delays and renumbers. What
/// happens follows from the seed.
final class TwoPools {
    enum End: Int { case client, gateway }

    struct Datagram {
        var due: Instant
        var order: Int
        var to: End
        /// The relay that it goes to instead.
        var relay: Int?
        var source: Endpoint
        var destination: Endpoint
        var bytes: [UInt8]
        var ecn: UInt8
    }

    struct Heard: Equatable {
        var at: Instant
        var bytes: [UInt8]
    }

    var client: PeerPool
    var gateway: PeerPool
    var now = Instant(nanoseconds: 1_000_000_000)
    var clientHosts = [Endpoint("10.0.0.2:5000"), Endpoint("[fd99::2]:5000")].compactMap { $0 }
    var gatewayHosts = [Endpoint("203.0.113.5:51830")].compactMap { $0 }
    var clientRouter = Router(IPAddress(ipv4: 0xc633_6401))
    var gatewayRouter = Router(IPAddress(ipv4: 0xcb00_7132))
    var lossPercent = 0
    var delay: Duration = .milliseconds(10)
    /// Delay of datagrams to or from an endpoint of the gateway, where it is another.
    var delays: [Endpoint: Duration] = [:]
    /// Datagrams to or from this endpoint are lost.
    var blocked: Set<Endpoint> = []
    var isCut = false
    var relays: [FakeRelay] = []
    /// Whether the client's network lets nothing through but from and to relays.
    var isOnlyByRelay = false
    /// Datagrams of each run that the last end sent.
    private(set) var lastRunCounts: [Int] = []
    /// Delay of datagrams to or from a relay, where it is another.
    var relayDelays: [String: Duration] = [:]
    private var random: RandomSource
    private var flying: [Datagram] = []
    private var order = 0
    private var outbox = Outbox(byteCount: 1 << 18)
    private(set) var clientHeard: [Heard] = []
    private(set) var gatewayHeard: [Heard] = []
    private(set) var clientEvents: [(at: Instant, event: PeerEvent)] = []
    private(set) var gatewayEvents: [(at: Instant, event: PeerEvent)] = []
    private(set) var clientRelayEvents: [(at: Instant, event: RelayEvent)] = []
    private(set) var gatewayRelayEvents: [(at: Instant, event: RelayEvent)] = []
    private(set) var frames: [ControlFrame] = []
    /// Initiations that were sent, one for each different one.
    private(set) var initiations: Set<[UInt8]> = []
    private(set) var sentByClient: [Datagram] = []
    private(set) var sentByGateway: [Datagram] = []
    var steps = 0
    /// How often each end was due.
    private(set) var clientWakes = 0
    private(set) var gatewayWakes = 0

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        let wall = WallStart(unixNanoseconds: 1_800_000_000_000_000_000, at: now)
        client = PeerPool(role: .client, wallClock: wall, random: random.fork())
        gateway = PeerPool(role: .gateway, wallClock: wall, random: random.fork())
    }

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

    /// Runs until `limit` later, from deadline to deadline and no finer.
    func run(for limit: Duration) {
        let end = now.advanced(by: limit)
        for _ in 0..<200_000 {
            let next = [flying.map(\.due).min(), client.nextDeadline, gateway.nextDeadline]
                .compactMap { $0 }.min()
            guard let next, next <= end else { break }
            steps += 1
            now = max(now, next)
            if client.nextDeadline.map({ $0 <= now }) ?? false { clientWakes += 1 }
            if gateway.nextDeadline.map({ $0 <= now }) ?? false { gatewayWakes += 1 }
            client.advance(to: now, into: &outbox)
            settle(.client)
            gateway.advance(to: now, into: &outbox)
            settle(.gateway)
            deliver()
        }
        now = end
    }

    private func deliver() {
        let due = flying.filter { $0.due <= now }.sorted { ($0.due, $0.order) < ($1.due, $1.order) }
        flying.removeAll { $0.due <= now }
        for datagram in due { deliver(datagram) }
    }

    private func deliver(_ datagram: Datagram) {
        if let relay = datagram.relay {
            let sent = relays[relay].receive(
                datagram.bytes,
                from: datagram.source,
                to: datagram.destination
            )
            for part in sent {
                route(part.bytes, from: part.source, to: part.destination, ecn: datagram.ecn)
            }
            return
        }
        let span = datagram.bytes.rawSpan
        let received: Received
        switch datagram.to {
        case .client:
            received = client.receive(
                span,
                remote: datagram.source,
                local: datagram.destination,
                ecn: datagram.ecn,
                at: now,
                into: &outbox
            )
        case .gateway:
            received = gateway.receive(
                span,
                remote: datagram.source,
                local: datagram.destination,
                ecn: datagram.ecn,
                at: now,
                into: &outbox
            )
        }
        switch received {
        case .nothing: break
        case .packet(_, let byteCount):
            let bytes = outbox.peekReservedTunnelBytes().extracting(0..<byteCount).array
            let heard = Heard(at: now, bytes: bytes)
            if datagram.to == .client {
                clientHeard.append(heard)
            } else {
                gatewayHeard.append(heard)
            }
        case .frame(_, let frame): frames.append(frame)
        }
        settle(datagram.to)
    }

    /// Puts what `end` sends on the network, and notes its events.
    private func settle(_ end: End) {
        lastRunCounts = (0..<outbox.runCount).map { outbox.run($0).count }
        for run in 0..<outbox.runCount {
            let info = outbox.run(run)
            let bytes = outbox.bytes(ofRun: run).array
            for start in stride(from: 0, to: bytes.count, by: max(1, info.segmentByteCount)) {
                let part = Array(bytes[start..<min(start + info.segmentByteCount, bytes.count)])
                launch(part, from: end, info)
            }
        }
        outbox.removeAll()
        while let event = client.pollEvent() { clientEvents.append((now, event)) }
        while let event = gateway.pollEvent() { gatewayEvents.append((now, event)) }
        while let event = client.pollRelayEvent() { clientRelayEvents.append((now, event)) }
        while let event = gateway.pollRelayEvent() { gatewayRelayEvents.append((now, event)) }
    }

    private func launch(_ bytes: [UInt8], from end: End, _ run: Outbox.Run) {
        if bytes[0] == 1 { initiations.insert(Array(bytes.prefix(132))) }
        order += 1
        let hosts = end == .client ? clientHosts : gatewayHosts
        let chosen = hosts.first {
            $0.address.family == run.remote.address.family
                && (run.local == .unspecified || $0.address == run.local.address)
        }
        guard let source = chosen else { return }
        let mapped =
            switch end {
            case .client: clientRouter.translateOut(source, to: run.remote)
            case .gateway: gatewayRouter.translateOut(source, to: run.remote)
            }
        let sent = Datagram(
            due: now.advanced(by: delays[run.remote] ?? delays[mapped] ?? delay),
            order: order,
            to: end == .client ? .gateway : .client,
            source: mapped,
            destination: run.remote,
            bytes: bytes,
            ecn: run.ecn
        )
        if end == .client { sentByClient.append(sent) } else { sentByGateway.append(sent) }
        route(bytes, from: mapped, to: run.remote, ecn: run.ecn)
    }

    /// Puts a datagram with public addresses on its way, unless it is lost.
    private func route(
        _ bytes: [UInt8],
        from source: Endpoint,
        to destination: Endpoint,
        ecn: UInt8
    ) {
        order += 1
        let between = relays.first { $0.owns(destination) || $0.owns(source) }
        let passing = between.flatMap { relayDelays[$0.id] }
        var datagram = Datagram(
            due: now.advanced(by: passing ?? delays[destination] ?? delays[source] ?? delay),
            order: order,
            to: .client,
            relay: relays.firstIndex { $0.owns(destination) },
            source: source,
            destination: destination,
            bytes: bytes,
            ecn: ecn
        )
        guard !isCut, !blocked.contains(source) else { return }
        if isOnlyByRelay, !relays.contains(where: { $0.owns(source) || $0.owns(destination) }) {
            return
        }
        if datagram.relay == nil {
            guard let (end, inside) = place(of: destination, from: source) else { return }
            (datagram.to, datagram.destination) = (end, inside)
        }
        guard !blocked.contains(datagram.destination),
            Int.random(in: 0..<100, using: &random) >= lossPercent
        else { return }
        flying.append(datagram)
    }

    /// Whose public endpoint it is, and what stands behind it.
    private func place(of destination: Endpoint, from source: Endpoint) -> (End, Endpoint)? {
        for end in [End.gateway, .client] {
            let router = end == .client ? clientRouter : gatewayRouter
            let hosts = end == .client ? clientHosts : gatewayHosts
            guard let inside = router.translateIn(destination, from: source),
                hosts.contains(inside)
            else { continue }
            return (end, inside)
        }
        return nil
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
