internal import Bytes
internal import DNS
internal import IP
internal import SansIO

/// How one client and one gateway come together, for every pair of networks.
public struct Connectivity: Sendable {
    /// What a pair does by theory, and did.
    public struct Cell: Sendable {
        public let client: String
        public let gateway: String
        /// Whether theory says that a direct path exists.
        public let isDirectByTheory: Bool
        /// Whether packets took one in the end.
        public let isDirect: Bool
        /// From the first packet to its answer; nil: there was none.
        public let connected: Duration?
        /// From the first packet to the last that went through a relay.
        public let settled: Duration
        /// What went wrong in the world; nil: nothing.
        public let failure: String?
    }

    /// Bounds of the promise.
    public enum Limits {
        /// From the first packet to its answer.
        public static var connected: Duration { .milliseconds(1_500) }
        /// One way between any two networks.
        public static var delay: Duration { .milliseconds(50) }
        static var preparation: Duration { .seconds(6) }
        static var trial: Duration { .seconds(10) }
        static var gap: Duration { .milliseconds(50) }
    }

    /// All pairs, clients in the outer order.
    public let cells: [Cell]

    /// What the kinds of networks are called, in the order of the table.
    public static var kinds: [String] { NetworkKind.all.map(\.name) }

    /// Tries all pairs.
    public init() {
        cells = NetworkKind.all.flatMap { client in
            NetworkKind.all.map { gateway in Self.trial(client, gateway).0 }
        }
    }

    /// Tries one pair.
    ///
    /// - Parameters:
    ///   - client: Which of ``kinds`` the client is in.
    ///   - gateway: Which of them the gateway is in.
    /// - Returns: What came of it; nil for a name that is none.
    public static func cell(client: String, gateway: String) -> Cell? {
        guard let one = NetworkKind.all.first(where: { $0.name == client }),
            let other = NetworkKind.all.first(where: { $0.name == gateway })
        else { return nil }
        return trial(one, other).0
    }

    /// One pair: everything is up and quiet, then a program of the client sends to a name.
    private static func trial(
        _ client: NetworkKind,
        _ gateway: NetworkKind,
        isTracing: Bool = false
    ) -> (Cell, [String]) {
        let world = World(seed: 1, isTracing: isTracing)
        let scene = Scene(world, SceneSettings.calm(client.place, gateway.place))
        let contact = FirstContact(scene)
        scene.start()
        world.run(until: world.now.advanced(by: Limits.preparation))
        let start = world.now
        contact.begin(every: Limits.gap)
        let end = start.advanced(by: Limits.trial)
        world.run(until: end)
        let relayed = scene.internet.lastRelayed.map { max($0, start) } ?? start
        let cell = Cell(
            client: client.name,
            gateway: gateway.name,
            isDirectByTheory: Theory.isDirect(client.place, gateway.place),
            isDirect: relayed.duration(to: end) > .seconds(2),
            connected: contact.answeredAt.map { start.duration(to: $0) },
            settled: start.duration(to: relayed),
            failure: world.failure
        )
        return (cell, world.trace)
    }

    /// What happened between two kinds, for people.
    public static func trace(client: String, gateway: String) -> [String] {
        guard let one = NetworkKind.all.first(where: { $0.name == client }),
            let other = NetworkKind.all.first(where: { $0.name == gateway })
        else { return ["Kinds are: " + NetworkKind.all.map(\.name).joined(separator: ", ")] }
        return trial(one, other, isTracing: true).1
    }
}

extension Connectivity.Cell {
    /// What is not as promised; nil: all is well.
    public var problem: String? {
        if let failure { return "\(pair): \(failure)" }
        guard let connected else { return "\(pair): no answer" }
        if connected > Connectivity.Limits.connected {
            return "\(pair): connected after \(World.text(connected)) s"
        }
        if isDirect != isDirectByTheory {
            return "\(pair): \(isDirect ? "direct" : "relayed"), theory says "
                + (isDirectByTheory ? "direct" : "relayed")
        }
        if isDirect, settled > Connectivity.Limits.connected {
            return "\(pair): direct only after \(World.text(settled)) s"
        }
        return nil
    }

    private var pair: String { "client “\(client)”, gateway “\(gateway)”" }
}

extension SceneSettings {
    /// A world in which nothing happens by chance.
    static func calm(_ client: PlaceSettings, _ gateway: PlaceSettings) -> SceneSettings {
        SceneSettings(
            clientPlaces: [client],
            gatewayPlaces: [gateway],
            relayCount: 1,
            quality: Link.Quality(delay: Connectivity.Limits.delay),
            portalDelay: .milliseconds(50),
            gatewayPortalDelay: .milliseconds(50),
            nameDelay: .milliseconds(5),
            siteDelay: .milliseconds(1),
            timeToLive: 300,
            leaseLifetime: .seconds(3_600),
            credentialLifetime: .seconds(86_400),
            absenceSeconds: 86_400,
            avoidsKnown: false
        )
    }
}

/// A program that asks for a name and sends datagrams to it, one after the other.
private final class FirstContact: Applications.Listener {
    private let scene: Scene
    private var port: UInt16 = 0
    private var number: UInt64 = 1 << 40
    private(set) var answeredAt: Instant?

    init(_ scene: Scene) {
        self.scene = scene
        for server in scene.servers { server.onProbe = { _, _ in } }
    }

    func begin(every gap: Duration) {
        port = scene.applications.port(.udp, self)
        scene.queries.ask(Plan.web, .a) { [self] addresses in
            if let first = addresses.first { send(to: first, every: gap) }
        }
    }

    private func send(to address: IPAddress, every gap: Duration) {
        number += 1
        let ip = IPHeader(from: scene.applications.address(address.family), to: address)
        let udp = UDPHeader(sourcePort: port, destinationPort: Plan.udpPorts[0])
        let payload = ProbePayload(probe: number, byteCount: Internet.largeByteCount).bytes
        scene.client.send(ip.packet(udp, payload: payload))
        scene.world.after(gap) { [self] in send(to: address, every: gap) }
    }

    func receive(_ packet: [UInt8], _ header: PacketHeader) {
        if answeredAt == nil { answeredAt = scene.world.now }
    }

    func receive(error: Applications.Told, about quoted: PacketHeader) {}
}
