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
    var order = 0
    var outbox = Outbox(byteCount: 1 << 18)
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

    func deliver(_ datagram: Datagram) {
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
    func settle(_ end: End) {
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
    func route(
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
