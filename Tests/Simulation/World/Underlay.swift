internal import Bytes
internal import IP
internal import SansIO
internal import WireGuard

/// The internet between the client's NAT and the gateway, and what passes there.
///
/// It fails the world for any datagram that is not WireGuard's, or that shows what is inside.
final class Underlay {
    /// A network that the client can be in.
    struct Network {
        let local: IPAddress
        let nat: NATBox
    }

    unowned let world: World
    let toGateway: Link
    let toClient: Link
    let networks: [Network]
    /// The network that the client is in.
    private(set) var place = 0
    let gatewayEndpoint: Endpoint
    /// The client's port.
    let clientPort: UInt16 = 51_820
    /// Openers are short and hold nothing (the gateway's own limit).
    private let openerByteCount = 8
    private(set) var datagramCount = 0
    /// What a listener on the way could have kept.
    private var overheard: [UInt8]?

    var deliverToGateway: (_ bytes: [UInt8], _ remote: Endpoint, _ local: Endpoint) -> Void = {
        _,
        _,
        _ in
    }
    var deliverToClient: (_ bytes: [UInt8], _ remote: Endpoint, _ local: Endpoint) -> Void = {
        _,
        _,
        _ in
    }

    init(
        in world: World,
        toGateway: Link,
        toClient: Link,
        networks: [Network],
        gatewayEndpoint: Endpoint
    ) {
        (self.world, self.toGateway, self.toClient) = (world, toGateway, toClient)
        (self.networks, self.gatewayEndpoint) = (networks, gatewayEndpoint)
    }

    var network: Network { networks[place] }

    /// The client's own endpoint now.
    var clientEndpoint: Endpoint { Endpoint(network.local, port: clientPort) }

    /// The client goes to the next network.
    func roam() { place = (place + 1) % networks.count }

    /// The latest loss by chance, either way.
    var lostAt: Instant? {
        guard let one = toGateway.lostAt, let other = toClient.lostAt else {
            return toGateway.lostAt ?? toClient.lostAt
        }
        return max(one, other)
    }

    var isCut: Bool {
        get { toGateway.isCut }
        set { (toGateway.isCut, toClient.isCut) = (newValue, newValue) }
    }

    func sendFromClient(_ bytes: [UInt8], to remote: Endpoint) {
        inspect(bytes, from: "client")
        guard remote == gatewayEndpoint else { return }
        let outside = network.nat.outbound(from: clientEndpoint, to: remote, at: world.now)
        toGateway.carry { [self] in
            // What never arrived would be news, from wherever it comes.
            if bytes.count > 64 { overheard = bytes }
            deliverToGateway(bytes, outside, gatewayEndpoint)
        }
    }

    /// Somebody on the way sends again what the client sent, from an endpoint of its own.
    func replay() {
        guard let overheard else { return }
        let stranger = Endpoint(gatewayEndpoint.address.advanced(by: 77), port: 40_000)
        toGateway.carry { [self] in deliverToGateway(overheard, stranger, gatewayEndpoint) }
    }

    func sendFromGateway(_ bytes: [UInt8], to remote: Endpoint) {
        inspect(bytes, from: "gateway")
        toClient.carry { [self] in
            let inside = network.nat.inbound(from: gatewayEndpoint, to: remote, at: world.now)
            guard let inside, inside == clientEndpoint else { return }
            deliverToClient(bytes, gatewayEndpoint, inside)
        }
    }

    private func inspect(_ bytes: [UInt8], from sender: String) {
        datagramCount += 1
        world.mix(UInt64(bytes.count))
        let kind = MessageKind(of: bytes.rawSpan)
        world.note(
            "\(sender) sends \(kind.map { "\($0)" } ?? "\(bytes.count) bytes"), \(bytes.count)"
        )
        let isOpener = bytes.count == openerByteCount && bytes.allSatisfy { $0 == 0 }
        if kind == nil, !isOpener {
            world.fail("\(sender) sends a datagram that is not WireGuard's")
        }
        if ProbePayload.shows(in: bytes) {
            world.fail("\(sender) sends what is inside unencrypted")
        }
    }
}
