internal import Bytes
internal import Control
internal import Gateway
internal import IP
internal import SansIO
internal import WireGuard

/// The host of the gateway: runs the core, masquerades what it forwards, and brings it back.
final class GatewayHost {
    unowned let world: World
    let underlay: Underlay
    let channel: ControlChannel
    /// The host's addresses as resources see them.
    let addresses: [IPAddress]
    private(set) var machine: MachineHost<Gateway>?
    private let resolvers: [Endpoint]
    private let masquerade: Masquerade
    private var random: RandomSource
    /// Processes so far.
    private(set) var starts = 0

    /// A packet leaves the tunnel device, before it is masqueraded.
    var onForward: ([UInt8], PacketHeader) -> Void = { _, _ in }
    /// A packet leaves the host towards the site.
    var onPacket: ([UInt8]) -> Void = { _ in }
    var onExchange: (Exchange, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
    var toPortal: (FromRole) -> Void = { _ in }

    init(
        in world: World,
        underlay: Underlay,
        channel: ControlChannel,
        addresses: [IPAddress],
        resolvers: [Endpoint]
    ) {
        (self.world, self.underlay, self.channel) = (world, underlay, channel)
        (self.addresses, self.resolvers) = (addresses, resolvers)
        masquerade = Masquerade(own: addresses)
        random = world.random.fork()
        channel.onOpen = { [unowned self] in greet() }
        channel.onBreakAtRole = { [unowned self] in machine?.handle(.portalConnected(false)) }
    }

    var isRunning: Bool { machine != nil }

    /// Starts the process; its keys are new.
    func start() {
        starts += 1
        let wall = WallStart(
            unixNanoseconds: 1_790_000_000_000_000_000 + world.now.nanoseconds,
            at: world.now
        )
        let host = MachineHost<Gateway>(
            "gateway",
            Gateway(wallClock: wall, random: random.fork()),
            in: world
        )
        host.onOutput = { [unowned self, unowned host] in handle($0, of: host) }
        host.onDatagram = { [unowned self] bytes, remote, _ in
            underlay.sendFromGateway(bytes, to: remote)
        }
        host.onPacket = { [unowned self] packet in
            world.after(.zero) { [self] in forward(packet) }
        }
        machine = host
        channel.isRoleRunning = true
        host.handle(
            .localAddresses([underlay.gatewayEndpoint.address], port: underlay.gatewayEndpoint.port)
        )
        host.handle(.resolvers(resolvers, hosts: []))
        channel.open()
    }

    /// Ends the process, as SIGKILL does.
    func kill(noticedAfter: Duration) {
        machine?.stop()
        machine = nil
        channel.isRoleRunning = false
        channel.breakNow(noticedAfter: noticedAfter)
    }

    /// Asks the process to end.
    func shutDown() { machine?.handle(.shutdown) }

    func receive(_ bytes: [UInt8], remote: Endpoint, local: Endpoint) {
        machine?.receive(datagram: bytes, remote: remote, local: local)
    }

    func receive(_ message: ToGateway) {
        machine?.handle(.portal(message))
        if case .welcome = message { machine?.handle(.portalConnected(true)) }
    }

    /// A packet of the site for this host.
    func receive(_ packet: [UInt8]) {
        guard let header = try? PacketHeader(packet.rawSpan),
            let translated = masquerade.inbound(packet, header)
        else { return }
        machine?.receive(packet: translated)
    }

    private func forward(_ packet: [UInt8]) {
        guard let header = try? PacketHeader(packet.rawSpan) else {
            return world.fail("the gateway forwards a packet that cannot be read")
        }
        if let problem = PacketCheck.problem(packet) {
            return world.fail("the gateway forwards a packet that \(problem)")
        }
        onForward(packet, header)
        if let translated = masquerade.outbound(packet, header) { onPacket(translated) }
    }

    private func greet() {
        guard let machine, let key = KeyText(bytes: machine.machine.publicKey.array) else { return }
        let hello = FromRole.Hello(
            role: .gateway,
            name: "gateway",
            software: "culvert/1.1",
            os: "linux",
            publicKey: key,
            candidates: machine.machine.candidates,
            leases: machine.machine.leases
        )
        toPortal(.hello(hello))
    }

    private func handle(_ output: Gateway.Output, of host: MachineHost<Gateway>) {
        switch output {
        case .toPortal(let message): if channel.isOpen { toPortal(message) }
        case .exchange(let exchange):
            onExchange(exchange) { [weak host] bytes in
                host?.handle(.exchangeAnswered(token: exchange.token, bytes: bytes))
            }
        case .configure: break
        case .event(let event): world.note("gateway: \(event)")
        case .finished: world.after(.zero) { [self] in finished() }
        }
    }

    private func finished() {
        guard isRunning else { return }
        world.note("gateway: finished")
        kill(noticedAfter: .zero)
    }
}
