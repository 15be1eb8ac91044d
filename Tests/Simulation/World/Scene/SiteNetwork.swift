internal import Bytes
internal import Control
internal import IP
internal import SansIO

/// The site's network: between gateways and servers. It loses nothing, but a gateway may be cut off
/// from some of it, which neither its path to clients nor to the portal shows.
final class SiteNetwork {
    /// What a gateway does not reach.
    struct Cut {
        var servers: [String]
        /// Whether the nameserver is among it.
        var includesNames: Bool
        /// Whether a router says so; else there is silence.
        var isTold: Bool
    }

    /// What says that there is no way.
    private static let router = [Plan.address("10.20.0.254"), Plan.address("fd00:20::fe")]

    unowned let world: World
    /// One way.
    private let delay: Duration
    let servers: [ResourceServer]
    private var gateways: [GatewayHost] = []
    private var cuts: [GatewayID: Cut] = [:]
    /// When the last cut began and ended; nil: it lasts.
    private var lastCut: (began: Instant, ended: Instant?)?

    init(in world: World, delay: Duration, _ servers: [ResourceServer]) {
        (self.world, self.delay, self.servers) = (world, delay, servers)
    }

    func join(_ gateway: GatewayHost) {
        gateways.append(gateway)
        gateway.onPacket = { [unowned self, unowned gateway] in route($0, from: gateway) }
    }

    /// Cuts a gateway off, or joins it again.
    func setCut(_ cut: Cut?, of gateway: GatewayID) {
        cuts[gateway] = cut
        lastCut = cut == nil ? lastCut.map { ($0.began, world.now) } : (world.now, nil)
    }

    /// Whether a connection of that age stays where it began, at a gateway that was cut off at
    /// `instant` or since.
    func mayHold(_ openedAt: Instant, since instant: Instant) -> Bool {
        lastCut.map { $0.began >= openedAt && ($0.ended ?? world.now) >= instant } ?? false
    }

    /// Whether a gateway reaches the nameserver.
    func reachesNames(_ gateway: GatewayID) -> Bool { cuts[gateway]?.includesNames != true }

    func server(at address: IPAddress) -> ResourceServer? {
        servers.first { $0.addresses.contains(address) }
    }

    private func route(_ packet: [UInt8], from gateway: GatewayHost) {
        guard let header = try? PacketHeader(packet.rawSpan),
            let server = server(at: header.destination)
        else { return }
        world.after(delay) { [self] in
            if let cut = cuts[gateway.id], cut.servers.contains(server.name) {
                return refuse(packet, header, cut)
            }
            for answer in server.receive(packet) where !answer.isEmpty {
                routeBack(answer, from: server)
            }
        }
    }

    private func refuse(_ packet: [UInt8], _ header: PacketHeader, _ cut: Cut) {
        guard cut.isTold, let router = Self.router.first(where: { $0.family == header.family }),
            let error = try? Refusal.hostUnreachable.answer(to: packet.rawSpan, from: router)
        else { return }
        routeBack(error, from: nil)
    }

    private func routeBack(_ packet: [UInt8], from server: ResourceServer?) {
        guard let header = try? PacketHeader(packet.rawSpan),
            let gateway = gateways.first(where: { $0.addresses.contains(header.destination) })
        else { return }
        world.after(delay) { [self] in
            if let server, cuts[gateway.id]?.servers.contains(server.name) == true { return }
            gateway.receive(packet)
        }
    }
}
