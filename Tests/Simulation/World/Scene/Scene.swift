internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

/// All hosts of one world, joined.
final class Scene {
    let world: World
    let settings: SceneSettings
    let internet: Internet
    let portal: PortalHost
    let client: ClientHost
    let gateways: [GatewayHost]
    let relays: [RelayHost]
    /// Known to everybody.
    let publicNames: [NameServer]
    /// Known inside the site; what the gateways ask.
    let siteNames: NameServer
    let site: SiteNetwork
    let applications: Applications
    let calm: Calm
    private(set) lazy var model = Model(self)
    private(set) lazy var prober = Prober(self)
    private(set) lazy var queries = Queries(self)
    let listener: Listener
    /// Since when the portal has not been reached; nil while it is.
    var portalGoneSince: Instant?

    init(_ world: World, _ settings: SceneSettings) {
        (self.world, self.settings) = (world, settings)
        internet = Internet(in: world, settings.quality)
        portal = Self.portal(world, settings)
        publicNames = Plan.publicResolvers.map {
            NameServer($0, delay: settings.nameDelay, timeToLive: settings.timeToLive)
        }
        siteNames = NameServer(
            Plan.address("10.20.0.2"),
            delay: settings.nameDelay,
            timeToLive: settings.timeToLive
        )
        let places = settings.clientPlaces.enumerated().map { number, place in
            Place(place, .client, number, in: world)
        }
        client = ClientHost(
            in: world,
            internet,
            places: places,
            channel: portal.clientChannel,
            resolvers: Plan.hostResolvers.map { Endpoint($0, port: 53) }
        )
        relays = Self.relays(world, settings, internet, portal)
        gateways = Self.gateways(world, settings, internet, portal, siteNames)
        let servers = [
            ("web-1", Plan.webAddresses[0]), ("web-2", Plan.webAddresses[1]),
            ("service", Plan.serviceAddresses),
        ].map {
            ResourceServer($0.0, $0.1, udpPorts: Plan.udpPorts, tcpPorts: Plan.tcpPorts)
        }
        site = SiteNetwork(in: world, delay: settings.siteDelay, servers)
        applications = Applications(in: world, own: Plan.clientTunnel)
        calm = Calm(in: world)
        listener = Listener(internet, in: world)
        join()
        setRecords()
        calm.isLossNear = { [unowned self] in prober.isLossNear($0) }
        calm.gateway = { [unowned self] resource in
            portal.leases.last { $0.resource == resource && !$0.isStandBy }?.gateway
        }
    }

    private static func relays(
        _ world: World,
        _ settings: SceneSettings,
        _ internet: Internet,
        _ portal: PortalHost
    ) -> [RelayHost] {
        (0..<settings.relayCount).map { number in
            let seat = portal.addRelay(Plan.relays[number], delay: settings.gatewayPortalDelay)
            let place = Place(PlaceSettings(), .relay, number, in: world)
            return RelayHost(in: world, internet, place: place, seat: seat)
        }
    }

    private static func gateways(
        _ world: World,
        _ settings: SceneSettings,
        _ internet: Internet,
        _ portal: PortalHost,
        _ names: NameServer
    ) -> [GatewayHost] {
        portal.gateways.enumerated().map { number, seat in
            GatewayHost(
                in: world,
                internet,
                place: Place(settings.gatewayPlaces[number], .gateway, number, in: world),
                seat: seat,
                addresses: Plan.gatewayInside[number],
                resolvers: [names.endpoint]
            )
        }
    }

    private static func portal(_ world: World, _ settings: SceneSettings) -> PortalHost {
        let count = settings.gatewayPlaces.count
        let (directory, problem) = Plan.directory(
            absenceSeconds: settings.absenceSeconds,
            gatewayCount: count
        )
        if let problem { world.fail("the plan is refused: \(problem)") }
        let portal = PortalHost(
            in: world,
            directory: directory,
            client: Plan.client,
            gateways: Array(Plan.gateways.prefix(count)),
            leaseLifetime: settings.leaseLifetime,
            clientDelay: settings.portalDelay,
            gatewayDelay: settings.gatewayPortalDelay
        )
        portal.credentialLifetime = settings.credentialLifetime
        return portal
    }

