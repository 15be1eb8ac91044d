internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

/// What a seed draws before anything happens.
struct SceneSettings {
    var isIPv6Outside: Bool
    var quality: Link.Quality
    var nat: NATBox.Behaviour
    var portalDelay: Duration
    var gatewayPortalDelay: Duration
    var nameDelay: Duration
    var siteDelay: Duration
    var timeToLive: UInt32
    var leaseLifetime: Duration
    var absenceSeconds: UInt32
    /// Whether what is known to go wrong is left out.
    var avoidsKnown: Bool

    /// What the seed of `world` draws.
    ///
    /// - Parameters:
    ///   - world: Whose randomness is used.
    ///   - isClean: Nothing is lost between client and gateway.
    ///   - avoidsKnown: Whether what is known to go wrong is left out.
    /// - Returns: The scene.
    static func drawn(
        in world: World,
        isClean: Bool? = nil,
        avoidsKnown: Bool = true
    ) -> SceneSettings {
        let isClean = isClean ?? world.chance(perTenThousand: 5000)
        let isIPv6Outside = world.chance(perTenThousand: 3000)
        let quality = Link.Quality(
            delay: world.between(.milliseconds(1), .milliseconds(120)),
            jitter: world.between(.zero, .milliseconds(8)),
            // Known: when all answers about a name are lost, its open connections are ended.
            loss: isClean ? 0 : world.pick(avoidsKnown ? [50, 200, 500] : [500, 1500, 3000]),
            duplication: world.pick([0, 0, 100, 1000]),
            reordering: world.pick([0, 0, 100, 1000]),
            heldUp: world.between(.milliseconds(1), .milliseconds(30))
        )
        let portalDelay = world.between(.milliseconds(1), .milliseconds(150))
        // Known: a packet through a tunnel that is there already may overtake its grant.
        let last =
            avoidsKnown
            ? min(.milliseconds(80), portalDelay + quality.delay - quality.jitter)
            : .milliseconds(80)
        return SceneSettings(
            isIPv6Outside: isIPv6Outside,
            quality: quality,
            nat: NATBox.Behaviour(
                mapping: world.pick(NATBox.Dependence.allCases),
                filtering: world.pick(NATBox.Dependence.allCases),
                preservesPorts: world.chance(perTenThousand: 5000),
                timeout: world.pick([.seconds(30), .seconds(60), .seconds(120), .seconds(300)]),
                isRefreshedFromOutside: world.chance(perTenThousand: 5000),
                translates: !isIPv6Outside
            ),
            portalDelay: portalDelay,
            gatewayPortalDelay: world.between(.zero, max(.zero, last)),
            nameDelay: world.between(.milliseconds(1), .milliseconds(60)),
            siteDelay: world.between(.microseconds(100), .milliseconds(20)),
            timeToLive: world.pick([1, 30, 300]),
            leaseLifetime: world.pick([.seconds(60), .seconds(300), .seconds(3_600)]),
            absenceSeconds: world.pick([60, 3_600, 86_400]),
            avoidsKnown: avoidsKnown
        )
    }
}

/// All hosts of one world, joined.
final class Scene {
    let world: World
    let settings: SceneSettings
    let underlay: Underlay
    let portal: PortalHost
    let client: ClientHost
    let gateway: GatewayHost
    /// Known to everybody.
    let publicNames: NameServer
    /// Known inside the site; what the gateway asks.
    let siteNames: NameServer
    let servers: [ResourceServer]
    let applications: Applications
    let calm: Calm
    private(set) lazy var model = Model(self)
    private(set) lazy var prober = Prober(self)
    private(set) lazy var queries = Queries(self)
    /// Since when the portal has not been reached; nil while it is.
    var portalGoneSince: Instant?

    init(_ world: World, _ settings: SceneSettings) {
        (self.world, self.settings) = (world, settings)
        (underlay, portal) = (Self.underlay(world, settings), Self.portal(world, settings))
        publicNames = NameServer(
            Plan.address("9.9.9.9"),
            delay: settings.nameDelay,
            timeToLive: settings.timeToLive
        )
        siteNames = NameServer(
            Plan.address("10.20.0.2"),
            delay: settings.nameDelay,
            timeToLive: settings.timeToLive
        )
        client = ClientHost(
            in: world,
            underlay: underlay,
            channel: portal.clientChannel,
            resolvers: [publicNames.endpoint]
        )
        gateway = GatewayHost(
            in: world,
            underlay: underlay,
            channel: portal.gatewayChannel,
            addresses: Plan.gatewayInside,
            resolvers: [siteNames.endpoint]
        )
        servers = [
            ("web-1", Plan.webAddresses[0]), ("web-2", Plan.webAddresses[1]),
            ("service", Plan.serviceAddresses),
        ].map {
            ResourceServer($0.0, $0.1, udpPorts: Plan.udpPorts, tcpPorts: Plan.tcpPorts)
        }
        applications = Applications(in: world, own: Plan.clientTunnel)
        calm = Calm(in: world)
        join()
        setRecords()
        calm.isLossNear = { [unowned self] in prober.isLossNear($0) }
        portal.tellsLeases = settings.avoidsKnown
    }

