internal import Client
internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

// Nameservers outside: which of them there are, and whether they live.
extension Faults {
    /// The host has other nameservers.
    func changeUpstreams() {
        guard scene.client.machine != nil, !isClientBusy else { return }
        let change = calm.begin("the host's nameservers change")
        scene.client.changeResolvers()
        world.note("-- they are \(scene.client.ownResolvers)")
        calm.heal(change, within: .seconds(1))
        askAll(after: .milliseconds(1_001))
    }

    /// An admin sets nameservers, others than before, or none any more.
    func changeAdminUpstreams() {
        guard canTell else { return }
        let all = Plan.adminResolvers.map(\.description)
        let choices = [[], [all[0]], [all[1], all[0]], all, [all[2], all[1]], [all[0], all[2]]]
        let before = portal.directory.dns.upstreams
        let chosen = world.pick(choices.filter { $0 != before })
        let change = calm.begin("an admin sets the nameservers \(chosen)")
        portal.commit(.dns(DNSSettings(upstreams: chosen)))
        calm.heal(change, within: spread)
        askAll(after: spread + .milliseconds(1))
    }

    /// A nameserver in use answers nothing for a while: only its own sentinel is silent.
    func killUpstream() {
        let used = scene.publicNames.filter { scene.queries.upstreams.contains($0.address) }
        guard !used.isEmpty else { return }
        let server = world.pick(used)
        guard !server.isDown else { return }
        count(.upstreamDies)
        world.note("-- the nameserver \(server.address) is dead")
        server.isDown = true
        askAll(after: .milliseconds(100))
        world.after(world.between(.seconds(1), .seconds(40))) { [self] in
            server.isDown = false
            server.backAt = world.now
            world.note("-- the nameserver \(server.address) is back")
            askAll(after: .milliseconds(100))
        }
    }

    /// What no resource has is asked of each nameserver, and of one what a resource has.
    private func askAll(after pause: Duration) {
        world.after(pause) { [self] in
            let count = scene.client.configuration?.sentinels.count ?? 0
            for number in 0..<count {
                scene.queries.ask(Plan.mirror, .a, at: number)
                scene.queries.ask(Plan.neighbour, .aaaa, at: number)
            }
            guard count > 0 else { return }
            scene.queries.ask(Plan.web, .a, at: count - 1)
            scene.queries.ask(Plan.web, .txt, at: 0)
        }
    }
}
