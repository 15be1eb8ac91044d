internal import Bytes
internal import IP
internal import Relay
internal import STUN
internal import SansIO

/// The whole relay between clients with and without credentials, peers, a host and a portal, all of
/// which the input plays. Nothing may trap; nothing is sent to a peer that is refused or that no
/// client with credentials named; nobody without credentials gets more than he sent; when all are
/// silent nothing is left.
final class RelayPlay {
    static let start = Instant(nanoseconds: 3_000_000_000_000)
    static let unixStart: UInt64 = 1_800_000_000
    static let main = Endpoint(IPAddress(ipv4: 0xc633_6401), port: 3_478)
    static let mainIPv6 = Endpoint(IPAddress(high: 0x2001_0db8_0001_0000, low: 1), port: 3_478)
    static let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: 40_000)
    static let secret = SharedSecret("s")
    /// Two clients with credentials, and one behind a bridge.
    static let places = [
        Endpoint(IPAddress(ipv4: 0xc000_0209), port: 5_000),
        Endpoint(IPAddress(high: 0x2001_0db8_0009_0000, low: 9), port: 5_000), bridge,
    ]
    /// No peer has one of these unless the configuration says so.
    static let refused = [
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
        "100.64.0.0/10", "224.0.0.0/4", "0.0.0.0/8", "fc00::/7", "fe80::/10", "ff00::/8", "::/96",
    ].compactMap { IPPrefix($0) }

    var script: Script
    var relay: Relay
    var configuration: Relay.Configuration
    var now = start
    var outbox = Outbox(byteCount: 1 << 17)
    var batch = Batch(byteCount: 1 << 16)
    var nonces: [[UInt8]] = [[], [], []]
    var transactions: UInt64 = 0
    /// The last datagram of a client.
    var last: [UInt8] = []

    /// Ports that the host has open, and those that it was asked for and did not answer yet.
    var ports: Set<UInt16> = []
    var asked: [UInt16] = []
    var answersAtOnce = true
    /// Ports that were lent at some time, in their order.
    var lent: [UInt16] = []
    var streams: [Endpoint] = []
    var isStopping = false

    /// Addresses that a request with credentials named as peers.
    var named: Set<IPAddress> = []
    /// Whoever sent something to the main port.
    var heard: Set<Endpoint> = []
    /// Bytes of strangers, by address (IPv6: by /64): received less sent.
    var accounts: [IPAddress: Int] = [:]
    /// Addresses that sent something with good credentials.
    var trusted: Set<IPAddress> = [bridge.address]

    static func run(_ input: [UInt8]) { RelayPlay(Script(input)).run() }

    private init(_ script: Script) {
        self.script = script
        let flags = self.script.byte()
        configuration = Relay.Configuration(
            secrets: ["s"],
            wallClock: Relay.WallClock(unixSeconds: Self.unixStart, at: Self.start),
            ports: flags & 8 == 0 ? 49_152...65_535 : 50_000...50_003,
            ipv4: flags & 1 == 0 ? Relay.LentAddress(Self.main.address) : nil,
            ipv6: flags & 2 == 0 ? Relay.LentAddress(Self.mainIPv6.address) : nil
        )
        if flags & 16 != 0 {
            configuration.quotas.bytesPerSecond = 70_000
            configuration.quotas.packetsPerSecond = 5
        }
        relay = Relay(configuration: configuration, random: RandomSource(seed: 8))
        trusted.formUnion(Self.places.map { Self.site(of: $0) })
        guard flags & 4 == 0 else { return }
        openStream(Self.bridge)
        for index in Self.places.indices { allocate(index) }
    }

    private func run() {
        for _ in 0..<Script.Limits.steps where !script.isAtEnd { step() }
        let status = relay.status(at: now)
        precondition(status.allocations.count <= 8, "more allocations than clients")
        precondition(status.permissions <= 8 * 512, "more permissions than were asked for")
        // All are silent, the host answers what it was asked.
        answersAtOnce = true
        while let port = asked.popLast() { answer(port, isOpen: true) }
        pass(.seconds(4_000))
        let rest = relay.status(at: now)
        precondition(relay.allocationCount == 0 && ports.isEmpty, "an allocation that never ends")
        precondition(rest.permissions == 0 && rest.channels == 0, "peers without allocation")
        precondition(rest.credentials == 0 && rest.streams == 0, "something is left")
    }

    /// From deadline to deadline: time must pass between them.
    func pass(_ duration: Duration) {
        let end = now.advanced(by: duration)
        var idle = 0
        while let next = relay.nextDeadline, next <= end {
            idle = next <= now ? idle + 1 : 0
            precondition(idle < 100, "a deadline that is due again and again")
            now = max(now, next)
            relay.advance(to: now, into: &outbox)
            settle()
        }
        now = max(now, end)
    }

    func handle(_ command: Relay.Command) {
        relay.handle(command, at: now, into: &outbox)
        settle()
    }

    func openStream(_ bridge: Endpoint) {
        if !streams.contains(bridge) { streams.append(bridge) }
        trusted.insert(Self.places[0].address)
        handle(.streamOpened(bridge: bridge, client: Self.places[0]))
    }

    /// One entry of a batch; with an empty outbox it must be taken.
    func put(_ bytes: [UInt8], _ packet: Batch.Packet) {
        if packet.local.port == Self.main.port {
            heard.insert(packet.remote)
            accounts[Self.site(of: packet.remote), default: 4_096] += bytes.count
        }
        batch.hold(bytes, packet)
        if relay.receive(batch, from: .network, at: now, into: &outbox) == 0 {
            settle()
            let taken = relay.receive(batch, from: .network, at: now, into: &outbox)
            precondition(taken == 1, "an entry that is never taken")
        }
        settle()
    }

    /// What one account of the relay stands for.
    static func site(of endpoint: Endpoint) -> IPAddress {
        endpoint.address.isIPv4 ? endpoint.address : IPAddress(high: endpoint.high, low: 0)
    }

    // MARK: What the relay put out

    func settle() {
        while let output = relay.pollOutput() {
            switch output {
            case .port(.open(let port, ipv4: let ipv4, ipv6: let ipv6)):
                precondition(ipv4 || ipv6, "a port of no family")
                precondition(!ports.contains(port) && !asked.contains(port), "a port twice")
                if answersAtOnce { answer(port, isOpen: true) } else { asked.append(port) }
            case .port(.close(let port)): ports.remove(port)
            case .closeStream(let bridge): streams.removeAll { $0 == bridge }
            case .event: break
            case .finished: isStopping = true
            }
        }
        for index in 0..<outbox.runCount { check(outbox.run(index)) }
        outbox.removeAll()
    }

    func answer(_ port: UInt16, isOpen: Bool) {
        if isOpen {
            ports.insert(port)
            lent.append(port)
        }
        guard let command = Relay.command(port: port, isOpen: isOpen) else { return }
        relay.handle(command, at: now, into: &outbox)
    }

    private func check(_ run: Outbox.Run) {
        guard run.local.port != 0 else {
            precondition(heard.contains(run.remote), "sent to somebody who never came")
            return pay(run)
        }
        let peer = run.remote.address
        precondition(ports.contains(run.local.port), "sent from a port that is not open")
        precondition(named.contains(peer), "sent to a peer that nobody named")
        let isAllowed = configuration.allowedPeers.contains { $0.contains(peer) }
        let isRefused = Self.refused.contains { $0.contains(peer) }
        precondition(isAllowed || !isRefused, "sent to a refused peer")
        precondition(peer != Self.main.address && peer != Self.mainIPv6.address, "sent to itself")
    }

    private func pay(_ run: Outbox.Run) {
        let site = Self.site(of: run.remote)
        guard !trusted.contains(site) else { return }
        let credit = accounts[site, default: 4_096] - run.range.count
        accounts[site] = credit
        let byTime = 4 * (Self.start.duration(to: now).components.seconds + 1)
        precondition(Int64(credit) + byTime >= 0, "a stranger got more than he sent")
    }
}
