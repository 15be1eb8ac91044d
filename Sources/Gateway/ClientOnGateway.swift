internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO
internal import Translation

/// A client, as its gateway knows it: what it may reach, which names it uses, which flows it has.
///
/// A class, though only one gateway ever holds it: its parts are changed where they lie.
final class ClientOnGateway {
    /// Bounds of what one client may make the gateway do.
    enum Limits {
        /// Refusals (ICMP errors and resets) a second, and at once.
        static var refusals: (perSecond: Int, burst: Int) { (100, 200) }
        /// Names looked up a second for names frames, and at once.
        static var lookups: (perSecond: Int, burst: Int) { (100, 400) }
        /// Queries for the site's records a second, and at once.
        static var queries: (perSecond: Int, burst: Int) { (200, 400) }
        /// Queries that nameservers are being asked for.
        static var queriesAtOnce: Int { 128 }
    }

    let id: ClientID
    /// Where it stands in the pool; its slot there is its slot here.
    var peer: PeerIndex
    /// What the pool was told of it.
    var configuration: PeerConfiguration
    /// The source addresses that its packets must have.
    var tunnel: [IPAddress]
    /// The device's name and its owner, for the flow log.
    var device: String?
    var person: String?
    var isConnected = false
    var grants = Grants()
    var names = NameTable()
    var nat: NAT
    var labels = FlowLabels()
    /// What came before its grant.
    var early = EarlyArrivals()
    var fragmentsOut = FragmentTable()
    var fragmentsIn = FragmentTable()
    /// Fragments that wait for others, in both directions.
    var piecesOut = Reassembly()
    var piecesIn = Reassembly()
    var refusals = TokenBucket(
        perSecond: Limits.refusals.perSecond,
        burst: Limits.refusals.burst
    )
    var lookups = TokenBucket(perSecond: Limits.lookups.perSecond, burst: Limits.lookups.burst)
    var queries = TokenBucket(perSecond: Limits.queries.perSecond, burst: Limits.queries.burst)
    var queryCount = 0

    /// The seed is that of its table of flows, and secret.
    init(
        _ client: ClientForGateway,
        peer: PeerIndex,
        configuration: PeerConfiguration,
        seed: UInt64
    ) {
        (id, device, person, tunnel) = (client.id, client.device, client.person, client.tunnel)
        (self.peer, self.configuration) = (peer, configuration)
        nat = NAT(flowsMax: Gateway.Limits.flowsPerClient, seed: seed)
    }

    /// One that another process knew.
    init(
        id: ClientID,
        tunnel: [IPAddress],
        peer: PeerIndex,
        configuration: PeerConfiguration,
        nat: NAT
    ) {
        (self.id, self.tunnel, self.peer) = (id, tunnel, peer)
        (self.configuration, self.nat) = (configuration, nat)
    }
}

// MARK: - Rules

extension ClientOnGateway {
    /// What becomes of a packet that begins a flow.
    enum Choice: Equatable {
        /// It may pass, by this resource; for a name, the one to resolve.
        case permitted(UInt32, name: Name?, realName: Name?)
        /// A resource covers it, and its filters forbid it.
        case filtered
        /// Nothing that the client may reach has this address.
        case uncovered
        /// A proxy address that stands for nothing.
        case unknownProxy
    }

    /// Proxy addresses by their names, other addresses by network (behaviour 5.4).
    func choice(for key: FlowKey, _ plan: AddressPlan) -> Choice {
        if plan.tunnel.contains(where: { $0.contains(key.destination) }) { return .uncovered }
        if plan.sentinels.contains(where: { $0.contains(key.destination) }) { return .uncovered }
        guard plan.proxies.contains(where: { $0.contains(key.destination) }) else {
            return switch grants.choice(for: key) {
            case .permitted(let number): .permitted(number, name: nil, realName: nil)
            case .filtered: .filtered
            case .uncovered: .uncovered
            }
        }
        guard let name = names.name(of: key.destination), let entry = names[name] else {
            return .unknownProxy
        }
        switch grants.choice(for: key, among: entry.claims.map(\.resource)) {
        case .permitted(let number):
            let claim = entry.claims.first { $0.resource == number }
            return .permitted(number, name: name, realName: claim?.realName)
        case .filtered: return .filtered
        case .uncovered: return .unknownProxy
        }
    }

    /// Whether a running flow is still permitted; one that is not ends.
    func stillPermits(_ index: Int, _ plan: AddressPlan) -> Bool {
        let flow = nat[index]
        guard flow.checkedRevision != grants.revision else { return true }
        guard case .permitted(let number, _, _) = choice(for: flow.inside, plan) else {
            nat.remove(index, .revoked)
            return false
        }
        nat.markChecked(index, resource: number, revision: grants.revision)
        return true
    }
}
