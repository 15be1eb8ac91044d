internal import Control
internal import IP
internal import SansIO

// Processes that end, and come back.
extension Faults {
    func restartClient() {
        guard !isClientBusy, !isPathBusy else { return }
        isClientBusy = true
        // Without a gateway to go to, a client that starts anew ends what it does not know.
        // So does one that is away until its leases are over.
        let isShort = scene.settings.leaseLifetime <= .seconds(60)
        let fault = calm.begin("the client is killed", endsStreams: !canTell || isShort)
        clientAbsence = fault
        scene.client.kill()
        scene.model.clientForgets()
        world.after(world.between(.milliseconds(200), .seconds(20))) { [self] in
            isClientBusy = false
            scene.client.start()
            healWhenWelcomed(fault)
        }
    }

    /// A client without a portal has neither names nor leases; one whose gateways are not there
    /// yet is refused.
    private func healWhenWelcomed(_ fault: Calm.Disturbance) {
        guard scene.client.configuration != nil, portal.clientDevice.isOnline else {
            world.after(.milliseconds(100)) { [self] in healWhenWelcomed(fault) }
            return
        }
        let bound = pathBound + portalTrip * 2 + .milliseconds(500)
        calm.heal(fault, withinOfNextPacket: bound)
    }

    func crashGateway() {
        guard let gateway = idleGateway() else { return }
        busyGateways.append(gateway.id)
        let fault = calm.begin("a gateway is killed", endsStreams: true)
        gateway.kill(noticedAfter: world.between(.zero, .seconds(9)))
        absent(gateway, fault, for: world.between(.milliseconds(200), .seconds(90)))
    }

    func stopGateway() {
        guard let gateway = idleGateway() else { return }
        busyGateways.append(gateway.id)
        let fault = calm.begin("a gateway stops", endsStreams: true)
        gateway.shutDown()
        absent(gateway, fault, for: world.between(.seconds(1), .seconds(60)))
    }

    /// Nothing ends: another process goes on with sessions and flows.
    func upgradeGateway() {
        guard let gateway = idleGateway(), gateway.isRunning, canTell, isClientSettled else {
            return
        }
        busyGateways.append(gateway.id)
        // Without UDP its streams to relays are opened anew, after which it waits for an answer by
        // UDP in vain: another gateway may have been taken by then.
        let isSlow = gateway.place.settings.blocksUDP && scene.gateways.count > 1
        let fault = calm.begin("a gateway is upgraded", endsStreams: isSlow)
        let pause = world.between(.milliseconds(5), .milliseconds(500))
        gateway.upgrade(after: pause)
        world.after(pause) { [self] in
            if Theory.isDirect(scene.client.place.settings, gateway.place.settings) {
                calm.heal(fault, within: Bounds.path + trip - pause)
            } else {
                // Its relay lends anew, of which the client is told.
                calm.heal(fault, withinOfNextPacket: pathBound + portalTrip)
            }
            healWhenBack(gateway, nil)
        }
    }

    private func idleGateway() -> GatewayHost? {
        let gateway = world.pick(scene.gateways)
        return busyGateways.contains(gateway.id) || isPathBusy ? nil : gateway
    }

    /// The gateway starts again after a while; where there is another one, that one serves.
    private func absent(_ gateway: GatewayHost, _ fault: Calm.Disturbance, for pause: Duration) {
        let hasOther = scene.gateways.contains { other in
            other !== gateway && other.isRunning && !busyGateways.contains(other.id)
                && other.seat.device.isOnline && other.seat.channel.isOpen
        }
        if hasOther, portal.clientDevice.isOnline {
            calm.heal(fault, withinOfNextPacket: gatewayBound)
        }
        world.after(pause) { [self] in
            guard !gateway.isRunning else {
                return world.fail("a gateway that was told to stop still runs")
            }
            gateway.start()
            healWhenBack(gateway, hasOther ? nil : fault)
        }
    }

    /// Where streams must be opened too, those come on top.
    var gatewayBound: Duration {
        Bounds.gateway + portalTrip * 2 + trip * 2 + (pathBound - Bounds.path - trip)
    }

    private func healWhenBack(_ gateway: GatewayHost, _ fault: Calm.Disturbance?) {
        guard gateway.seat.device.isOnline, portal.clientDevice.isOnline else {
            world.after(.milliseconds(100)) { [self] in healWhenBack(gateway, fault) }
            return
        }
        busyGateways.removeAll { $0 == gateway.id }
        if let fault { calm.heal(fault, withinOfNextPacket: gatewayBound) }
    }

    func suspend() {
        guard !isClientBusy, !isPathBusy, !isPortalBusy else { return }
        isClientBusy = true
        let length = world.between(.seconds(1), .seconds(world.pick([10, 300, 7_200])))
        let fault = calm.begin(
            "the client's host sleeps for \(World.text(length)) s",
            endsStreams: length + .seconds(20) > scene.settings.leaseLifetime / 2
        )
        clientAbsence = fault
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
