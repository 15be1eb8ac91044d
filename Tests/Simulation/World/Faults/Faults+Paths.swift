internal import Control
internal import IP
internal import SansIO

// What networks do.
extension Faults {
    /// What recovery of a path may take where the client is now: streams must be opened first
    /// where UDP is blocked, and without the portal nobody hears of a new relayed address before
    /// the keepalive.
    var pathBound: Duration {
        let isBlocked =
            scene.client.place.settings.blocksUDP
            || scene.gateways.contains { $0.place.settings.blocksUDP }
        guard isBlocked || !isDirectEverywhere else { return Bounds.path + trip }
        let isPortalAway = !canTell
        return Bounds.path + trip + (isBlocked ? Bounds.stream : .zero)
            + (isPortalAway ? Bounds.keepalive : .zero)
    }

    func resetNAT(of places: [Place]) {
        // When all are forgotten, only the portal can say where anybody is now.
        guard places.count == 1 || canTell else { return }
        let whose =
            places.count > 1 ? "all NATs forget" : "NAT of \(places[0].network.name) forgets"
        let fault = calm.begin(whose)
        if places.count > 1 { forgotten = fault }
        for place in places { scene.internet.forget(place.network) }
        calm.heal(fault, withinOfNextPacket: pathBound)
    }

    func renumber(_ place: Place) {
        guard place.network.nat != nil else { return resetNAT(of: [place]) }
        let fault = calm.begin("NAT of \(place.network.name) is renumbered")
        let number = UInt32.random(in: 11...250, using: &world.random)
        let address = IPAddress(ipv4: 0xcb00_7200 + number)
        guard !scene.internet.isTaken(address) else { return calm.heal(fault, within: .zero) }
        scene.internet.renumber(place.network, to: address)
        // Relays let in whom they were told of: a gateway is asked by the portal where it is now.
        let isTold = place !== scene.client.place && canTell && !isDirectEverywhere
        calm.heal(fault, withinOfNextPacket: pathBound + (isTold ? punchTrip : .zero))
    }

    func roam() {
        guard !isClientBusy else { return }
        let fault = calm.begin("the client roams")
        scene.client.roam()
        // For a moment it has no network, or does not know yet that it has another.
        let pause = world.chance(perTenThousand: 5000) ? .zero : world.between(.zero, .seconds(3))
        portal.clientChannel.breakNow()
        world.after(pause) { [self] in
            scene.client.tellAddresses()
            let isStreamNeeded = scene.client.place.settings.blocksUDP
            let bound = isStreamNeeded ? pathBound + portalTrip * 3 : pathBound
            calm.heal(fault, withinOfNextPacket: bound + .milliseconds(200))
        }
    }

    /// Nothing passes between the client's network and one gateway's.
    func partition() {
        let gateway = world.pick(scene.gateways)
        guard !isPathBusy, !busyGateways.contains(gateway.id), !isClientBusy else { return }
        isPathBusy = true
        let length = world.between(.milliseconds(100), .seconds(world.pick([1, 3, 20, 200])))
        let (one, other) = (scene.client.place.network, gateway.place.network)
        let hasWayAround = hasWayAround(gateway)
        let fault = calm.begin(
            "no path to \(gateway.id) for \(World.text(length)) s",
            endsStreams: length > .seconds(1) && !hasWayAround
        )
        scene.internet.setCut(true, between: one, and: other)
        if hasWayAround { calm.heal(fault, withinOfNextPacket: pathBound + trip) }
        world.after(length) { [self] in
            isPathBusy = false
            scene.internet.setCut(false, between: one, and: other)
            world.note("-- the path is back")
            guard !hasWayAround else { return }
            calm.heal(fault, withinOfNextPacket: .seconds(5))
        }
    }

    /// Whether a relay leads around a path that is cut.
    private func hasWayAround(_ gateway: GatewayHost) -> Bool {
        scene.relays.contains { $0.isRunning && !busyRelays.contains($0.id) }
    }
}
