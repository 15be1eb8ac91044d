internal import Bytes
internal import Client
internal import Control
internal import Daemon
internal import Foundation
internal import DNS
internal import IP
internal import Linux
internal import Logging
internal import SansIO

/// The client's core joined to its edges, from `up` to `down`: tunnel device, sockets, routes, the
/// host's resolver configuration, control channel.
struct ClientSession: Sendable {
    typealias Machine = Client::Client
    typealias Plane = DataPlane<Client::Client>

    let options: ClientOptions
    let logger: Logger
    let plane: Plane
    /// Whether addresses, routes and name servers are in place.
    let isHostReady = SharedFlag()
    private let happenings: Happenings<Machine.Output>
    private let channel: ControlChannel<ToClient>
    private let lookup: HostLookup
    private let sentinels: SentinelServer
    private let dialer: UpstreamDialer
    private let streams: RelayStreams
    /// Joins the sentinels to the host, and knows the host's own servers.
    let resolver: HostResolver
    /// What people should know of the host's part.
    let notices = HostNotices()
    private let index: UInt32
    private let port: UInt16

    private static let mark = RoutingPlan.client.mark
    private static let resolverRetry = Duration.seconds(5)

    init(options: ClientOptions, state: StateFolder, logger: Logger) async throws {
        (self.options, self.logger) = (options, logger)
        // First what a user without the privilege cannot do, so that nothing else is tried.
        let device = try HostFacts.inWords { try TunnelDevice() }
        ClientHost.restoreAll(folder: options.statePath, logger: logger)
        try HostFacts.inWords { try device.configure() }
        index = device.index
        let sockets = try HostFacts.inWords {
            try UDPSockets(mark: Self.mark) { logger.notice("\($0)") }
        }
        port = sockets.port
        let names = try AppendLog(path: state.file("names"))
        let happenings = Happenings<Machine.Output>()
        self.happenings = happenings
        let machine = Machine(
            wallClock: HostFacts.wallStart(),
            random: Kernel.randomSource(),
            names: AppendLog.content(of: state.file("names"))
        )
        let sentinels = SentinelServer(logger: logger, bounds: Self.sentinelBounds)
        self.sentinels = sentinels
        let plane = try Plane(
            machine: machine,
            tunnel: device,
            sockets: sockets,
            mark: Self.mark,
            onOutput: { output in
                // A new name's addresses are on disk before its answer leaves.
                let isKept: Bool
                switch output {
                case .persist(let record):
                    isKept = names.append(record.bytes)
                    if record.isSynced { names.synchronize() }
                case .replaceNames(let content): isKept = names.replace(with: content)
                case .streamAnswer(let id, let bytes): return sentinels.answer(id, bytes)
                default: return happenings.put(output)
                }
                if !isKept {
                    logger.error(
                        "names are not kept: the state folder cannot be written; free space"
                    )
                }
            },
            onNote: { logger.notice("\($0)") }
        )
        self.plane = plane
        try await plane.prepare { try Rehearsal.run() }
        streams = RelayStreams(port: port, mark: Self.mark, logger: logger) { id, bridge in
            await plane.handle(.relayStream(id, bridge: bridge))
        }
        let resolver = HostResolver(
            mode: options.resolverMode,
            interface: index,
            folder: options.statePath
        )
        self.resolver = resolver
        let known = state.read("portal-addresses")
            .flatMap { try? JSONDecoder().decode([String: [String]].self, from: $0) }
        lookup = HostLookup(mark: Self.mark, lastGood: known ?? [:]) {
            resolver.servers.lookupServers
        }
        channel = ControlChannel(
            token: options.token,
            mark: Self.mark,
            lookup: lookup,
            logger: logger
        )
        dialer = UpstreamDialer(mark: Self.mark, lookup: lookup)
    }

    /// The host itself is the only source.
    private static var sentinelBounds: StreamServer.Bounds {
        var bounds = StreamServer.Bounds()
        bounds.connectionsPerSource = bounds.connections
        return bounds
    }

    /// Runs until the task is cancelled or the client cannot go on, and puts the host back.
    func run(state: StateFolder) async throws {
        var host = try ClientHost(
            index: index,
            resolver: resolver,
            notices: notices,
            logger: logger
        )
        defer { host.restore() }
        await readHost()
        let tasks = [
            happenings.task { await talk(state) },
            happenings.task { try await watch() },
        ]
        defer { for task in tasks { task.cancel() } }
        let ending = await withTaskCancellationHandler {
            await work(&host)
        } onCancel: {
            Task {
                await plane.handle(.shutdown)
                try await Task.sleep(for: .seconds(1))
                happenings.end()
            }
        }
        streams.stop()
        await sentinels.stop()
        await plane.stop()
        if let ending { throw ending }
    }

    /// DNS over TCP of this host's programs.
    private static func service(_ plane: Plane) -> SentinelServer.Service {
        SentinelServer.Service(
            peer: .host,
            divert: { await plane.divert($0) },
            ask: { queries in
                plane.post(
                    queries.map {
                        .streamQuery(id: $0.id, sentinel: $0.local, bytes: $0.bytes)
                    }
                )
            }
        )
    }

