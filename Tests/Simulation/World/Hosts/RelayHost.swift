internal import Bytes
internal import Control
internal import IP
internal import Relay
internal import SansIO

/// The host of a relay, on a public address: runs the core, and tells the portal of it.
final class RelayHost {
    unowned let world: World
    private let internet: Internet
    let seat: RelaySeat
    let place: Place
    let host: Internet.Host
    private(set) var machine: MachineHost<Relay>?
    private var pipes: [UInt16: StreamPipe] = [:]
    private var nextPort: UInt16 = 20_000
    private var random: RandomSource
    /// Processes so far.
    private(set) var starts = 0
    /// What the portal told last; survives nothing.
    private var welcome: ToRelay.Welcome?

    var toPortal: (FromRole) -> Void = { _ in }

    init(in world: World, _ internet: Internet, place: Place, seat: RelaySeat) {
        (self.world, self.internet, self.place, self.seat) = (world, internet, place, seat)
        host = internet.add(
            seat.id.text,
            in: place.network,
            place.addresses,
            port: Internet.relayPort
        )
        random = world.random.fork()
        host.deliver = { [unowned self] bytes, remote, local in
            guard let machine, local.port == host.port || machine.openPorts.contains(local.port)
            else { return }
            machine.receive(datagram: bytes, remote: remote, local: local)
        }
        host.onLoopback = { [unowned self] bytes, remote in
            pipes[remote.port]?.sendFromFar(bytes)
        }
        seat.channel.onOpen = { [unowned self] in greet() }
    }

    var id: RelayID { seat.id }
    var isRunning: Bool { machine != nil }

    /// Starts the process, which knows of no allocation.
    func start() {
        starts += 1
        let running = MachineHost<Relay>(
            id.text,
            Relay(configuration: configuration, random: random.fork()),
            in: world
        )
        running.onOutput = { [unowned self] in handle($0) }
        running.onDatagram = { [unowned self] bytes, remote, local in
            internet.send(bytes, from: host, local: local, to: remote)
        }
        machine = running
        seat.channel.isRoleRunning = true
        seat.channel.open()
    }

    /// From now on credentials are made from another secret.
    func changeSecret() { seat.secret = "secret \(starts) of \(id)" }

    /// Ends the process, as SIGKILL does.
    func kill(noticedAfter: Duration) {
        machine?.stop()
        (machine, welcome) = (nil, nil)
        for port in pipes.keys.sorted() { pipes[port]?.close() }
        seat.channel.isRoleRunning = false
        seat.channel.breakNow(noticedAfter: noticedAfter)
    }

    /// A connection from a host comes in; nil: nobody listens.
    func accept(from near: Internet.Host, _ bridge: Endpoint) -> StreamPipe? {
        guard let running = machine, let client = near.addresses.first else { return nil }
        nextPort = nextPort < 60_000 ? nextPort + 1 : 20_000
        let own = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: nextPort)
        let pipe = StreamPipe(internet, from: near, to: host, nearBridge: bridge, farBridge: own)
        pipes[own.port] = pipe
        let local = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: host.port)
        pipe.deliverToFar = { [weak running] in
            running?.receive(datagram: $0, remote: own, local: local)
        }
        pipe.onBreakAtFar = { [unowned self, weak running] in
            pipes[own.port] = nil
            running?.handle(.streamClosed(bridge: own))
        }
        running.handle(.streamOpened(bridge: own, client: Endpoint(client, port: bridge.port)))
        return pipe
    }

    func receive(_ message: ToRelay) {
        guard case .welcome(let welcome) = message else { return }
        self.welcome = welcome
        machine?.handle(.configure(configuration))
    }

    private var configuration: Relay.Configuration {
        var configuration = Relay.Configuration(
            realm: welcome?.realm ?? PortalHost.realm,
            secrets: welcome?.secrets ?? [],
            wallClock: Relay.WallClock(
                unixSeconds: UInt64(clamping: 1_790_000_000 + world.elapsed.components.seconds),
                at: world.now
            )
        )
        configuration.ipv4 = host.address(.ipv4).map { Relay.LentAddress($0) }
        configuration.ipv6 = host.address(.ipv6).map { Relay.LentAddress($0) }
        return configuration
    }

    private func greet() {
        toPortal(
            .relayHello(
                FromRole.RelayHello(
                    name: id.text,
                    software: "culvert/1.1",
                    udp: host.addresses.map { Endpoint($0, port: host.port) },
                    tls: host.addresses.map { Endpoint($0, port: 443) }
                )
            )
        )
    }

    private func handle(_ output: Relay.Output) {
        switch output {
        case .event(let event): world.note("\(id): \(event)")
        case .closeStream(let bridge): pipes[bridge.port]?.close()
        case .port, .finished: break
        }
    }
}
