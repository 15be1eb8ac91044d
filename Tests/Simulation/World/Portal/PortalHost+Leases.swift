internal import Bytes
internal import Control
internal import IP
internal import Policy
internal import SansIO

// Leases, extended while they stay permitted, and changes of the directory.
extension PortalHost {
    /// Looks at a lease when half of its life is over.
    func watch(_ id: LeaseID) {
        guard let lease = leases.first(where: { $0.id == id }) else { return }
        let left = world.now.duration(to: lease.endsAt)
        world.after(max(.seconds(1), left - leaseLifetime / 2)) { [weak self] in
            guard let self, isRunning,
                let place = leases.firstIndex(where: { $0.id == id })
            else { return }
            guard leases[place].endsAt > world.now else {
                return end(place, "expired", "The lease ran out.")
            }
            let left = world.now.duration(to: leases[place].endsAt)
            if clientDevice.isOnline, left <= leaseLifetime / 2 + .seconds(1) { extend(place) }
            watch(id)
        }
    }

    func extend(_ place: Int) {
        leases[place].endsAt = world.now.advanced(by: leaseLifetime)
        let seconds = told(leases[place]).lifetimeSeconds
        let (id, gateway) = (leases[place].id, leases[place].gateway)
        send(.leaseExtended(ToClient.LeaseExtended(lease: id, lifetimeSeconds: seconds)))
        send(.extend(ToGateway.Extend(lease: id, lifetimeSeconds: seconds)), to: gateway)
    }

    func end(_ place: Int, _ code: String, _ sentence: String, isTold: Bool = true) {
        let lease = leases.remove(at: place)
        if isTold {
            let message = ToGateway.Revoke(leases: [lease.id], code: code, sentence: sentence)
            send(.revoke(message), to: lease.gateway)
        }
        let ended = ToClient.LeaseEnded(
            lease: lease.id,
            resource: lease.resource,
            code: code,
            sentence: sentence
        )
        if clientDevice.isOnline { send(.leaseEnded(ended)) } else { missed.append(ended) }
    }

    /// Decides all leases again.
    func review() {
        for lease in leases {
            guard let place = leases.firstIndex(where: { $0.id == lease.id }) else { continue }
            if !isAllowed(lease.resource) {
                end(place, "revoked", "No policy permits it any more.")
            } else if !isAtGateways(lease.resource) {
                end(place, "revoked", "The resource moved to another site.")
            } else if lease.endsAt <= world.now {
                end(place, "expired", "The lease ran out.")
            } else if world.now.duration(to: lease.endsAt) < leaseLifetime / 2 {
                extend(place)
                watch(lease.id)
            }
        }
    }

    /// Makes a change and tells whom it touches.
    func commit(_ change: Change) {
        let before = directory
        let scope: Scope
        do { scope = try directory.apply(change) } catch {
            return world.fail("a change is refused: \(error.sentence)")
        }
        revision += 1
        var told: [ResourceID] = []
        for lease in leases where !told.contains(lease.resource) {
            told.append(lease.resource)
            guard let new = directory.resources[lease.resource],
                before.resources[lease.resource] != new
            else { continue }
            let message = ToGateway.ResourceUpdate(resource: Self.forGateway(new))
            for seat in gateways where leases.contains(where: { $0.gateway == seat.id }) {
                send(.resource(message), to: seat)
            }
        }
        review()
        tellDifferences()
        tellChanged(denied.filter { scope.touches(client, $0) })
    }

    func tellDifferences() {
        guard clientDevice.isOnline else { return }
        let (now, dns) = (visible, directory.dns)
        var changes: [ChangeForClient] = []
        if dns != shownDNS { changes.append(.dns(dns)) }
        for old in shown where !now.contains(where: { $0.id == old.id }) {
            changes.append(.resourceRemoved(old.id))
        }
        for resource in now where !shown.contains(resource) { changes.append(.resource(resource)) }
        guard !changes.isEmpty else { return }
        (shown, shownDNS) = (now, dns)
        channelRevision += 1
        send(.changes(ToClient.Changes(revision: channelRevision, changes: changes)))
    }

    func tellChanged(_ resources: [ResourceID]) {
        for resource in resources {
            denied.removeAll { $0 == resource }
            toldChangedAt[resource] = world.now
            send(.resourceChanged(ToClient.ResourceChanged(resource: resource)))
        }
    }
}
