internal import Control
internal import DNS
internal import IP
internal import SansIO

/// What happens in a world, drawn from its seed: traffic of every kind, and faults among it.
final class Workload {
    let scene: Scene
    private let faults: Faults
    private let end: Instant
    private let hasFaults: Bool
    private(set) var streams: [Stream] = []
    private var streamCount = 0
    /// How often each kind of fault was done.
    var faultCounts: [Fault: Int] { faults.counts }

    init(_ scene: Scene, until end: Instant, hasFaults: Bool) {
        (self.scene, self.end, self.hasFaults) = (scene, end, hasFaults)
        faults = Faults(scene)
    }

    private var world: World { scene.world }

    /// Starts the hosts, and the first action a moment later.
    func begin() {
        let start = scene.calm.begin("start")
        scene.calm.heal(start, within: .seconds(5))
        scene.start()
        world.after(.seconds(3)) { [weak self] in self?.step() }
    }

    /// Starts the hosts; then one kind of fault alone, in the middle of traffic and after a rest.
    func begin(with fault: Fault) {
        let start = scene.calm.begin("start")
        scene.calm.heal(start, within: .seconds(5))
        scene.start()
        var round = 0
        while world.now.advanced(by: .seconds(10 + 400 * round)) < end {
            let begun = Duration.seconds(10 + 400 * round)
            world.after(begun) { [weak self] in
                self?.stream()
                self?.train(count: 80, gap: .milliseconds(120))
            }
            // Every other time when all has been quiet for long.
            let moment = begun + .seconds(round % 2 == 0 ? 5 : 200)
            world.after(moment) { [weak self] in
                guard let self else { return }
                faults.inflict(fault)
                train(count: 80, gap: .milliseconds(120))
            }
            round += 1
        }
    }

    private func step() {
        guard world.now < end else { return }
        act()
        let gap: Duration =
            switch Int.random(in: 0..<1000, using: &world.random) {
            case 0..<780: world.between(.milliseconds(20), .seconds(2))
            case 780..<970: world.between(.seconds(2), .seconds(10))
            case 970..<998: world.between(.seconds(40), .seconds(180))
            default: world.between(.seconds(600), .seconds(5_400))
            }
        if gap > .seconds(45) { watchIdle(gap) }
        world.after(gap) { [weak self] in self?.step() }
    }

    private func act() {
        switch Int.random(in: 0..<100, using: &world.random) {
        case 0..<46: probe(world.pick([.udp, .icmp]))
        case 46..<64: query()
        case 64..<76: stream()
        case 76..<85: train(count: 10, gap: .milliseconds(100))
        case 85..<88:
            scene.client.machine?.disturb()
            for gateway in scene.gateways { gateway.machine?.disturb() }
        case 88..<90: attack()
        default:
            guard hasFaults else { return probe(.udp) }
            faults.inflict()
            // What must be over soon is seen by packets that come soon.
            if world.chance(perTenThousand: 7000) { train(count: 40, gap: .milliseconds(150)) }
        }
    }

    /// Time passes without traffic: the hosts must sleep.
    private func watchIdle(_ gap: Duration) {
        let settled = Duration.seconds(42)
        world.after(settled) { [weak self] in
            guard let self else { return }
            let (before, start) = (wakes, world.now)
            guard isQuiet(since: start) else { return }
            world.after(gap - settled - .milliseconds(1)) { [weak self] in
                guard let self, isQuiet(since: start) else { return }
                let seconds = Int(start.duration(to: world.now).components.seconds)
                for (one, other) in zip(before, wakes) where other.count >= one.count {
                    let count = other.count - one.count
                    guard count > one.allowed(seconds) else { continue }
                    world.fail("\(one.name) woke \(count) times in \(seconds) idle seconds")
                }
            }
        }
    }

    /// Whether nothing was sent for long before `start`, nor since, and nothing is disturbed.
    private func isQuiet(since start: Instant) -> Bool {
        let active = Duration.seconds(35)
        return scene.calm.disturbance(of: nil, since: start) == nil
            && scene.applications.lastTraffic.duration(to: start) > active
    }

    private var wakes: [Wakes] {
        let (relays, gateways) = (scene.settings.relayCount, scene.gateways.count)
        let client = Wakes(
            name: "client",
            count: scene.client.machine?.wakes ?? 0,
            eachKeepalive: 12 * gateways + 8 * relays
        )
        return [client]
            + scene.gateways.map {
                Wakes(
                    name: $0.id.text,
                    count: $0.machine?.wakes ?? 0,
                    eachKeepalive: 12 + 8 * relays,
                    sweeps: 300
                )
            }
    }
}

/// How often time alone woke a host, and how often it may.
private struct Wakes {
    let name: String
    let count: Int
    /// In 25 s: the path in use and up to three in reserve to each peer, each with the deadline of
    /// its answer, and what a new session takes; each relay in two families, kept or tried again.
    let eachKeepalive: Int
    /// Flows end, and names are looked up anew, for so long after traffic: each once a second.
    var sweeps = 0

