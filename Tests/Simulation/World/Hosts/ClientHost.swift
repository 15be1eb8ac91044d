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
    private let resolvers: [Endpoint]
    private var resolverNumber = 0
    /// A mistake, made on purpose.
    var skipsDeadlines = false
    let bridges: RelayBridges
    private var random: RandomSource

    var onPacket: ([UInt8]) -> Void = { _ in }
    var onSend: () -> Void = {}
    var onEvent: (Client.Event) -> Void = { _ in }
    var onExchange: (Exchange, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
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
        configuration = nil
        channel.isRoleRunning = true
        tellAddresses()
        running.handle(.hostResolvers([resolvers[resolverNumber]]))
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

    /// The host is given another nameserver.
    func changeResolver() {
        resolverNumber = (resolverNumber + 1) % resolvers.count
        machine?.handle(.hostResolvers([resolvers[resolverNumber]]))
    }

    /// The host's addresses are others than before.
    func tellAddresses() {
        machine?.handle(.localAddresses(host.addresses, port: host.port))
    }

    /// A packet of an application.
    func send(_ packet: [UInt8], _ offload: Offload = .none) {
        onSend()
        machine?.receive(packet: packet, offload)
    }

    func receive(_ message: ToClient) { machine?.handle(.portal(message)) }

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
        case .configure(let configuration): self.configuration = configuration
        case .connectRelay(let relay): bridges.connect(relay)
        case .disconnectRelay(let relay): bridges.disconnect(relay)
        case .event(let event):
            world.note("client: \(event)")
            world.after(.zero) { [self] in onEvent(event) }
        // The simulated host asks by datagrams only; what it cannot ask fails at once.
        case .forward(let query):
            running.handle(.exchangeAnswered(token: query.token, bytes: nil))
        case .port, .streamAnswer, .finished: break
        }
    }
}
