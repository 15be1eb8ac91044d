import Bytes
import IP
import SansIO
import WireGuard

@testable import Peering

/// A NAT router: one mapping for each inside endpoint, whatever the destination.
struct Router {
    /// Who may send to a mapping.
    enum Filtering {
        /// Everybody (RFC 4787 endpoint-independent).
        case open
        /// Addresses that were sent to.
        case byAddress
    }

    var isOn = false
    var publicAddress: IPAddress
    var filtering = Filtering.open
    private var nextPort: UInt16 = 40_000
    private var outside: [Endpoint: Endpoint] = [:]
    private var inside: [Endpoint: Endpoint] = [:]
    private var sentTo: Set<IPAddress> = []

    init(_ publicAddress: IPAddress) { self.publicAddress = publicAddress }

    /// Forgets all mappings; the next ones have other ports.
    mutating func renumber() {
        outside = [:]
        inside = [:]
        sentTo = []
    }

    mutating func translateOut(_ source: Endpoint, to destination: Endpoint) -> Endpoint {
        guard isOn else { return source }
        sentTo.insert(destination.address)
        if let mapped = outside[source] { return mapped }
        let mapped = Endpoint(publicAddress, port: nextPort)
        nextPort += 1
        outside[source] = mapped
        inside[mapped] = source
        return mapped
    }

    func translateIn(_ destination: Endpoint, from source: Endpoint) -> Endpoint? {
        guard isOn else { return destination }
        if filtering == .byAddress, !sentTo.contains(source.address) { return nil }
        return inside[destination]
    }
}

/// A client's pool and a gateway's, joined by a network that loses, delays and renumbers. What
/// happens follows from the seed.
final class TwoPools {
    enum End: Int { case client, gateway }

    struct Datagram {
        var due: Instant
        var order: Int
        var to: End
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
    private var random: RandomSource
    private var flying: [Datagram] = []
    private var order = 0
    private var outbox = Outbox(byteCount: 1 << 18)
    private(set) var clientHeard: [Heard] = []
    private(set) var gatewayHeard: [Heard] = []
    private(set) var clientEvents: [(at: Instant, event: PeerEvent)] = []
    private(set) var gatewayEvents: [(at: Instant, event: PeerEvent)] = []
    private(set) var frames: [ControlFrame] = []
    /// Initiations that were sent, one for each different one.
    private(set) var initiations: Set<[UInt8]> = []
    private(set) var sentByClient: [Datagram] = []
    private(set) var sentByGateway: [Datagram] = []
    var steps = 0

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
    }

    private func launch(_ bytes: [UInt8], from end: End, _ run: Outbox.Run) {
        if bytes[0] == 1 { initiations.insert(Array(bytes.prefix(132))) }
        let hosts = end == .client ? clientHosts : gatewayHosts
        let chosen = hosts.first {
            $0.address.family == run.remote.address.family
                && (run.local == .unspecified || $0.address == run.local.address)
        }
        guard let source = chosen else { return }
        var mapped = source
        var destination = run.remote
        switch end {
        case .client: mapped = clientRouter.translateOut(source, to: destination)
        case .gateway: mapped = gatewayRouter.translateOut(source, to: destination)
        }
        let other: End = end == .client ? .gateway : .client
        let arrived =
            other == .client
            ? clientRouter.translateIn(destination, from: mapped)
            : gatewayRouter.translateIn(destination, from: mapped)
        order += 1
        var datagram = Datagram(
            due: now.advanced(by: delays[destination] ?? delays[mapped] ?? delay),
            order: order,
            to: other,
            source: mapped,
            destination: destination,
            bytes: bytes,
            ecn: run.ecn
        )
        if end == .client { sentByClient.append(datagram) } else { sentByGateway.append(datagram) }
        guard let inside = arrived else { return }
        destination = inside
        datagram.destination = inside
        let otherHosts = other == .client ? clientHosts : gatewayHosts
        guard otherHosts.contains(destination), !isCut, !blocked.contains(mapped),
            !blocked.contains(datagram.destination),
            Int.random(in: 0..<100, using: &random) >= lossPercent
        else { return }
        flying.append(datagram)
    }
}
