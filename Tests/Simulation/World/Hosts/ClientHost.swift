internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import SansIO
internal import WireGuard

/// The host of the client: runs the core, keeps its names log, and gives its packets to the
/// applications.
final class ClientHost {
    unowned let world: World
    private let internet: Internet
    /// Where it can be; it is in one of them.
    let places: [Place]
    private var placeNumber = 0
    let host: Internet.Host
    let channel: ControlChannel
    private(set) var machine: MachineHost<Client>?
    /// The names log on the disk.
    private(set) var names: [UInt8] = []
    private(set) var configuration: Client.HostConfiguration?
    /// Processes so far.
    private(set) var starts = 0
    /// The nameservers of the networks.
    private let resolvers: [Endpoint]
    /// Those that the host uses now, in order.
    private(set) var ownResolvers: [Endpoint]
    /// The resources that the running process was told of.
    private(set) var resources: [ResourceForClient] = []
    /// Mistakes, made on purpose.
    var keepsResolvers = false
    var asksOutside = false
    var losesPieces = false
    /// A mistake, made on purpose.
    var skipsDeadlines = false
    let bridges: RelayBridges
    private var random: RandomSource

    var onPacket: ([UInt8]) -> Void = { _ in }
    var onSend: () -> Void = {}
    var onEvent: (Client.Event) -> Void = { _ in }
    var onExchange: (Exchange, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
    var onForward: (UpstreamQuery, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
    var toPortal: (FromRole) -> Void = { _ in }

    init(
        in world: World,
        _ internet: Internet,
        places: [Place],
        channel: ControlChannel,
        resolvers: [Endpoint]
    ) {
        (self.world, self.internet, self.places) = (world, internet, places)
        (self.channel, self.resolvers) = (channel, resolvers)
        ownResolvers = [resolvers[0]]
        host = internet.add("client", in: places[0].network, places[0].addresses, port: 51_820)
        bridges = RelayBridges(internet, host)
        random = world.random.fork()
        bridges.deliver = { [unowned self] bytes, remote, local in
            machine?.receive(datagram: bytes, remote: remote, local: local)
        }
        bridges.tell = { [unowned self] relay, bridge in
            machine?.handle(.relayStream(relay, bridge: bridge))
        }
        host.deliver = { [unowned self] bytes, remote, local in
            machine?.receive(datagram: bytes, remote: remote, local: local)
        }
        channel.onOpen = { [unowned self] in greet() }
        channel.onBreakAtRole = { [unowned self] in machine?.handle(.portalConnected(false)) }
    }

    /// Where it is.
    var place: Place { places[placeNumber] }

    /// Starts the process with what is on the disk.
    func start() {
        starts += 1
        let wall = WallStart(
            unixNanoseconds: 1_790_000_000_000_000_000 + world.now.nanoseconds,
            at: world.now
        )
        let running = MachineHost<Client>(
            "client",
            Client(wallClock: wall, random: random.fork(), names: names),
            in: world
        )
        running.onOutput = { [unowned self, unowned running] in handle($0, of: running) }
        running.onDatagram = { [unowned self] bytes, remote, local in
            internet.send(bytes, from: host, local: local, to: remote)
        }
        running.onPacket = { [unowned self] packet in
            world.after(.zero) { [self] in onPacket(packet) }
        }
        running.skipsDeadlines = skipsDeadlines
        machine = running
        (configuration, resources) = (nil, [])
        channel.isRoleRunning = true
        tellAddresses()
        running.handle(.hostResolvers(ownResolvers))
        channel.open()
    }

    /// Ends the process, as SIGKILL does.
    func kill() {
        machine?.stop()
        machine = nil
        bridges.closeAll()
        channel.isRoleRunning = false
        channel.breakNow()
    }

    /// Goes to the next network; the core is told after `pause`.
    func roam() {
        placeNumber = (placeNumber + 1) % places.count
        internet.move(host, to: place.network, place.addresses)
    }

    /// The host is given other nameservers: one of them, or both.
    func changeResolvers() {
        let reversed = Array(resolvers.reversed())
        let choices = [[resolvers[0]], [resolvers[1]], resolvers, reversed]
        ownResolvers = world.pick(choices.filter { $0 != ownResolvers })
        if !keepsResolvers { machine?.handle(.hostResolvers(ownResolvers)) }
    }

    /// The host's addresses are others than before.
    func tellAddresses() {
        machine?.handle(.localAddresses(host.addresses, port: host.port))
    }

    /// A packet of an application that is larger than the tunnel device, in any order.
    func send(pieces: [[UInt8]]) {
        for (number, piece) in pieces.enumerated() where !losesPieces || number != 1 { send(piece) }
    }

    /// A packet of an application.
    func send(_ packet: [UInt8], _ offload: Offload = .none) {
        onSend()
        machine?.receive(packet: packet, offload)
    }

    func receive(_ message: ToClient) {
        guard let machine, !machine.isSuspended else { return }
        switch message {
        case .welcome(let welcome): resources = welcome.resources
        case .changes(let changes): for change in changes.changes { take(change) }
        default: break
        }
        machine.handle(.portal(message))
    }

    private func take(_ change: ChangeForClient) {
        switch change {
        case .resource(let resource):
            resources.removeAll { $0.id == resource.id }
            resources.append(resource)
        case .resourceRemoved(let id): resources.removeAll { $0.id == id }
        default: break
        }
    }

    /// Whether the running process was told that a name is protected.
    func knows(_ name: Name) -> Bool { resources.contains { Plan.covers($0.id, name) } }

    private func greet() {
        guard let machine else { return }
        let hello = machine.machine.hello(name: "laptop", software: "culvert/1.1", os: "linux")
        toPortal(.hello(hello))
        machine.handle(.portalConnected(true))
    }

    private func handle(_ output: Client.Output, of running: MachineHost<Client>) {
        switch output {
        case .toPortal(let message): if channel.isOpen { toPortal(message) }
        case .exchange(let exchange):
            onExchange(exchange) { [weak running] bytes in
                running?.handle(.exchangeAnswered(token: exchange.token, bytes: bytes))
            }
        case .persist(let record): names += record.bytes
        case .replaceNames(let bytes): names = bytes
        case .configure(let configuration): configure(configuration)
        case .connectRelay(let relay): bridges.connect(relay)
        case .disconnectRelay(let relay): bridges.disconnect(relay)
        case .event(let event):
            world.note("client: \(event)")
            world.after(.zero) { [self] in onEvent(event) }
        case .forward(let query): forward(query, of: running)
        case .port, .streamAnswer, .finished: break
        }
    }

    private func configure(_ new: Client.HostConfiguration) {
        let old = Set(configuration?.sentinels ?? [])
        if Set(new.sentinels) != old, !old.isDisjoint(with: new.sentinels) {
            world.fail("the host cannot see that its nameservers are others: \(new.sentinels)")
        }
        configuration = new
    }

    /// A question for the kernel's own sockets.
    private func forward(_ query: UpstreamQuery, of running: MachineHost<Client>) {
        let reply: ([UInt8]?) -> Void = { [weak running] bytes in
            running?.handle(.exchangeAnswered(token: query.token, bytes: bytes))
        }
        world.after(.zero) { [self] in
            guard asksOutside else { return onForward(query, reply) }
            let exchange = Exchange(
                token: query.token,
                server: ownResolvers[0],
                bytes: query.bytes
            )
            onExchange(exchange, reply)
        }
    }
}
