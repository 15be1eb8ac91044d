internal import Bytes
internal import Control
internal import IP
internal import Policy
internal import SansIO

/// The portal as a script around the real policy engine: sessions, requests, leases, changes.
///
/// It stands for the server, of which it keeps the order: the directory changes first, then leases
/// are decided again, then clients are told what they may see. Messages travel as values.
final class PortalHost {
    /// A lease that was given.
    struct LeaseRecord {
        let id: LeaseID
        let client: ClientID
        let resource: ResourceID
        let gateway: GatewayID
        var revision: UInt64
        let request: RequestID
        /// Whether it only stands by for another gateway.
        var isStandBy: Bool
        var name: String?
        var proxies: [IPAddress]
        /// When it was given last.
        var begunAt: Instant
        var endsAt: Instant
    }

    /// What the portal remembers of a role.
    struct Device {
        var publicKey: KeyText?
        var candidates: [Candidate] = []
        var isOnline = false
    }

    /// A gateway and its session.
    final class GatewaySeat {
        let id: GatewayID
        let channel: ControlChannel
        var device = Device()
        var deliver: (ToGateway) -> Void = { _ in }

        init(_ id: GatewayID, _ channel: ControlChannel) { (self.id, self.channel) = (id, channel) }
    }

    unowned let world: World
    let clientChannel: ControlChannel
    let gateways: [GatewaySeat]
    let client: ClientID
    /// How long a lease lives unless extended.
    let leaseLifetime: Duration
    /// How long it waits for gateways after its start.
    private let gatewayReturnTime: Duration = .seconds(15)
    /// Whether it waits for relays after its start: who was here before keeps those that it has.
    var isSettling = false
    var directory: Directory
    var leases: [LeaseRecord] = []
    var clientDevice = Device()
    /// Where the client's connection comes from, as conditions see it.
    var clientRemote: IPAddress?
    /// The relays that it deals.
    var relays: [RelaySeat] = []
    /// A mistake, made on purpose.
    var believesFirstCandidates = false
    /// The same: what gateways say of resources is not listened to.
    var ignoresReach = false
    /// Which gateways said that they do not reach which resources.
    var reach = ReachTable()
    /// How often the client was asked to take another gateway for a resource.
    var moves: [ResourceID: Int] = [:]
    /// How long dealt credentials live.
    var credentialLifetime: Duration = .seconds(3_600)

    var toClient: (ToClient) -> Void = { _ in }

    private var instance = 1
    var revision: UInt64 = 1
    var channelRevision: UInt64 = 1
    var shown: [ResourceForClient] = []
    var shownDNS = DNSSettings()
    var denied: [ResourceID] = []
    /// When the client was last told that a denial is to be forgotten.
    var toldChangedAt: [ResourceID: Instant] = [:]
    /// Gateways that were there when the process ended, and are waited for after its start.
    var awaited: [GatewayID] = []
    /// Requests that only those can serve.
    var waiting: [FromRole.Authorize] = []
    /// Endings that the client has not heard of, since it was away.
    var missed: [ToClient.LeaseEnded] = []
    var answers = AnswerCache<RequestID, ToClient>(countMax: 256)
    var isSiteShownOnline = false
    var leaseCount = 0
    var orderCount = 0

    init(
        in world: World,
        directory: Directory,
        client: ClientID,
        gateways: [GatewayID],
        leaseLifetime: Duration,
        clientDelay: Duration,
        gatewayDelay: Duration
    ) {
        (self.world, self.directory) = (world, directory)
        (self.client, self.leaseLifetime) = (client, leaseLifetime)
        clientChannel = ControlChannel("client", delay: clientDelay, in: world)
        self.gateways = gateways.map {
            GatewaySeat($0, ControlChannel($0.text, delay: gatewayDelay, in: world))
        }
        clientChannel.onBreakAtPortal = { [unowned self] in
            clientDevice.isOnline = false
            waiting = []
        }
        for seat in self.gateways {
            seat.channel.onBreakAtPortal = { [unowned self, unowned seat] in
                gatewayLeft(seat, politely: false)
            }
        }
    }

    var isRunning: Bool { clientChannel.isPortalRunning }

    private var channels: [ControlChannel] {
        [clientChannel] + gateways.map(\.channel) + relays.map(\.channel)
    }

    /// The process is gone; what it wrote down stays.
    func stop() {
        awaited += gateways.filter(\.device.isOnline).map(\.id).filter { !awaited.contains($0) }
        waiting = []
        for channel in channels {
            channel.isPortalRunning = false
            channel.breakNow()
        }
    }

    /// The process is back, with what was written down.
    func start() {
        instance += 1
        isSiteShownOnline = false
        answers = AnswerCache(countMax: 256)
        reach = ReachTable()
        for channel in channels { channel.isPortalRunning = true }
        let started = instance
        isSettling = true
        world.after(gatewayReturnTime) { [weak self] in
            guard let self, instance == started else { return }
            (awaited, isSettling) = ([], false)
            dealAnew()
            decideWaiting()
        }
    }

    /// Seconds since 1970.
    var wallSeconds: Int64 { Int64(1_790_000_000) + world.elapsed.components.seconds }

    var context: Context {
        Context(now: WallTime(seconds: wallSeconds), remote: clientRemote)
    }

    var instanceName: String { "portal-\(instance)" }

    func isAllowed(_ resource: ResourceID) -> Bool {
        directory.decide(client: client, resource: resource, in: context).isAllowed
    }

    /// Whether the resource belongs to the site where the gateways are.
    func isAtGateways(_ resource: ResourceID) -> Bool {
        directory.resources[resource]?.site == Plan.site
    }

    /// Whether the client was denied the resource, and cannot have heard yet that this is over.
    func mayBelieveDenied(_ resource: ResourceID) -> Bool {
        if denied.contains(resource) { return true }
        guard let told = toldChangedAt[resource] else { return false }
        return told.duration(to: world.now) <= clientChannel.delay
    }

    func seat(_ id: GatewayID) -> GatewaySeat? { gateways.first { $0.id == id } }

    /// What is believed of where a role can be reached.
    func believed(_ told: [Candidate], _ before: [Candidate]) -> [Candidate] {
        let isKnown = before.contains { $0.kind != .host }
        return believesFirstCandidates && isKnown ? before : told
    }

    /// Whether any gateway could serve.
    var isAnyGatewayOnline: Bool { gateways.contains { $0.device.isOnline } }

    /// What the client may see, as the directory says now.
    var visible: [ResourceForClient] {
        directory.resources(for: client).compactMap { resource in
            guard let site = directory.sites[resource.site] else { return nil }
            return ResourceForClient(
                id: resource.id,
                name: resource.name,
                address: resource.address,
                alias: resource.alias,
                filters: resource.filters,
                family: resource.family,
                site: SiteReference(id: site.id, name: site.name),
                online: isSiteShownOnline && site.id == Plan.site
            )
        }
    }

    func send(_ message: ToClient) {
        guard clientDevice.isOnline else { return }
        world.note("portal → client: \(message.type)")
        clientChannel.sendToRole { [unowned self] in toClient(message) }
    }

    func send(_ message: ToGateway, to seat: GatewaySeat) {
        guard seat.device.isOnline else { return }
        world.note("portal → \(seat.id): \(message.type)")
        seat.channel.sendToRole { [unowned seat] in seat.deliver(message) }
    }

    func send(_ message: ToGateway, to gateway: GatewayID) {
        if let seat = seat(gateway) { send(message, to: seat) }
    }
}
