internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

/// What may happen to a world beside traffic.
public enum Fault: String, Sendable, CaseIterable {
    case policyChanged, filtersChanged, verificationChanged, recordsChanged
    case natForgets, natIsRenumbered, clientRoams, pathIsCut
    case clientIsKilled, clientSleeps, gatewayIsKilled, gatewayStops, portalRestarts
}

/// Everything that may happen to the world, each with the bound after which it must not be felt.
final class Faults {
    /// Bounds of recovery (the failure matrix), with the time of the messages that they rest on.
    enum Bounds {
        /// A NAT forgot, the client moved or slept, the network was away.
        static let path: Duration = .seconds(1)
        /// A gateway is back.
        static let gateway: Duration = .seconds(3)
        /// A change of policy is obeyed.
        static let revocation: Duration = .milliseconds(100)
    }

    unowned let scene: Scene
    private var isVerified = true
    private var removed: [ResourceID] = []
    private var isGatewayBusy = false
    private var isPortalBusy = false
    private var isPathBusy = false
    private var isClientBusy = false
    /// A long time without the portal, while it lasts.
    private var absence: Calm.Disturbance?

    init(_ scene: Scene) { self.scene = scene }

    private var world: World { scene.world }
    private var calm: Calm { scene.calm }
    private var portal: PortalHost { scene.portal }

    /// Does one of all.
    func inflict() { inflict(world.pick(Fault.allCases)) }

    func inflict(_ fault: Fault) {
        switch fault {
        case .policyChanged: changePolicy()
        case .filtersChanged: changeFilters()
        case .verificationChanged: changeVerification()
        case .recordsChanged: changeRecords()
        case .natForgets: resetNAT()
        case .natIsRenumbered: renumber()
        case .clientRoams: roam()
        case .clientIsKilled: restartClient()
        case .gatewayIsKilled: crashGateway()
        case .gatewayStops: stopGateway()
        case .portalRestarts: restartPortal()
        case .pathIsCut: partition()
        case .clientSleeps: suspend()
        }
    }
}

// MARK: - Policy

extension Faults {
    /// Messages to both sides, and what is on its way.
    private var spread: Duration {
        max(portal.clientChannel.delay, portal.gatewayChannel.delay) * 2
            + scene.settings.quality.delay * 2 + .milliseconds(600)
    }

    /// Whether both roles would hear of a change.
    private var canTell: Bool {
        portal.isRunning && portal.clientDevice.isOnline && portal.gatewayDevice.isOnline
            && !isPortalBusy
    }

    /// What a resource permitted is obeyed to the end for a moment.
    private func restrict(_ resource: ResourceID) {
        let filters = portal.directory.resources[resource]?.filters ?? []
        scene.model.permissionEnds(resource, filters: filters, after: Bounds.revocation)
    }

    private func changePolicy() {
        guard canTell else { return }
        let resource = world.pick(Plan.resources)
        let isGone = removed.contains(resource)
        let change = calm.begin(
            isGone ? "policy added" : "policy removed",
            resource: concerned(resource),
            endsStreams: true
        )
        if isGone {
            removed.removeAll { $0 == resource }
            portal.commit(.upsertPolicy(Plan.policy(resource)))
        } else {
            restrict(resource)
            removed.append(resource)
            portal.commit(.removePolicy(Plan.policy(resource).id))
        }
        calm.heal(change, within: spread + .seconds(2))
    }

    /// The wildcard and the name below it stand in for each other.
    private func concerned(_ resource: ResourceID) -> ResourceID? {
        resource == Plan.intranet || resource == Plan.vault ? nil : resource
    }

    private func changeFilters() {
        guard canTell else { return }
        let resource = world.pick(Plan.resources)
        let sets = [
            [], ["tcp/443", "icmp"], ["udp/7", "tcp/80-8080"], ["udp"],
            ["tcp", "udp/5000-6000", "icmp"],
        ]
        let filters = world.pick(sets).compactMap { try? Filter(parsing: $0) }
        let change = calm.begin(
            "filters changed",
            resource: concerned(resource),
            endsStreams: true
        )
        restrict(resource)
        portal.commit(.upsertResource(Plan.row(resource, filters: filters)))
        calm.heal(change, within: spread + .seconds(2))
    }