    private static func underlay(_ world: World, _ settings: SceneSettings) -> Underlay {
        let isIPv6 = settings.isIPv6Outside
        let inside =
            isIPv6 ? ["2001:db8:1::10", "2001:db8:3::10"] : ["192.168.1.10", "172.16.5.10"]
        let outside = isIPv6 ? inside : ["203.0.113.10", "203.0.113.66"]
        let networks = zip(inside, outside).map { local, external in
            Underlay.Network(
                local: Plan.address(local),
                nat: NATBox(settings.nat, external: Plan.address(external))
            )
        }
        return Underlay(
            in: world,
            toGateway: Link(settings.quality, in: world),
            toClient: Link(settings.quality, in: world),
            networks: networks,
            gatewayEndpoint: Endpoint(
                Plan.address(isIPv6 ? "2001:db8:2::20" : "198.51.100.20"),
                port: 51_830
            )
        )
    }

    private static func portal(_ world: World, _ settings: SceneSettings) -> PortalHost {
        let (directory, problem) = Plan.directory(absenceSeconds: settings.absenceSeconds)
        if let problem { world.fail("the plan is refused: \(problem)") }
        return PortalHost(
            in: world,
            directory: directory,
            client: Plan.client,
            gateway: Plan.gateway,
            leaseLifetime: settings.leaseLifetime,
            clientDelay: settings.portalDelay,
            gatewayDelay: settings.gatewayPortalDelay
        )
    }

    /// Ties host to host; everything lives as long as the scene.
    private func join() {
        underlay.deliverToGateway = { [unowned self] in gateway.receive($0, remote: $1, local: $2) }
        underlay.deliverToClient = { [unowned self] in client.receive($0, remote: $1, local: $2) }
        portal.toClient = { [unowned self] in client.receive($0) }
        portal.toGateway = { [unowned self] in gateway.receive($0) }
        client.toPortal = { [unowned self] message in
            portal.clientChannel.sendToPortal { [unowned self] in
                portal.clientRemote = underlay.network.nat.external
                portal.receive(fromClient: message)
            }
        }
        gateway.toPortal = { [unowned self] message in
            portal.gatewayChannel.sendToPortal { [unowned self] in
                portal.receive(fromGateway: message)
            }
        }
        client.onSend = { [unowned self] in applications.noteSent() }
        client.onPacket = { [unowned self] in applications.receive($0) }
        client.onExchange = { [unowned self] in answer($0, from: publicNames, $1) }
        gateway.onExchange = { [unowned self] in answer($0, from: siteNames, $1) }
        gateway.onPacket = { [unowned self] in route(fromGateway: $0) }
        gateway.onForward = { [unowned self] in inspect($0, $1) }
        for server in servers {
            server.onStranger = { [unowned self] in world.fail("\(server.name) gets \($0)") }
            server.onProbe = { [unowned self] in prober.arrived($0, $1, at: server) }
        }
        publicNames.onQuestion = { [unowned self] in queries.askedOutside($0) }
    }

    private func setRecords() {
        publicNames[Plan.neighbour] = Plan.records(Plan.serviceAddresses)
        setSiteRecords(Plan.web, Plan.webAddresses[0])
        setSiteRecords(Plan.deepName, Plan.webAddresses[1])
        setSiteRecords(Plan.onlyIPv4, [Plan.webAddresses[0][0]])
        setSiteRecords(Plan.secret, Plan.webAddresses[1])
        setSiteRecords(Plan.protectedService, Plan.serviceAddresses)
    }

    /// A name of the site leads elsewhere from now on.
    func setSiteRecords(_ name: Name, _ addresses: [IPAddress]) {
        siteNames[name] = Plan.records(addresses)
        model.recordsChanged(name, to: addresses)
    }

    /// Begins everything.
    func start() {
        world.note("seed \(world.seed): \(settings)")
        gateway.start()
        client.start()
    }

    var portalGoneFor: Duration { portalGoneSince.map { $0.duration(to: world.now) } ?? .zero }

    /// How long leases live at a gateway without the portal.
    var absenceLimit: Duration { .seconds(settings.absenceSeconds) }

    func server(at address: IPAddress) -> ResourceServer? {
        servers.first { $0.addresses.contains(address) }
    }

    private func answer(
        _ exchange: Exchange,
        from server: NameServer,
        _ reply: @escaping ([UInt8]?) -> Void
    ) {
        guard exchange.server == server.endpoint else {
            return world.fail("a question goes to \(exchange.server)")
        }
        world.after(server.delay) { [self] in
            guard let answer = server.answer(exchange.bytes) else { return }
            world.after(server.delay) { reply(answer) }
        }
    }

    /// The site's network, which loses nothing.
    private func route(fromGateway packet: [UInt8]) {
        guard let header = try? PacketHeader(packet.rawSpan),
            let server = server(at: header.destination)
        else { return }
        world.after(settings.siteDelay) { [self] in
            for answer in server.receive(packet) where !answer.isEmpty {
                world.after(settings.siteDelay) { [self] in gateway.receive(answer) }
            }
        }
    }

    /// What leaves the gateway's tunnel device: only what some policy lets this client reach.
    private func inspect(_ packet: [UInt8], _ header: PacketHeader) {
        guard Plan.clientTunnel.contains(header.source) else {
            return world.fail("the gateway forwards a packet of \(header.source)")
        }
        if !model.mayForward(header) {
            world.fail(
                "the gateway forwards \(header.transportProtocol) to \(header.destination) port "
                    + "\(header.destinationPort), which no policy permits"
            )
        }
    }
}
