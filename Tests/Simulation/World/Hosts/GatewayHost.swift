internal import Bytes
internal import Control
internal import Gateway
internal import IP
internal import SansIO
internal import WireGuard

/// The host of a gateway: runs the core, masquerades what it forwards, and brings it back.
final class GatewayHost {
    unowned let world: World
    private let internet: Internet
    let seat: PortalHost.GatewaySeat
    let place: Place
    let host: Internet.Host
    /// The host's addresses as resources see them.
    let addresses: [IPAddress]
    private(set) var machine: MachineHost<Gateway>?
    private let resolvers: [Endpoint]
    private let masquerade: Masquerade
    private var defragmenter = Defragmenter()
    private var identification: UInt32 = 0
    let bridges: RelayBridges
    private var random: RandomSource
    /// Processes so far.
    private(set) var starts = 0
    /// What comes between two processes, which the kernel keeps; nil: it is received.
    private var kept: [() -> Void]?
    /// A mistake, made on purpose: what one process left is given to two others.
    var resumesTwice = false

    /// A packet leaves the tunnel device, before it is masqueraded.
    var onForward: ([UInt8], PacketHeader) -> Void = { _, _ in }
    /// A packet leaves the host towards the site.
    var onPacket: ([UInt8]) -> Void = { _ in }
    var onExchange: (Exchange, @escaping ([UInt8]?) -> Void) -> Void = { _, _ in }
    var toPortal: (FromRole) -> Void = { _ in }
    /// The process ended in peace, and closed its connection.
    var onFinished: () -> Void = {}

    init(
        in world: World,
        _ internet: Internet,
        place: Place,
        seat: PortalHost.GatewaySeat,
        addresses: [IPAddress],
        resolvers: [Endpoint]
    ) {
        (self.world, self.internet, self.place, self.seat) = (world, internet, place, seat)
        (self.addresses, self.resolvers) = (addresses, resolvers)
        host = internet.add(seat.id.text, in: place.network, place.addresses, port: 51_830)
        masquerade = Masquerade(own: addresses)
        bridges = RelayBridges(internet, host)
        random = world.random.fork()
        bridges.deliver = { [unowned self] bytes, remote, local in
            machine?.receive(datagram: bytes, remote: remote, local: local)
        }
        bridges.tell = { [unowned self] relay, bridge in
            machine?.handle(.relayStream(relay, bridge: bridge))
        }
        host.deliver = { [unowned self] bytes, remote, local in
            receiveOrKeep { [unowned self] in
                machine?.receive(datagram: bytes, remote: remote, local: local)
            }
        }
        seat.channel.onOpen = { [unowned self] in greet() }
        seat.channel.onBreakAtRole = { [unowned self] in
            machine?.handle(.portalConnected(false))
        }
    }

    var id: GatewayID { seat.id }
    var isRunning: Bool { machine != nil }
    private var channel: ControlChannel { seat.channel }

    private func receiveOrKeep(_ body: @escaping () -> Void) {
        guard kept == nil else {
            kept?.append(body)
            return
        }
        body()
    }

    /// Starts the process; its keys are new.
    func start() { start(Gateway(wallClock: wall, random: random.fork())) }

    private var wall: WallStart {
        WallStart(
            unixNanoseconds: 1_790_000_000_000_000_000 + world.now.nanoseconds,
            at: world.now
        )
    }

    /// Another process goes on with what this one leaves, after a pause.
    func upgrade(after pause: Duration) {
        guard let machine else { return }
        let state = machine.machine.retire(at: world.now)
        kept = []
        kill(noticedAfter: .zero)
        world.after(pause) { [self] in
            resume(state)
            let received = kept ?? []
            kept = nil
            for receive in received { receive() }
            guard resumesTwice else { return }
            world.after(.seconds(2)) { [self] in
                kill(noticedAfter: .zero)
                resume(state)
            }
        }
    }

    private func resume(_ state: [UInt8]) {
        do {
            let gateway = try Gateway.resumed(
                from: state.rawSpan,
                wallClock: wall,
                random: random.fork(),
                at: world.now
            )
            start(gateway)
        } catch {
            world.fail("\(id) leaves a state that cannot be read: \(error)")
        }
    }

    private func start(_ gateway: consuming Gateway) {
        starts += 1
        let running = MachineHost<Gateway>(id.text, gateway, in: world)
        running.onOutput = { [unowned self, unowned running] in handle($0, of: running) }
        running.onDatagram = { [unowned self] bytes, remote, local in
            internet.send(bytes, from: host, local: local, to: remote)
        }
        running.onPacket = { [unowned self] packet in
            world.after(.zero) { [self] in forward(packet) }
        }
        machine = running
        channel.isRoleRunning = true
        running.handle(.localAddresses(host.addresses, port: host.port))
        running.handle(.resolvers(resolvers, hosts: []))
        channel.open()
    }

    /// Ends the process, as SIGKILL does.
    func kill(noticedAfter: Duration) {
        machine?.stop()
        machine = nil
        bridges.closeAll()
        channel.isRoleRunning = false
        channel.breakNow(noticedAfter: noticedAfter)
    }

    /// Asks the process to end.
    func shutDown() { machine?.handle(.shutdown) }

    func receive(_ message: ToGateway) {
        machine?.handle(.portal(message))
        if case .welcome = message { machine?.handle(.portalConnected(true)) }
    }

    /// A packet of the site for this host.
    func receive(_ packet: [UInt8]) {
        guard let header = try? PacketHeader(packet.rawSpan),
            let translated = masquerade.inbound(packet, header)
        else { return }
        // What is larger than the tunnel device goes in pieces.
        identification &+= 1
        for piece in Fragments.cut(translated, identification: identification) {
            receiveOrKeep { [unowned self] in machine?.receive(packet: piece) }
        }
    }

    private func forward(_ piece: [UInt8]) {
        // The kernel's connection tracking sees no fragments.
        guard let packet = defragmenter.receive(piece) else { return }
        guard let header = try? PacketHeader(packet.rawSpan) else {
            return world.fail("\(id) forwards a packet that cannot be read")
        }
        if let problem = PacketCheck.problem(packet) {
            return world.fail("\(id) forwards a packet that \(problem)")
        }
        onForward(packet, header)
        if let translated = masquerade.outbound(packet, header) { onPacket(translated) }
    }

    private func greet() {
        guard let machine else { return }
        let hello = machine.machine.hello(name: id.text, software: "culvert/1.1", os: "linux")
        toPortal(.hello(hello))
    }

    private func handle(_ output: Gateway.Output, of running: MachineHost<Gateway>) {
        switch output {
        case .toPortal(let message): if channel.isOpen { toPortal(message) }
        case .exchange(let exchange):
            onExchange(exchange) { [weak running] bytes in
                running?.handle(.exchangeAnswered(token: exchange.token, bytes: bytes))
            }
        case .configure, .streamAnswer, .flows: break
        case .connectRelay(let relay): bridges.connect(relay)
        case .disconnectRelay(let relay): bridges.disconnect(relay)
        case .event(let event): world.note("\(id): \(event)")
        case .finished: world.after(.zero) { [self] in finished() }
        }
    }

    private func finished() {
        guard isRunning else { return }
        world.note("\(id): finished")
        onFinished()
        kill(noticedAfter: .zero)
    }
}