    private func changeVerification() {
        guard canTell else { return }
        isVerified.toggle()
        let change = calm.begin(
            isVerified ? "client verified" : "client not verified any more",
            endsStreams: true
        )
        if !isVerified { restrict(Plan.vault) }
        portal.commit(.upsertClient(Plan.clientRow(isVerified: isVerified)))
        calm.heal(change, within: spread + .seconds(2))
    }

    private func changeRecords() {
        let name = world.pick([Plan.web, Plan.deepName, Plan.secret, Plan.onlyIPv4])
        let all = Plan.webAddresses
        let choices = [
            all[0], all[1], [all[0][0]], [all[1][0]], [all[0][1]], all[0] + all[1], [],
        ]
        let addresses = world.pick(choices)
        let change = calm.begin("records of \(name) changed to \(addresses)")
        scene.setSiteRecords(name, addresses)
        // A failed look-up is remembered for 5 s, and a client believes a refusal as long.
        calm.heal(change, within: .seconds(scene.settings.timeToLive) + .seconds(16))
    }
}

// MARK: - The path

extension Faults {
    /// A round trip of a probe on the path, and of a request at the portal.
    private var trip: Duration {
        (scene.settings.quality.delay + scene.settings.quality.jitter) * 2
    }

    private func resetNAT() {
        let fault = calm.begin("the NAT forgets")
        scene.underlay.network.nat.reset()
        calm.heal(fault, withinOfNextPacket: Bounds.path)
    }

    private func renumber() {
        guard scene.settings.nat.translates else { return resetNAT() }
        let fault = calm.begin("the NAT is renumbered")
        let number = UInt32.random(in: 11...250, using: &world.random)
        scene.underlay.network.nat.renumber(to: IPAddress(ipv4: 0xcb00_7200 + number))
        calm.heal(fault, withinOfNextPacket: Bounds.path)
    }

    private func roam() {
        guard !isClientBusy else { return }
        let fault = calm.begin("the client roams")
        scene.underlay.roam()
        scene.client.tellAddresses()
        portal.clientChannel.breakNow()
        calm.heal(fault, withinOfNextPacket: Bounds.path + trip + .milliseconds(200))
    }

    private func partition() {
        guard !isPathBusy, !isGatewayBusy, !isClientBusy else { return }
        isPathBusy = true
        let length = world.between(.milliseconds(100), .seconds(world.pick([1, 3, 20, 200])))
        let fault = calm.begin(
            "no path for \(World.text(length)) s",
            endsStreams: length > .seconds(1)
        )
        scene.underlay.isCut = true
        world.after(length) { [self] in
            isPathBusy = false
            scene.underlay.isCut = false
            world.note("-- the path is back")
            calm.heal(fault, withinOfNextPacket: .seconds(5))
        }
    }
}

// MARK: - Processes

extension Faults {
    private func restartClient() {
        guard !isClientBusy, !isPathBusy else { return }
        isClientBusy = true
        // Without a gateway to go to, a client that starts anew ends what it does not know.
        // So does one that is away until its leases are over.
        let isShort = scene.settings.leaseLifetime <= .seconds(60)
        let fault = calm.begin("the client is killed", endsStreams: !canTell || isShort)
        scene.client.kill()
        scene.model.clientForgets()
        world.after(world.between(.milliseconds(200), .seconds(20))) { [self] in
            isClientBusy = false
            scene.client.start()
            healWhenWelcomed(fault)
        }
    }

    /// A client without a portal has neither names nor leases.
    private func healWhenWelcomed(_ fault: Calm.Disturbance) {
        guard scene.client.configuration != nil, portal.clientDevice.isOnline else {
            world.after(.milliseconds(100)) { [self] in healWhenWelcomed(fault) }
            return
        }
        calm.heal(fault, withinOfNextPacket: Bounds.path + trip + .milliseconds(500))
    }

