internal import Bytes
internal import IP
internal import SansIO

/// A place where hosts are: a home, an office, a data centre.
final class Network {
    let name: String
    /// Which families it offers.
    let families: [IPFamily]
    /// What translates its IPv4; nil: its addresses are public.
    let nat: NATBox?
    /// What filters its IPv6; nil: nothing does.
    let firewall: NATBox?
    /// Whether it lets no UDP through.
    let blocksUDP: Bool
    fileprivate(set) var hosts: [Internet.Host] = []

    init(
        _ name: String,
        families: [IPFamily] = IPFamily.allCases,
        nat: NATBox? = nil,
        firewall: NATBox? = nil,
        blocksUDP: Bool = false
    ) {
        (self.name, self.families) = (name, families)
        (self.nat, self.firewall, self.blocksUDP) = (nat, firewall, blocksUDP)
    }

    fileprivate func box(_ family: IPFamily) -> NATBox? { family == .ipv4 ? nat : firewall }

    fileprivate func host(at address: IPAddress) -> Internet.Host? {
        hosts.first { $0.addresses.contains(address) }
    }
}

/// All networks and what lies between them.
///
/// It fails the world for any datagram of a host that shows what is inside, or that is of no
/// protocol of ours.
final class Internet {
    /// A host with its addresses in the network that it is in.
    final class Host {
        let name: String
        fileprivate(set) var network: Network
        fileprivate(set) var addresses: [IPAddress]
        /// The port of its main socket.
        let port: UInt16
        /// A datagram for it.
        var deliver: (_ bytes: [UInt8], _ remote: Endpoint, _ local: Endpoint) -> Void = {
            _,
            _,
            _ in
        }

        /// A datagram to an endpoint of the host itself.
        var onLoopback: (_ bytes: [UInt8], _ remote: Endpoint) -> Void = { _, _ in }

        fileprivate init(
            _ name: String,
            _ network: Network,
            _ addresses: [IPAddress],
            port: UInt16
        ) {
            (self.name, self.network, self.addresses, self.port) = (name, network, addresses, port)
        }

        func address(_ family: IPFamily) -> IPAddress? {
            addresses.first { $0.family == family }
        }
    }

    private struct Pair: Hashable {
        var from: ObjectIdentifier
        var to: ObjectIdentifier
    }

    /// Bytes of what applications send when it shall be told from probes.
    static let largeByteCount = 1_100
    /// The main port of relays.
    static let relayPort: UInt16 = 3_478

    /// Inside one network.
    private let shortDelay: Duration = .microseconds(200)

    unowned let world: World
    /// What links are like unless set otherwise.
    private let quality: Link.Quality
    private var links: [Pair: Link] = [:]
    /// Public addresses.
    private var owners: [IPAddress: Network] = [:]
    private(set) var datagramCount = 0
    private(set) var byteCount = 0
    /// Connections to relays that stand.
    var openStreams = 0
    /// When a relay sent something large, last.
    private(set) var lastRelayed: Instant?
    /// When something was lost by chance, last.
    private(set) var lostAt: Instant?
    /// Looks at everything that a host sends: what is wrong with it, or nil.
    var inspect: (_ bytes: [UInt8], _ sender: Host, _ remote: Endpoint) -> String? = { _, _, _ in
        nil
    }
    /// Decides of a datagram that was just sent whether it is lost for a reason of the test.
    var isDropped: (_ bytes: [UInt8], _ sender: Host, _ remote: Endpoint) -> Bool = { _, _, _ in
        false
    }

    init(in world: World, _ quality: Link.Quality) {
        (self.world, self.quality) = (world, quality)
    }

    // MARK: Who is where

    /// A new host.
    func add(_ name: String, in network: Network, _ addresses: [IPAddress], port: UInt16) -> Host {
        let host = Host(name, network, addresses, port: port)
        enter(host, network)
        return host
    }

    /// The host goes to another network, or gets other addresses in the same one.
    func move(_ host: Host, to network: Network, _ addresses: [IPAddress]) {
        for address in host.addresses where owners[address] === host.network {
            owners[address] = nil
        }
        host.network.hosts.removeAll { $0 === host }
        (host.network, host.addresses) = (network, addresses)
        enter(host, network)
    }

