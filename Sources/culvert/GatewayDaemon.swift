internal import Bytes
internal import Control
internal import Daemon
internal import Foundation
internal import Gateway
internal import IP
internal import Linux
internal import Logging
internal import SansIO
internal import WireGuard

/// The gateway's core joined to its edges: tunnel device, sockets, kernel NAT, control channel.
struct GatewayDaemon: Sendable {
    /// What the command line decided.
    struct Options: Sendable {
        let token: Token
        let name: String
        let port: UInt16
        let metricsPort: UInt16
        let region: String?
        let masquerades: Bool
        let setsSysctls: Bool
        let statePath: String
        let socketPath: String
    }

    private typealias Machine = Gateway::Gateway
    private typealias Plane = DataPlane<Gateway::Gateway>

    let options: Options
    let logger: Logger
    private let lookup: HostLookup
    private let dialer: UpstreamDialer
    /// For what was said last to get through the streams that carry it.
    private static let partingTime = Duration.milliseconds(100)

    init(options: Options, logger: Logger) {
        (self.options, self.logger) = (options, logger)
        lookup = HostLookup(mark: nil) { HostFacts.nameServers(of: "/etc/resolv.conf") }
        dialer = UpstreamDialer(mark: nil, lookup: lookup)
    }

    /// Runs until SIGTERM or SIGINT, and puts the host back.
    func run() async throws {
        let state = try StateFolder(path: options.statePath, role: "gateway")
        defer { withExtendedLifetime(state) {} }
        let device = try HostFacts.inWords { try TunnelDevice() }
        try HostFacts.inWords { try device.configure() }
        let index = device.index
        var host = try GatewayHost(
            interface: device.name,
            index: index,
            options: options,
            logger: logger
        )
        defer { host.restore() }
        let happenings = Happenings<Machine.Output>()
        let logger = logger
        let sockets = try HostFacts.inWords {
            try UDPSockets(preferredPort: options.port) { logger.notice("\($0)") }
        }
        let port = sockets.port
        let plane = try Plane(
            machine: Machine(wallClock: HostFacts.wallStart(), random: Kernel.randomSource()),
            tunnel: device,
            sockets: sockets,
            onOutput: { happenings.put($0) },
            onNote: { logger.notice("\($0)") }
        )
        try await plane.prepare { try Rehearsal.run() }
        let channel = ControlChannel<ToGateway>(
            token: options.token,
            mark: nil,
            lookup: lookup,
            logger: logger
        )
        let queries = SentinelServer(logger: logger)
        let streams = RelayStreams(port: port, mark: nil, logger: logger) { id, bridge in
            await plane.handle(.relayStream(id, bridge: bridge))
        }
        defer { streams.stop() }
        await readHost(plane, index, port)
        let tasks = [
            happenings.task { await talk(channel, plane, happenings) },
            happenings.task { try await watch(channel, plane, index, port) },
            happenings.task { try await serve(plane) },
            happenings.task { try await metrics(plane) },
            happenings.task {
                await Signals.termination()
                logger.info("stopping")
                await plane.handle(.shutdown)
                channel.leave()
                try await Task.sleep(for: .seconds(2))
                happenings.end()
            },
        ]
        defer { for task in tasks { task.cancel() } }
        let ending = await work(happenings, channel, plane, streams, queries, &host)
        await queries.stop()
        try? await Task.sleep(for: Self.partingTime)
        await plane.stop()
        if let ending { throw ending }
    }

    /// Does what the core asks for until the role ends.
    private func work(
        _ happenings: Happenings<Machine.Output>,
        _ channel: ControlChannel<ToGateway>,
        _ plane: Plane,
        _ streams: RelayStreams,
        _ queries: SentinelServer,
        _ host: inout GatewayHost
    ) async -> Sentence? {
        for await happening in happenings.stream {
            switch happening {
            case .ended(let sentence): return sentence
            // A gateway's host is set up at once or not at all, on a device of its own.
            case .retry, .networkChanged: break
            case .output(.finished): return nil
            case .output(.toPortal(let message)): channel.send(message)
            case .output(.exchange(let exchange)):
                Task {
                    let answer = await dialer.ask(exchange)
                    await plane.handle(.exchangeAnswered(token: exchange.token, bytes: answer))
                }
            case .output(.configure(let configuration)):
                do {
                    try host.configure(
                        tunnel: configuration.tunnel,
                        ranges: configuration.addresses.tunnel
                    )
                } catch {
                    return error as? Sentence ?? Sentence("\(error)")
                }
                let isServed = await queries.listen(
                    on: configuration.tunnel,
                    for: Self.service(plane)
                )
                await plane.handle(.servesStreams(isServed))
            case .output(.streamAnswer(let id, let bytes)): await queries.answer(id, bytes)
            case .output(.connectRelay(let relay)): streams.connect(relay)
            case .output(.disconnectRelay(let id)): streams.disconnect(id)
            case .output(.event(let event)): event.log(to: logger)
            }
        }
        return nil
    }

