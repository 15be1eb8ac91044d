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
        let host: GatewayHost.Options
        let flowLog: FlowLog?
        let statePath: String
        let socketPath: String
        /// Whether a gateway that runs in the state folder hands over to this one.
        let takesOver: Bool
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
        var inheritance = try Inheritance(options, logger)
        let device = try inheritance.takeTunnel()
        let (interface, index) = (device.name, device.index)
        let sockets = try inheritance.takeSockets(port: options.port)
        let port = sockets.port
        let happenings = Happenings<Machine.Output>()
        let logger = logger
        let queries = SentinelServer(logger: logger)
        let plane = try Plane(
            machine: inheritance.takeMachine(),
            tunnel: device,
            sockets: sockets,
            onOutput: { output in
                if case .streamAnswer(let id, let bytes) = output {
                    queries.answer(id, bytes)
                } else {
                    happenings.put(output)
                }
            },
            onNote: { logger.notice("\($0)") }
        )
        var host = try GatewayHost(
            interface: interface,
            index: index,
            options: options.host,
            adopting: inheritance.takeSlot(),
            logger: logger
        )
        defer { host.restore() }
        let upgrade = GatewayUpgrade(slot: host.copyOfLock(), logger: logger)
        // What came meanwhile is served first.
        if !inheritance.isThere { try await plane.prepare { try Rehearsal.run() } }
        let state = try await inheritance.claimFolder(options.statePath)
        defer { withExtendedLifetime(state) {} }
        let channel = ControlChannel<ToGateway>(
            token: options.token,
            mark: nil,
            lookup: lookup,
            logger: logger
        )
        let streams = RelayStreams(port: port, mark: nil, logger: logger) { id, bridge in
            await plane.handle(.relayStream(id, bridge: bridge))
        }
        defer { streams.stop() }
        await readHost(plane, index, port)
        if options.flowLog != nil { await plane.handle(.logsFlows(true)) }
        let notices = host.notices
        let tasks = [
            happenings.task { await talk(channel, plane, happenings) },
            happenings.task { try await watch(channel, plane, happenings, index, port) },
            happenings.task { try await serve(plane, notices) },
            happenings.task { try await metrics(plane, notices) },
            happenings.task { try await end(channel, plane, upgrade, happenings) },
            happenings.task {
                let isGiven = try await upgrade.serve(at: GatewayUpgrade.path(options), plane)
                if isGiven { happenings.end() }
            },
        ]
        defer { for task in tasks { task.cancel() } }
        let ending = await work(happenings, channel, plane, streams, queries, &host)
        if upgrade.isHandedOver { return host.abandon() }
        await queries.stop()
        try? await Task.sleep(for: Self.partingTime)
        await plane.stop()
        if let ending { throw ending }
    }

    /// Waits for the end, which is no end where the service manager begins anew with what we have.
    private func end(
        _ channel: ControlChannel<ToGateway>,
        _ plane: Plane,
        _ upgrade: GatewayUpgrade,
        _ happenings: Happenings<Machine.Output>
    ) async throws {
        await Signals.termination()
        if await upgrade.leaveToManager(plane) { return happenings.end() }
        logger.info("stopping")
        await plane.handle(.shutdown)
        channel.leave()
        try await Task.sleep(for: .seconds(2))
        happenings.end()
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
            case .retry: break
            case .networkChanged: host.networkChanged()
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
            // Done on the loop's thread.
            case .output(.streamAnswer): break
            case .output(.connectRelay(let relay)): streams.connect(relay)
            case .output(.disconnectRelay(let id)): streams.disconnect(id)
            case .output(.event(let event)): event.log(to: logger)
            case .output(.flows(let records)):
                options.flowLog?.write(records, logger) { channel.offer($0) }
            }
        }
        return nil
    }

    /// DNS over TCP of clients, at the gateway's own tunnel addresses.
    private static func service(_ plane: Plane) -> SentinelServer.Service {
        SentinelServer.Service(
            peer: .machine,
            divert: { await plane.divert($0) },
            ask: { queries in
                plane.post(
                    queries.map { .streamQuery(id: $0.id, client: $0.remote, bytes: $0.bytes) }
                )
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
        _ happenings: Happenings<Machine.Output>,
        _ index: UInt32,
        _ port: UInt16
    ) async throws {
        let monitor = try HostFacts.networkMonitor(
            ignoring: index,
            files: ["/etc/resolv.conf", "/etc/hosts"]
        )
        for await _ in monitor.changes {
            channel.networkChanged()
            happenings.networkChanged()
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

    private func serve(_ plane: Plane, _ notices: GatewayNotices) async throws {
        try await LocalServer(path: options.socketPath, logger: logger) { request in
            switch request.route {
            case "GET /api/v1/status":
                .json(
                    Report(
                        status: await plane.withMachine { $0.status(at: SystemClock.now()) },
                        notices: notices.all
                    )
                )
            case "GET /metrics": .text(await GatewayMetrics.text(plane))
            default: .refusal(404, "A gateway answers GET /api/v1/status and GET /metrics.")
            }
        }.run()
    }

    private func metrics(_ plane: Plane, _ notices: GatewayNotices) async throws {
        guard options.metricsPort != 0 else { return }
        try await LocalServer(loopbackPort: Int(options.metricsPort), logger: logger) { request in
            switch request.route {
            case "GET /metrics": .text(await GatewayMetrics.text(plane))
            case "GET /healthz": .text("alive\n")
            case "GET /readyz":
                switch notices.obstacle {
                case let obstacle?: .refusal(503, obstacle)
                case nil:
                    await plane.withMachine { $0.status(at: SystemClock.now()).isPortalUp }
                        ? .text("ready\n") : .refusal(503, "The portal is away.")
                }
            default: .refusal(404, "Here are /metrics, /healthz and /readyz.")
            }
        }.run()
    }
}

extension GatewayDaemon {
    /// How the gateway and its host are doing.
    private struct Report: Encodable {
        let status: Gateway::Gateway.Status
        /// What people should know of the host, a sentence each.
        let notices: [String]

        private enum CodingKeys: CodingKey { case notices }

        func encode(to encoder: any Encoder) throws {
            try status.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(notices, forKey: .notices)
        }
    }
}
