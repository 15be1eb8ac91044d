internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

// What an admin changes, and what name servers say.
extension Faults {
    /// What a resource permitted is obeyed to the end for a moment.
    private func restrict(_ resource: ResourceID) {
        let filters = portal.directory.resources[resource]?.filters ?? []
        scene.model.permissionEnds(resource, filters: filters, after: Bounds.revocation)
    }

    /// The wildcard and the name below it stand in for each other.
    private func concerned(_ resource: ResourceID) -> ResourceID? {
        resource == Plan.intranet || resource == Plan.vault ? nil : resource
    }

    func changePolicy() {
        guard canTell else { return }
        let resource = world.pick(Plan.resources)
        guard !removedResources.contains(resource) else { return }
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

    func changeFilters() {
        guard canTell else { return }
        let resource = world.pick(Plan.resources)
        guard !removedResources.contains(resource) else { return }
        let sets = [
            [], ["tcp/443", "icmp"], ["udp/7", "tcp/80-8080"], ["udp"],
            ["tcp", "udp/5000-6000", "icmp"],
        ]
        let chosen = world.pick(sets).compactMap { try? Filter(parsing: $0) }
        let change = calm.begin(
            "filters changed",
            resource: concerned(resource),
            endsStreams: true
        )
        restrict(resource)
        filters[resource] = chosen
        portal.commit(.upsertResource(row(resource)))
        calm.heal(change, within: spread + .seconds(2))
    }

    func changeVerification() {
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

    /// The client's person leaves the group, and comes back soon.
    func changeMembership() {
        guard canTell, isMember else { return }
        isMember = false
        let change = calm.begin("membership ends", endsStreams: true)
        Plan.resources.forEach(restrict)
        portal.commit(.removeMember(group: Plan.staff, actor: Plan.actor))
        calm.heal(change, within: spread + .seconds(2))
        world.after(world.between(.seconds(5), .seconds(30))) { [self] in joinAgain() }
    }

    private func joinAgain() {
        guard canTell else {
            world.after(.seconds(1)) { [self] in joinAgain() }
            return
        }
        isMember = true
        let change = calm.begin("membership begins", endsStreams: true)
        portal.commit(.addMember(group: Plan.staff, actor: Plan.actor))
        calm.heal(change, within: spread + .seconds(2))
    }

    /// A resource is removed, with its policy, or comes back.
    func changeResource() {
        guard canTell else { return }
        if let resource = removedResources.first {
            removedResources.removeFirst()
            let change = calm.begin("resource added", endsStreams: true)
            portal.commit(.upsertResource(row(resource)))
            if !removed.contains(resource) {
                portal.commit(.upsertPolicy(Plan.policy(resource)))
            }
            calm.heal(change, within: spread + .seconds(2))
            return
        }
        let resource = world.pick([Plan.service, Plan.network])
        removedResources.append(resource)
        let change = calm.begin("resource removed", resource: resource, endsStreams: true)
        restrict(resource)
        if !removed.contains(resource) { portal.commit(.removePolicy(Plan.policy(resource).id)) }
        portal.commit(.removeResource(resource))
        calm.heal(change, within: spread + .seconds(2))
    }

    /// A resource moves to a site without a gateway, or back.
    func changeSite() {
        guard canTell else { return }
        let resource = moved ?? world.pick([Plan.service, Plan.network])
        guard !removedResources.contains(resource) else { return }
        let isBack = moved != nil
        let change = calm.begin(
            isBack ? "resource comes back to its site" : "resource moves to another site",
            resource: resource,
            endsStreams: true
        )
        if !isBack { restrict(resource) }
        moved = isBack ? nil : resource
        portal.commit(.upsertResource(row(resource)))
        calm.heal(change, within: spread + .seconds(2))
    }

    /// A resource as it is now.
    private func row(_ resource: ResourceID) -> Directory.Resource {
        Plan.row(
            resource,
            filters: filters[resource] ?? [],
            at: resource == moved ? Plan.emptySite : Plan.site
        )
    }

    func changeRecords() {
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