    /// Ties host to host; everything lives as long as the scene.
    private func join() {
        portal.toClient = { [unowned self] in client.receive($0) }
        client.toPortal = { [unowned self] message in
            portal.clientChannel.sendToPortal { [unowned self] in
                portal.clientRemote = client.place.seenAddress
                portal.receive(fromClient: message)
            }
        }
        client.onSend = { [unowned self] in applications.noteSent() }
        client.onPacket = { [unowned self] in applications.receive($0) }
        client.onExchange = { [unowned self] exchange, reply in
            queries.isAskedOutside(exchange.bytes)
            answer(exchange, from: publicNames, reply)
        }
        client.onForward = { [unowned self] query, reply in
            if query.isInTunnel { return KernelQuery(self, query, reply).begin() }
            queries.isAskedOutside(query.bytes)
            reply(nil)
        }
        client.bridges.listener = { [unowned self] in relay(at: $0) }
        for gateway in gateways { join(gateway) }
        for server in servers {
            server.onStranger = { [unowned self] in world.fail("\(server.name) gets \($0)") }
            server.onProbe = { [unowned self] in prober.arrived($0, $1, at: server) }
        }
        for relay in relays { join(relay) }
    }

    /// The relay that listens at an endpoint.
    private func relay(at endpoint: Endpoint) -> RelayHost? {
        relays.first { $0.host.addresses.contains(endpoint.address) }
    }

    private func join(_ gateway: GatewayHost) {
        gateway.bridges.listener = { [unowned self] in relay(at: $0) }
        let seat = gateway.seat
        seat.deliver = { [unowned gateway] in gateway.receive($0) }
        gateway.toPortal = { [unowned self] message in
            seat.channel.sendToPortal { [unowned self] in portal.receive(from: seat, message) }
        }
        gateway.onFinished = { [unowned self] in portal.gatewayLeft(seat, politely: true) }
        gateway.onExchange = { [unowned self, unowned gateway] in
            if site.reachesNames(gateway.id) { answer($0, from: [siteNames], $1) }
        }
        site.join(gateway)
        gateway.onForward = { [unowned self] in inspect($0, $1) }
    }

    private func join(_ relay: RelayHost) {
        let seat = relay.seat
        seat.deliver = { [unowned relay] in relay.receive($0) }
        relay.toPortal = { [unowned self] message in
            seat.channel.sendToPortal { [unowned self] in portal.receive(from: seat, message) }
        }
    }

    private func setRecords() {
        for server in publicNames {
            server[Plan.neighbour] = Plan.records(Plan.serviceAddresses)
            server[Plan.mirror] = Plan.records([server.address])
        }
        setSiteRecords(Plan.web, Plan.webAddresses[0])
        setSiteRecords(Plan.deepName, Plan.webAddresses[1])
        setSiteRecords(Plan.onlyIPv4, [Plan.webAddresses[0][0]])
        setSiteRecords(Plan.secret, Plan.webAddresses[1])
        setSiteRecords(Plan.protectedService, Plan.serviceAddresses)
    }

    /// A name of the site leads elsewhere from now on.
    func setSiteRecords(_ name: Name, _ addresses: [IPAddress]) {
        siteNames[name] =
            addresses.isEmpty
            ? [] : Plan.records(addresses) + Plan.otherRecords(name)
        model.recordsChanged(name, to: addresses)
    }

    /// Begins everything.
    func start() {
        world.note("seed \(world.seed): \(settings)")
        for relay in relays { relay.start() }
        for gateway in gateways { gateway.start() }
        client.start()
        portal.renewCredentials()
    }

    var portalGoneFor: Duration { portalGoneSince.map { $0.duration(to: world.now) } ?? .zero }

    /// How long leases live at a gateway without the portal.
    var absenceLimit: Duration { .seconds(settings.absenceSeconds) }

    var servers: [ResourceServer] { site.servers }

    func server(at address: IPAddress) -> ResourceServer? { site.server(at: address) }

    private func answer(
        _ exchange: Exchange,
        from servers: [NameServer],
        _ reply: @escaping ([UInt8]?) -> Void
    ) {
        guard let server = servers.first(where: { $0.endpoint == exchange.server }) else {
            return world.fail("a question goes to \(exchange.server)")
        }
        world.after(server.delay) { [self] in
            guard let answer = server.answer(exchange.bytes) else { return }
            world.after(server.delay) { reply(answer) }
        }
    }

    /// What leaves a gateway's tunnel device: only what some policy lets this client reach.
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