    private func crashGateway() {
        guard !isGatewayBusy, !isPathBusy else { return }
        isGatewayBusy = true
        let fault = calm.begin("the gateway is killed", endsStreams: true)
        scene.gateway.kill(noticedAfter: world.between(.zero, .seconds(9)))
        startGateway(after: world.between(.milliseconds(200), .seconds(90)), fault)
    }

    private func stopGateway() {
        guard !isGatewayBusy, !isPathBusy else { return }
        isGatewayBusy = true
        let fault = calm.begin("the gateway stops", endsStreams: true)
        scene.gateway.shutDown()
        startGateway(after: world.between(.seconds(1), .seconds(60)), fault)
    }

    private func startGateway(after pause: Duration, _ fault: Calm.Disturbance) {
        world.after(pause) { [self] in
            guard !scene.gateway.isRunning else {
                return world.fail("a gateway that was told to stop still runs")
            }
            scene.gateway.start()
            healWhenGatewayIsBack(fault)
        }
    }

    private func healWhenGatewayIsBack(_ fault: Calm.Disturbance) {
        guard portal.gatewayDevice.isOnline, portal.clientDevice.isOnline else {
            world.after(.milliseconds(100)) { [self] in healWhenGatewayIsBack(fault) }
            return
        }
        isGatewayBusy = false
        calm.heal(fault, withinOfNextPacket: Bounds.gateway + trip)
    }

    private func restartPortal() {
        guard !isPortalBusy, !isGatewayBusy, !isClientBusy else { return }
        isPortalBusy = true
        var length = world.between(.seconds(1), .seconds(world.pick([5, 60, 600])))
        let limit = min(scene.settings.leaseLifetime / 2, scene.absenceLimit) - .seconds(12)
        // Known: names that a gateway forgets with their lease are not told again. The back-off
        // may more than double the time.
        if scene.settings.avoidsKnown { length = min(length, limit * 2 / 5) }
        // What was just being asked gets no answer.
        calm.heal(calm.begin("the portal is gone for \(World.text(length)) s"), within: .zero)
        portal.stop()
        scene.portalGoneSince = world.now
        watchAbsence(limit)
        world.after(length) { [self] in
            portal.start()
            world.note("-- the portal is back")
            healWhenAllAreBack()
        }
    }

    /// After a long time without a portal leases end.
    private func watchAbsence(_ limit: Duration) {
        let began = scene.portalGoneSince
        world.after(limit) { [self] in
            guard scene.portalGoneSince == began, absence == nil else { return }
            absence = calm.begin("a long time without the portal", endsStreams: true)
        }
    }

    private func healWhenAllAreBack() {
        guard portal.gatewayDevice.isOnline, portal.clientDevice.isOnline else {
            world.after(.milliseconds(100)) { [self] in healWhenAllAreBack() }
            return
        }
        isPortalBusy = false
        scene.portalGoneSince = nil
        let back = absence ?? calm.begin("the portal's return")
        absence = nil
        calm.heal(back, within: .seconds(5) + spread)
    }

    private func suspend() {
        guard !isClientBusy, !isPathBusy else { return }
        isClientBusy = true
        let length = world.between(.seconds(1), .seconds(world.pick([10, 300, 7_200])))
        let fault = calm.begin(
            "the client's host sleeps for \(World.text(length)) s",
            endsStreams: length + .seconds(20) > scene.settings.leaseLifetime / 2
        )
        scene.client.machine?.isSuspended = true
        portal.clientChannel.isCut = true
        // Known: a lease that ends, or is extended, before the portal notices is not told again.
        portal.clientChannel.breakNow(noticedAfter: scene.settings.avoidsKnown ? .zero : length)
        world.after(length) { [self] in
            isClientBusy = false
            portal.clientChannel.isCut = false
            world.note("-- the client's host wakes up")
            scene.client.machine?.resume()
            healWhenWelcomed(fault)
        }
    }
}
