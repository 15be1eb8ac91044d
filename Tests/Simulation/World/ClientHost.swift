internal import Bytes
internal import Client
internal import Control
internal import IP
internal import SansIO
internal import WireGuard

/// The host of the client: runs the core, keeps its names log, and gives its packets to the
/// applications.
final class ClientHost {
    unowned let world: World
    let underlay: Underlay
    let channel: ControlChannel
    private(set) var machine: MachineHost<Client>?
    /// The names log on the disk.
    private(set) var names: [UInt8] = []
    private(set) var configuration: Client.HostConfiguration?
    /// Processes so far.
    private(set) var starts = 0
    private let resolvers: [Endpoint]
    private var random: RandomSource

    var onPacket: ([UInt8]) -> Void = { _ in }
    var onSend: () -> Void = {}
    var onEvent: (Client.Event) -> Void = { _ in }
    var onExchange: (Exchange, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
    var toPortal: (FromRole) -> Void = { _ in }

    init(in world: World, underlay: Underlay, channel: ControlChannel, resolvers: [Endpoint]) {
        (self.world, self.underlay, self.channel) = (world, underlay, channel)
        self.resolvers = resolvers
        random = world.random.fork()
        channel.onOpen = { [unowned self] in greet() }
        channel.onBreakAtRole = { [unowned self] in machine?.handle(.portalConnected(false)) }
    }

    /// Starts the process with what is on the disk.
    func start() {
        starts += 1
        let wall = WallStart(
            unixNanoseconds: 1_790_000_000_000_000_000 + world.now.nanoseconds,
            at: world.now
        )
        let host = MachineHost<Client>(
            "client",
            Client(wallClock: wall, random: random.fork(), names: names),
            in: world
        )
        host.onOutput = { [unowned self, unowned host] in handle($0, of: host) }
        host.onDatagram = { [unowned self] bytes, remote, _ in
            underlay.sendFromClient(bytes, to: remote)
        }
        host.onPacket = { [unowned self] packet in
            world.after(.zero) { [self] in onPacket(packet) }
        }
        machine = host
        configuration = nil
        channel.isRoleRunning = true
        tellAddresses()
        host.handle(.hostResolvers(resolvers))
        channel.open()
    }

    /// Ends the process, as SIGKILL does.
    func kill() {
        machine?.stop()
        machine = nil
        channel.isRoleRunning = false
        channel.breakNow()
    }

    /// The host's addresses are others than before.
    func tellAddresses() {
        machine?.handle(.localAddresses([underlay.network.local], port: underlay.clientPort))
    }

    func receive(_ bytes: [UInt8], remote: Endpoint, local: Endpoint) {
        machine?.receive(datagram: bytes, remote: remote, local: local)
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

    private func handle(_ output: Client.Output, of host: MachineHost<Client>) {
        switch output {
        case .toPortal(let message): if channel.isOpen { toPortal(message) }
        case .exchange(let exchange):
            onExchange(exchange) { [weak host] bytes in
                host?.handle(.exchangeAnswered(token: exchange.token, bytes: bytes))
            }
        case .persist(let record): names += record.bytes
        case .replaceNames(let bytes): names = bytes
        case .configure(let configuration): self.configuration = configuration
        case .event(let event):
            world.note("client: \(event)")
            world.after(.zero) { [self] in onEvent(event) }
        case .streamAnswer, .finished: break
        }
    }
}
