internal import Control
internal import SansIO

// The portal goes, or somebody cannot reach it.
extension Faults {
    /// How long the portal may be away before leases end.
    private var absenceLimit: Duration {
        min(scene.settings.leaseLifetime / 2, scene.absenceLimit) - .seconds(12)
    }

    private func absenceLength() -> Duration {
        let length = world.between(.seconds(1), .seconds(world.pick([5, 60, 600])))
        // Known: names that a gateway forgets with their lease are not told again. The back-off
        // may more than double the time.
        return scene.settings.avoidsKnown ? min(length, absenceLimit * 2 / 5) : length
    }

    func restartPortal() {
        guard !isPortalBusy, !isPortalNeeded, busyGateways.isEmpty, !isClientBusy else { return }
        isPortalBusy = true
        let length = absenceLength()
        // A client that was just away, and comes back before its gateways, is refused.
        if let clientAbsence, !portal.clientDevice.isOnline || clientAbsence.end == nil {
            clientAbsence.endsStreams = true
        }
        // What was just being asked gets no answer.
        calm.heal(calm.begin("the portal is gone for \(World.text(length)) s"), within: .zero)
        portal.stop()
        scene.portalGoneSince = world.now
        watchAbsence(absenceLimit)
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
        guard portal.clientDevice.isOnline, portal.gateways.allSatisfy(\.device.isOnline) else {
            world.after(.milliseconds(100)) { [self] in healWhenAllAreBack() }
            return
        }
        isPortalBusy = false
        scene.portalGoneSince = nil
        let back = absence ?? calm.begin("the portal's return")
        absence = nil
        calm.heal(back, within: .seconds(5) + spread)
    }

    /// The client cannot reach the portal; leases go on.
    func cutPortalFromClient() {
        cut(portal.clientChannel, "the client", noticedAfter: world.between(.zero, .seconds(30)))
    }

    /// A gateway cannot; its leases go on, and soon nobody new is sent to it.
    func cutPortalFromGateway() {
        guard let seat = portal.gateways.first(where: { !busyGateways.contains($0.id) }) else {
            return
        }
        cut(seat.channel, seat.id.text, noticedAfter: world.between(.zero, .seconds(9)))
    }

    private func cut(_ channel: ControlChannel, _ whose: String, noticedAfter: Duration) {
        guard !isPortalBusy, !isPortalNeeded, busyGateways.isEmpty, !isClientBusy,
            channel.isOpen, channel.isQuiet
        else { return }
        isPortalBusy = true
        let length = max(absenceLength(), noticedAfter)
        // What is asked before anybody notices gets no answer, or no service.
        let fault = calm.begin("\(whose) loses the portal for \(World.text(length)) s")
        calm.heal(fault, within: noticedAfter + .seconds(2))
        channel.isCut = true
        channel.breakNow(noticedAfter: noticedAfter)
        scene.portalGoneSince = world.now
        watchAbsence(absenceLimit)
        world.after(length) { [self] in
            channel.isCut = false
            world.note("-- \(whose) can reach the portal")
            healWhenAllAreBack()
        }
    }
}
