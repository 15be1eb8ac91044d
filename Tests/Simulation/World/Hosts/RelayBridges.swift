internal import Bytes
internal import Control
internal import IP
internal import SansIO

/// The streams of one role's host to relays, as its daemon keeps them.
final class RelayBridges {
    private unowned let internet: Internet
    private let host: Internet.Host
    private var pipes: [(relay: RelayID, pipe: StreamPipe)] = []
    private var connecting: [RelayID] = []
    /// What is wanted: a stream that breaks is opened again, at once where it lasted, then after
    /// longer and longer pauses.
    private var wanted: [(relay: RelayForRole, pause: Duration)] = []
    private var nextPort: UInt16 = 40_000
    /// How many processes have ended: what they began comes to nothing.
    private var life = 0
    /// Who listens at the endpoint that a relay told.
    var listener: (Endpoint) -> RelayHost? = { _ in nil }
    /// A datagram that came by a stream.
    var deliver: (_ bytes: [UInt8], _ remote: Endpoint, _ local: Endpoint) -> Void = { _, _, _ in }
    /// The stream stands (with its bridge), or is over.
    var tell: (RelayID, Endpoint?) -> Void = { _, _ in }

    init(_ internet: Internet, _ host: Internet.Host) {
        (self.internet, self.host) = (internet, host)
        host.onLoopback = { [unowned self] bytes, remote in
            pipes.first { $0.pipe.nearBridge == remote }?.pipe.sendFromNear(bytes)
        }
    }

    private var world: World { internet.world }

    /// Keeps a stream open until ``disconnect(_:)``.
    func connect(_ relay: RelayForRole) {
        wanted.removeAll { $0.relay.id == relay.id }
        wanted.append((relay, .seconds(1)))
        attempt(relay)
    }

    /// It broke, or could not be opened.
    private func failed(_ id: RelayID) {
        tell(id, nil)
        guard let place = wanted.firstIndex(where: { $0.relay.id == id }) else { return }
        let (relay, pause) = wanted[place]
        wanted[place].pause = max(min(pause * 2, .seconds(30)), .seconds(1))
        world.after(pause) { [self] in
            if wanted.contains(where: { $0.relay == relay }) { attempt(relay) }
        }
    }

    /// Opens a stream: TCP and TLS take three round trips.
    private func attempt(_ relay: RelayForRole) {
        let (id, network) = (relay.id, host.network)
        guard !connecting.contains(id), !pipes.contains(where: { $0.relay == id }) else { return }
        let endpoint = (relay.tls + relay.tcp).first {
            network.families.contains($0.address.family)
        }
        guard let endpoint, let target = listener(endpoint) else {
            return world.after(.zero) { [self] in failed(id) }
        }
        connecting.append(id)
        let link = internet.link(network, target.host.network)
        // Refused at once where the host lives and nobody listens, else after a while.
        let taken = link.isCut ? .seconds(5) : link.quality.delay * 6
        world.note("\(host.name) opens a stream to \(id)")
        let begun = life
        world.after(taken) { [self] in
            guard life == begun else { return }
            connecting.removeAll { $0 == id }
            guard !link.isCut, target.isRunning, host.network === network else {
                return failed(id)
            }
            open(id, target)
        }
    }

    private func open(_ id: RelayID, _ target: RelayHost) {
        nextPort += 1
        let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0001), port: nextPort)
        guard let pipe = target.accept(from: host, bridge) else { return failed(id) }
        pipes.append((id, pipe))
        pipe.deliverToNear = { [unowned self] bytes in
            deliver(bytes, bridge, Endpoint(IPAddress(ipv4: 0x7f00_0001), port: host.port))
        }
        let openedAt = world.now
        pipe.onBreakAtNear = { [unowned self] in
            let isKnown = pipes.contains { $0.pipe === pipe }
            pipes.removeAll { $0.pipe === pipe }
            let hasLasted = openedAt.duration(to: world.now) >= .seconds(10)
            if hasLasted, let place = wanted.firstIndex(where: { $0.relay.id == id }) {
                wanted[place].pause = .zero
            }
            if isKnown { failed(id) }
        }
        if let place = wanted.firstIndex(where: { $0.relay.id == id }) {
            wanted[place].pause = .seconds(1)
        }
        tell(id, bridge)
    }

    func disconnect(_ id: RelayID) {
        wanted.removeAll { $0.relay.id == id }
        let own = pipes.filter { $0.relay == id }
        pipes.removeAll { $0.relay == id }
        for entry in own { entry.pipe.close() }
    }

    /// The process is gone.
    func closeAll() {
        let all = pipes
        (pipes, connecting, wanted) = ([], [], [])
        life += 1
        for entry in all { entry.pipe.close() }
    }
}