    /// DNS over TCP of clients, at the gateway's own tunnel addresses.
    private static func service(_ plane: Plane) -> SentinelServer.Service {
        SentinelServer.Service(
            peer: .machine,
            divert: { await plane.divert($0) },
            ask: { id, _, client, bytes in
                await plane.handle(.streamQuery(id: id, client: client, bytes: bytes))
            }
        )
    }

    /// Carries messages between the portal and the core.
    private func talk(
        _ channel: ControlChannel<ToGateway>,
        _ plane: Plane,
        _ happenings: Happenings<Machine.Output>
    ) async {
        let logger = logger
        await channel.run { event in
            switch event {
            case .opened:
                let hello = await plane.withMachine { machine in
                    machine.hello(
                        name: options.name,
                        software: Software.version,
                        os: HostFacts.system,
                        region: options.region
                    )
                }
                channel.send(.hello(hello))
            case .message(let message):
                await plane.handle(.portal(message))
                guard case .welcome(let welcome) = message else { break }
                logger.info(
                    "connected to the portal",
                    metadata: ["url": "\(options.token.url)", "account": "\(welcome.account)"]
                )
                await plane.handle(.portalConnected(true))
            case .unreadable: channel.send(.resync(.init(reason: "a message could not be read")))
            case .closed(let why):
                logger.warning("\(why)")
                await plane.handle(.portalConnected(false))
            case .refusedForGood(let refusal):
                happenings.end(Sentence("The portal refuses this gateway: \(refusal.sentence)"))
            }
        }
    }

    /// Reads what the core must know of the host, now and after every change of the network.
    private func watch(
        _ channel: ControlChannel<ToGateway>,
        _ plane: Plane,
        _ index: UInt32,
        _ port: UInt16
    ) async throws {
        let monitor = try HostFacts.networkMonitor(
            ignoring: index,
            files: ["/etc/resolv.conf", "/etc/hosts"]
        )
        for await _ in monitor.changes {
            channel.networkChanged()
            await readHost(plane, index, port)
        }
    }

    private func readHost(_ plane: Plane, _ index: UInt32, _ port: UInt16) async {
        let addresses = (try? HostNetwork.candidates(excluding: index)) ?? []
        await plane.handle(.localAddresses(addresses, port: port))
        let file = HostFacts.resolverFile("/etc/resolv.conf")
        await plane.handle(
            .resolvers(
                file.nameservers.map { Endpoint($0, port: 53) },
                hosts: HostFacts.hostsFile().map { .init(name: $0.name, addresses: $0.addresses) },
                options: ResolverOptions(search: file.search, words: file.options)
            )
        )
    }

    private func serve(_ plane: Plane) async throws {
        try await LocalServer(path: options.socketPath, logger: logger) { request in
            switch request.route {
            case "GET /api/v1/status":
                .json(await plane.withMachine { $0.status(at: SystemClock.now()) })
            case "GET /metrics": .text(await GatewayMetrics.text(plane))
            default: .refusal(404, "A gateway answers GET /api/v1/status and GET /metrics.")
            }
        }.run()
    }

    private func metrics(_ plane: Plane) async throws {
        guard options.metricsPort != 0 else { return }
        try await LocalServer(loopbackPort: Int(options.metricsPort), logger: logger) { request in
            switch request.route {
            case "GET /metrics": .text(await GatewayMetrics.text(plane))
            case "GET /healthz": .text("alive\n")
            case "GET /readyz":
                await plane.withMachine { $0.status(at: SystemClock.now()).isPortalUp }
                    ? .text("ready\n") : .refusal(503, "The portal is away.")
            default: .refusal(404, "Here are /metrics, /healthz and /readyz.")
            }
        }.run()
    }
}
