internal import Control
internal import SansIO

// Relays that go, return, or cannot be reached.
extension Faults {
    private func idleRelay() -> RelayHost? {
        guard !scene.relays.isEmpty, !isPathBusy, !isClientBusy else { return nil }
        let relay = world.pick(scene.relays)
        return busyRelays.contains(relay.id) ? nil : relay
    }

    /// Whether another relay stands in.
    private func hasOther(than relay: RelayHost) -> Bool {
        scene.relays.contains {
            $0 !== relay && $0.isRunning && !busyRelays.contains($0.id) && $0.seat.isOnline
        }
    }

    /// Whether nobody needs a relay where the client is now.
    var isDirectEverywhere: Bool {
        scene.gateways.allSatisfy {
            Theory.isDirect(scene.client.place.settings, $0.place.settings)
        }
    }

    /// Whether the client found its gateways again after it was away.
    var isClientSettled: Bool {
        clientAbsence.map { $0.end.map { $0 <= world.now } ?? false } ?? true
    }

    func crashRelay() {
        guard let relay = idleRelay() else { return }
        let fault = begin(relay, "a relay is killed")
        relay.kill(noticedAfter: world.between(.zero, .seconds(30)))
        comesBack(relay, after: world.between(.milliseconds(200), .seconds(120)), fault)
    }

    /// It is killed, and comes back with other keys: no credential from before is good.
    func replaceRelay() {
        guard let relay = idleRelay() else { return }
        let fault = begin(relay, "a relay is replaced")
        relay.kill(noticedAfter: world.between(.zero, .seconds(30)))
        relay.changeSecret()
        comesBack(relay, after: world.between(.milliseconds(200), .seconds(60)), fault)
    }

    func stopRelay() {
        guard let relay = idleRelay() else { return }
        let fault = begin(relay, "a relay stops")
        relay.kill(noticedAfter: .zero)
        comesBack(relay, after: world.between(.seconds(1), .seconds(60)), fault)
    }

    private func begin(_ relay: RelayHost, _ words: String) -> Calm.Disturbance {
        // Without any relay direct paths go on, but nobody finds a new one, nor what is being
        // looked for.
        let isLast = !hasOther(than: relay)
        let isServed =
            !isLast
            || isDirectEverywhere && busyGateways.isEmpty && !portal.leases.isEmpty
                && isClientSettled && calm.disturbance(of: nil, since: world.now) == nil
        isWithoutRelays = isLast
        busyRelays.append(relay.id)
        let fault = calm.begin(words, endsStreams: !isServed)
        if isServed { calm.heal(fault, withinOfNextPacket: pathBound) }
        return fault
    }

    /// Something else happens while no relay is there.
    func noteLackOfRelays() {
        guard isWithoutRelays, relayLack == nil else { return }
        relayLack = calm.begin("nobody finds a new path without relays", endsStreams: true)
    }

    private func comesBack(_ relay: RelayHost, after pause: Duration, _ fault: Calm.Disturbance) {
        world.after(pause) { [self] in
            relay.start()
            world.note("-- \(relay.id) is back")
            healWhenBack(relay, fault)
        }
    }

    private func healWhenBack(_ relay: RelayHost, _ fault: Calm.Disturbance) {
        // What it lends anew serves those who are told of it.
        let isTold = portal.gateways.allSatisfy { !$0.channel.isCut }
        guard relay.seat.isOnline, portal.clientDevice.isOnline, isTold else {
            world.after(.milliseconds(100)) { [self] in healWhenBack(relay, fault) }
            return
        }
        busyRelays.removeAll { $0 == relay.id }
        isWithoutRelays = false
        if let lack = relayLack {
            relayLack = nil
            calm.heal(lack, withinOfNextPacket: Bounds.gateway + portalTrip * 2 + pathBound)
        }
        guard fault.end == nil, !fault.isHealing else { return }
        calm.heal(fault, withinOfNextPacket: Bounds.gateway + portalTrip * 2 + pathBound)
    }

    /// Nothing passes between a relay and one of those that use it.
    func partitionRelay() {
        guard let relay = idleRelay() else { return }
        let other = world.pick([scene.client.place] + scene.gateways.map(\.place)).network
        let length = world.between(.milliseconds(100), .seconds(world.pick([1, 3, 20, 200])))
        let fault = begin(relay, "no path between \(relay.id) and \(other.name)")
        scene.internet.setCut(true, between: other, and: relay.place.network)
        world.after(length) { [self] in
            scene.internet.setCut(false, between: other, and: relay.place.network)
            world.note("-- the path to the relay is back")
            healWhenBack(relay, fault)
        }
    }
}
