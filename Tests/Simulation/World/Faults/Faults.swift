internal import Control
internal import IP
internal import Policy
internal import SansIO

/// What may happen to a world beside traffic.
public enum Fault: String, Sendable, CaseIterable {
    case policyChanged, filtersChanged, verificationChanged, membershipChanged, resourceChanged
    case siteChanged, recordsChanged, upstreamsChanged, adminUpstreamsChanged, upstreamDies
    case natForgets, natIsRenumbered, gatewayNATForgets, gatewayNATIsRenumbered, allNATsForget
    case clientRoams, pathIsCut
    case clientIsKilled, clientSleeps, gatewayIsKilled, gatewayStops
    case gatewayIsCutOff, gatewayIsUpgraded
    case portalRestarts, clientLosesPortal, gatewayLosesPortal
    case relayIsKilled, relayStops, relayIsReplaced, relayIsCut
}

/// Everything that may happen to the world, each with the bound after which it must not be felt.
final class Faults {
    /// Bounds of recovery (the failure matrix), with the time of the messages that they rest on.
    enum Bounds {
        /// A NAT forgot, the client moved or slept, the network was away, a relay is gone.
        static let path: Duration = .seconds(1)
        /// A gateway is back, or another one serves.
        static let gateway: Duration = .seconds(3)
        /// A change of policy is obeyed.
        static let revocation: Duration = .milliseconds(100)
        /// Healed by it alone, when the portal is away.
        static let keepalive: Duration = .seconds(25)
        /// A network without UDP is found out, and a stream opened through it.
        static let stream: Duration = .seconds(3)
        /// A new connection to what its gateway does not reach.
        static let reach: Duration = .seconds(2)
    }

    unowned let scene: Scene
    /// How often each was done.
    private(set) var counts: [Fault: Int] = [:]
    /// Connections that faults open by themselves.
    private var streamCount = 1_000_000
    var isVerified = true
    var isMember = true
    var removed: [ResourceID] = []
    var removedResources: [ResourceID] = []
    /// The resource that is at another site now.
    var moved: ResourceID?
    var filters: [ResourceID: [Filter]] = [:]
    var busyGateways: [GatewayID] = []
    var busyRelays: [RelayID] = []
    /// Whether the last relay is away.
    var isWithoutRelays = false
    /// What comes of it when anything else happens.
    var relayLack: Calm.Disturbance?
    var isPortalBusy = false
    /// All that NATs knew was forgotten: until it is healed nobody can do without the portal.
    var forgotten: Calm.Disturbance?
    var isPortalNeeded: Bool {
        forgotten.map { $0.end.map { $0 > world.now } ?? true } ?? false
    }
    var isPathBusy = false
    var isClientBusy = false
    /// The latest disturbance by an absence of the client.
    var clientAbsence: Calm.Disturbance?
    /// A long time without the portal, while it lasts.
    var absence: Calm.Disturbance?

    init(_ scene: Scene) { self.scene = scene }

    var world: World { scene.world }
    var calm: Calm { scene.calm }
    var portal: PortalHost { scene.portal }

    /// A number for a connection of a fault.
    func nextStream() -> Int {
        streamCount += 1
        return streamCount
    }

    func count(_ fault: Fault) { counts[fault, default: 0] += 1 }

    /// Does one of all.
    func inflict() { inflict(world.pick(Fault.allCases)) }

    /// Does it, where it can be done now, and counts it then.
    func inflict(_ fault: Fault) {
        noteLackOfRelays()
        let before = calm.count
        perform(fault)
        if calm.count > before { count(fault) }
    }

    private func perform(_ fault: Fault) {
        switch fault {
        case .policyChanged: changePolicy()
        case .filtersChanged: changeFilters()
        case .verificationChanged: changeVerification()
        case .membershipChanged: changeMembership()
        case .resourceChanged: changeResource()
        case .siteChanged: changeSite()
        case .recordsChanged: changeRecords()
        case .upstreamsChanged: changeUpstreams()
        case .adminUpstreamsChanged: changeAdminUpstreams()
        case .upstreamDies: killUpstream()
        case .natForgets: resetNAT(of: [scene.client.place])
        case .gatewayNATForgets: resetNAT(of: [world.pick(scene.gateways).place])
        case .allNATsForget: resetNAT(of: [scene.client.place] + scene.gateways.map(\.place))
        case .natIsRenumbered: renumber(scene.client.place)
        case .gatewayNATIsRenumbered: renumber(world.pick(scene.gateways).place)
        case .clientRoams: roam()
        case .pathIsCut: partition()
        case .clientIsKilled: restartClient()
        case .clientSleeps: suspend()
        case .gatewayIsKilled: crashGateway()
        case .gatewayStops: stopGateway()
        case .gatewayIsCutOff: cutOffGateway()
        case .gatewayIsUpgraded: upgradeGateway()
        case .portalRestarts: restartPortal()
        case .clientLosesPortal: cutPortalFromClient()
        case .gatewayLosesPortal: cutPortalFromGateway()
        case .relayIsKilled: crashRelay()
        case .relayStops: stopRelay()
        case .relayIsReplaced: replaceRelay()
        case .relayIsCut: partitionRelay()
        }
    }

    /// A round trip of a probe on the path, a relay between being a second path.
    var trip: Duration {
        let one = (scene.settings.quality.delay + scene.settings.quality.jitter) * 2
        return scene.settings.relayCount > 0 ? one * 2 : one
    }

    /// A request and its answer at the portal, and the order to the gateway.
    var portalTrip: Duration {
        max(portal.clientChannel.delay * 2, portal.clientChannel.delay + gatewayDelay)
    }

    /// A punch by way of the portal to a gateway, and its candidates back.
    var punchTrip: Duration { (portal.clientChannel.delay + gatewayDelay) * 2 }

    private var gatewayDelay: Duration { scene.settings.gatewayPortalDelay }

    /// Messages to both sides, and what is on its way.
    var spread: Duration {
        max(portal.clientChannel.delay, gatewayDelay) * 2
            + scene.settings.quality.delay * 2 + .milliseconds(600)
    }

    /// Whether every role would hear of a change.
    var canTell: Bool {
        portal.isRunning && portal.clientDevice.isOnline && !portal.clientChannel.isCut
            && portal.gateways.allSatisfy { $0.device.isOnline && !$0.channel.isCut }
            && !isPortalBusy
    }
}