    /// What Prometheus is told.
    func metrics() async -> String {
        await ClientMetrics.text(
            plane,
            upstreams: dialer.counters.reading,
            streams: await sentinels.reading
        )
    }

    /// Why nameservers that are asked over TCP, TLS or HTTPS gave no answer last.
    var upstreamFailures: [String] { dialer.states.compactMap(\.failure) }

    /// Says what a question meets, and asks it as a program of this host would by TCP.
    ///
    /// - Returns: Nil when name or type cannot be read, or nothing is known yet.
    func query(_ name: String, _ type: String) async -> DNSAnswer? {
        let (explained, first) = await plane.withMachine { machine in
            (
                machine.explainQuery(name, type: type, at: SystemClock.now()),
                machine.status(at: SystemClock.now()).nameservers.first?.sentinel
            )
        }
        guard let explained, let name = Name(name), let type = RecordType(type) else { return nil }
        guard let sentinel = explained.sentinel ?? first else { return DNSAnswer(explained, nil) }
        let question = Message(query: Question(name, type), id: .random(in: 0...UInt16.max))
        let bytes = await sentinels.ask(
            question.wire(),
            at: sentinel,
            from: sentinel,
            Self.service(plane)
        )
        return DNSAnswer(explained, bytes)
    }

    private func work(_ host: inout ClientHost) async -> Sentence? {
        for await happening in happenings.stream {
            switch happening {
            case .ended(let sentence): return sentence
            case .retry:
                await readHost()
                tryAgainLater(host.setResolver(), &host)
            case .networkChanged:
                dialer.networkChanged()
                tryAgainLater(host.refresh(), &host)
                await plane.handle(.conflicts(host.conflicts()))
            case .output(.finished): return nil
            case .output(.toPortal(let message)): channel.send(message)
            case .output(.forward(let query)):
                Task {
                    let answer = await dialer.ask(query)
                    plane.post([.exchangeAnswered(token: query.token, bytes: answer)])
                }
            case .output(.connectRelay(let relay)): streams.connect(relay)
            case .output(.disconnectRelay(let id)): streams.disconnect(id)
            case .output(.configure(let configuration)):
                do {
                    tryAgainLater(try host.configure(configuration), &host)
                    await plane.handle(.conflicts(host.conflicts()))
                } catch {
                    return error as? Sentence ?? Sentence("\(error)")
                }
                await sentinels.listen(on: configuration.sentinels, for: Self.service(plane))
                isHostReady.set()
            // Done on the loop's thread.
            case .output(.persist), .output(.replaceNames), .output(.exchange), .output(.port),
                .output(.streamAnswer):
                break
            case .output(.event(let event)): event.log(to: logger)
            }
        }
        return nil
    }

    /// Without the resolver configuration no protected name is answered: a full disk is emptied, a
    /// file made writable, and nobody starts the client anew for that.
    private func tryAgainLater(_ isDone: Bool, _ host: inout ClientHost) {
        host.retry?.cancel()
        host.retry = nil
        guard !isDone else { return }
        host.retry = Task {
            try await Task.sleep(for: Self.resolverRetry)
            happenings.retry()
        }
    }

    private func talk(_ state: StateFolder) async {
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
                await plane.handle(.portalConnected(true))
                if let data = try? JSONEncoder().encode(lookup.known) {
                    try? state.replace("portal-addresses", with: data)
                }
            case .message(let message):
                if case .welcome(let welcome) = message {
                    logger.info(
                        "connected to the portal",
                        metadata: ["url": "\(options.token.url)", "account": "\(welcome.account)"]
                    )
                    // Known before the first address is handed out.
                    let overlaps = ClientHost.overlaps(with: welcome.addresses.all, index: index)
                    await plane.handle(.conflicts(ClientHost.networks(overlaps)))
                }
                await plane.handle(.portal(message))
            case .unreadable: channel.send(.resync(.init(reason: "a message could not be read")))
            case .closed(let why):
                logger.warning("\(why)")
                await plane.handle(.portalConnected(false))
            case .refusedForGood(let refusal):
                happenings.end(Sentence("The portal refuses this client: \(refusal.sentence)"))
            }
        }
    }

    private func watch() async throws {
        let monitor = try HostFacts.networkMonitor(
            ignoring: index,
            files: resolver.watchedFiles
        )
        for await _ in monitor.changes {
            guard monitor.takeKinds().contains(.network) else {
                // The host's nameservers only: the paths are as they were.
                happenings.retry()
                continue
            }
            channel.networkChanged()
            await readHost()
            happenings.networkChanged()
        }
    }

    private func readHost() async {
        let addresses = (try? HostNetwork.candidates(excluding: index)) ?? []
        await plane.handle(.localAddresses(addresses, port: port))
        let found = resolver.readServers()
        await plane.handle(.hostUpstreams(found.servers.compactMap { Upstream($0) }))
        let zones = found.zones.map { zone in
            Machine.HostZone(
                domain: zone.domain,
                upstreams: zone.servers.compactMap { Upstream($0) }
            )
        }
        await plane.handle(.hostZones(zones))
    }
}