    private func enter(_ host: Host, _ network: Network) {
        network.hosts.append(host)
        for address in host.addresses where network.nat == nil || !address.isIPv4 {
            owners[address] = network
        }
        if let nat = network.nat { owners[nat.external] = network }
    }

    /// The network's NAT gets another outside address.
    func renumber(_ network: Network, to address: IPAddress) {
        guard let nat = network.nat else { return }
        owners[nat.external] = nil
        nat.renumber(to: address)
        owners[address] = network
    }

    /// The network's boxes forget everything; streams through them are dead.
    func forget(_ network: Network) {
        network.nat?.reset()
        network.firewall?.reset()
    }

    /// Whether somebody has a public address.
    func isTaken(_ address: IPAddress) -> Bool { owners[address] != nil }

    // MARK: What lies between

    private func pair(_ one: Network, _ other: Network) -> Pair {
        Pair(from: ObjectIdentifier(one), to: ObjectIdentifier(other))
    }

    /// The way from one network to another.
    func link(_ one: Network, _ other: Network) -> Link {
        let key = pair(one, other)
        if let link = links[key] { return link }
        let link = Link(one === other ? .near(shortDelay) : quality, in: world)
        links[key] = link
        return link
    }

    /// Between two networks nothing passes, or does again.
    func setCut(_ isCut: Bool, between one: Network, and other: Network) {
        link(one, other).isCut = isCut
        link(other, one).isCut = isCut
    }

    // MARK: Datagrams

    /// A host sends a datagram; `local` may leave address and port to the kernel.
    func send(_ bytes: [UInt8], from host: Host, local: Endpoint, to remote: Endpoint) {
        note(bytes, host, remote)
        guard !remote.address.isLoopback else { return host.onLoopback(bytes, remote) }
        let family = remote.address.family
        guard let source = source(host, local, family) else { return }
        guard !isDropped(bytes, host, remote) else { return }
        let (network, now) = (host.network, world.now)
        let inside = Endpoint(source, port: local.port == 0 ? host.port : local.port)
        if let neighbour = network.host(at: remote.address) {
            return carry(network, network) { neighbour.deliver(bytes, inside, remote) }
        }
        guard !network.blocksUDP, network.families.contains(family) else { return }
        let box = network.box(family)
        let outside = box?.outbound(from: inside, to: remote, at: now) ?? inside
        guard let target = owners[remote.address] else { return }
        if target === network {
            guard let box, box.behaviour.hairpins else { return }
        }
        carry(network, target) { [self] in arrive(bytes, from: outside, at: remote) }
    }

    private func source(_ host: Host, _ local: Endpoint, _ family: IPFamily) -> IPAddress? {
        let isOpen = local == .unspecified || local.high == 0 && local.low == 0
        guard !isOpen else { return host.address(family) }
        // The kernel lets nobody send from an address that is not there.
        return host.addresses.contains(local.address) && local.address.family == family
            ? local.address : nil
    }

    private func carry(_ one: Network, _ other: Network, _ arrive: @escaping () -> Void) {
        let link = link(one, other)
        link.carry(arrive)
        if link.lostAt == world.now { lostAt = world.now }
    }

    private func arrive(_ bytes: [UInt8], from outside: Endpoint, at remote: Endpoint) {
        guard let network = owners[remote.address], !network.blocksUDP else { return }
        let target =
            network.box(remote.address.family).map {
                $0.inbound(from: outside, to: remote, at: world.now)
            } ?? remote
        guard let target, let host = network.host(at: target.address) else { return }
        host.deliver(bytes, outside, target)
    }

    private func note(_ bytes: [UInt8], _ host: Host, _ remote: Endpoint) {
        datagramCount += 1
        if bytes.count > Self.largeByteCount, host.port == Self.relayPort {
            lastRelayed = world.now
        }
        byteCount += bytes.count
        world.mix(UInt64(bytes.count))
        world.mix(UInt64(remote.port))
        if let problem = inspect(bytes, host, remote) {
            world.fail("\(host.name) sends \(problem)")
        }
    }

    /// Somebody on the way sends something from an address of its own.
    func forge(_ bytes: [UInt8], from remote: Endpoint, to target: Endpoint) {
        guard owners[target.address] != nil else { return }
        world.after(quality.delay) { [self] in arrive(bytes, from: remote, at: target) }
    }
}