    /// - Parameter seconds: How long nobody sent anything.
    /// - Returns: The bound.
    func allowed(_ seconds: Int) -> Int {
        60 + seconds * eachKeepalive / 25 + 2 * min(seconds, sweeps)
    }
}

// MARK: - Traffic

extension Workload {
    private func target(_ transport: TransportProtocol) -> Target {
        let family = world.pick(IPFamily.allCases)
        let port: UInt16 =
            switch transport {
            case .udp: world.pick(Plan.udpPorts + [Plan.closedPort])
            case .tcp: world.pick(Plan.tcpPorts + [Plan.closedPort])
            default: 0
            }
        let place: Target.Place
        var chosen = family
        if world.chance(perTenThousand: 1500) {
            place = .address(world.pick([Plan.webAddresses[0][0], Plan.webAddresses[1][0]]))
            chosen = .ipv4
        } else {
            place = .name(world.pick(Plan.protectedNames + [Plan.web, Plan.protectedService]))
        }
        let kind = transport == .icmp ? TransportProtocol.icmp(chosen) : transport
        return Target(place: place, family: chosen, transport: kind, port: port)
    }

    /// Finds out where a target is, by a question only when the host does not know.
    private func locate(_ target: Target, _ then: @escaping (IPAddress) -> Void) {
        switch target.place {
        case .address(let address): then(address)
        case .name(let name):
            let isFresh = world.chance(perTenThousand: 3000)
            if !isFresh, let known = scene.queries.known(name, target.family) {
                return then(world.pick(known))
            }
            let type: RecordType = target.family == .ipv4 ? .a : .aaaa
            guard scene.model.isProtected(name) else { return scene.queries.ask(name, type) }
            scene.queries.ask(name, type) { addresses in
                if let first = addresses.first { then(first) }
            }
        }
    }

    private func probe(_ transport: TransportProtocol) {
        let target = target(transport)
        locate(target) { [weak self] in self?.scene.prober.send(target, to: $0) }
    }

    /// Many packets in a row.
    private func train(count: Int, gap: Duration) {
        let target = target(world.pick([.udp, .icmp]))
        locate(target) { [weak self] in self?.send(target, to: $0, count: count, gap: gap) }
    }

    private func send(_ target: Target, to address: IPAddress, count: Int, gap: Duration) {
        guard count > 0 else { return }
        scene.prober.send(target, to: address)
        world.after(gap) { [weak self] in
            self?.send(target, to: address, count: count - 1, gap: gap)
        }
    }

    private func stream() {
        let target = target(.tcp)
        let pieces = Int.random(in: 0...20, using: &world.random)
        let pause = world.between(.zero, .seconds(4))
        locate(target) { [weak self] address in
            guard let self else { return }
            streamCount += 1
            let stream = Stream(
                scene,
                number: streamCount,
                target,
                to: address,
                pieces: pieces,
                pause: pause
            )
            streams.append(stream)
            streams.removeAll { $0.finished != nil }
            stream.open()
        }
    }

    /// What somebody without a right does; none of it may be felt.
    private func attack() {
        world.note("-- an attack")
        let payload = ProbePayload(probe: ProbePayload.stranger, byteCount: 64).bytes
        let udp = UDPHeader(sourcePort: Plan.udpPorts[0], destinationPort: Plan.udpPorts[0])
        switch Int.random(in: 0..<3, using: &world.random) {
        case 0: scene.listener.replay()
        case 1:
            // A program of the host uses an address that is not the host's.
            guard let web = scene.queries.known(Plan.web, .ipv4)?.first else { return }
            let source = Plan.clientTunnel[0].advanced(by: 5)
            scene.client.send(IPHeader(from: source, to: web).packet(udp, payload: payload))
        default:
            // A host of the site reaches for the client.
            let ip = IPHeader(from: Plan.webAddresses[0][0], to: Plan.clientTunnel[0])
            for gateway in scene.gateways {
                gateway.machine?.receive(packet: ip.packet(udp, payload: payload))
            }
        }
    }

    private static let otherTypes: [RecordType] = [
        .mx, .txt, .srv, .ns, .caa, .soa, .naptr, .svcb, .any,
    ]

    private func query() {
        let names = Plan.protectedNames + Plan.otherNames
        let name = world.pick(names)
        switch Int.random(in: 0..<10, using: &world.random) {
        case 0..<3: scene.queries.ask(name, .a)
        case 3..<5: scene.queries.ask(name, .aaaa)
        case 5: scene.queries.ask(name, .https)
        case 6..<9: scene.queries.ask(name, world.pick(Self.otherTypes))
        default:
            guard let proxy = scene.queries.known(Plan.web, .ipv4)?.first else { return }
            scene.queries.ask(Name(reverse: proxy), .ptr)
        }
    }
}
