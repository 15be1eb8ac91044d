internal import Control
internal import Daemon
internal import Linux
internal import Logging
internal import Relay
internal import SansIO

extension RelayDaemon {
    /// Takes secrets from the portal. Without it the relay goes on with those that it has.
    func talk(
        _ channel: ControlChannel<ToRelay>?,
        _ plane: Plane,
        _ service: RelayService,
        _ happenings: Happenings<Relay::Relay.Output>
    ) async {
        guard let channel else { return }
        let logger = logger
        await channel.run { event in
            switch event {
            case .opened: channel.send(.relayHello(service.hello()))
            case .message(.welcome(let welcome)):
                logger.info("connected to the portal", ["relay": welcome.relay.text])
                service.take(welcome)
                await plane.handle(.configure(service.configuration()))
            case .message(.refusal), .message(.unknown), .unreadable: break
            case .closed(let why):
                logger.warning("\(why)")
                service.isPortalUp = false
            case .refusedForGood(let refusal):
                happenings.end(Sentence("The portal refuses this relay: \(refusal.sentence)"))
            }
        }
    }

    /// After every change of the network: another public address is a new hello.
    func watch(
        _ channel: ControlChannel<ToRelay>?,
        _ plane: Plane,
        _ service: RelayService
    ) async throws {
        let monitor = try HostFacts.inWords { try NetworkMonitor(ignoring: nil) }
        for await _ in monitor.changes where service.readAddresses() {
            await plane.handle(.configure(service.configuration()))
            channel?.reconnect()
        }
    }

    /// Passwords end by the wall clock: when that was set, the core is told.
    func keepTime(_ plane: Plane, _ service: RelayService) async throws {
        while true {
            try await Task.sleep(for: .seconds(60))
            if service.isClockOff { await plane.handle(.configure(service.configuration())) }
        }
    }

    /// Tells the portal how many allocations there are, when that changed.
    func report(
        _ channel: ControlChannel<ToRelay>?,
        _ plane: Plane,
        _ service: RelayService
    ) async throws {
        guard let channel else { return }
        var reported: Int?
        while true {
            try await Task.sleep(for: .seconds(10))
            guard service.isPortalUp else {
                reported = nil
                continue
            }
            let count = await plane.withMachine { $0.allocationCount }
            guard count != reported else { continue }
            reported = count
            channel.send(.relayReport(.init(allocations: UInt32(count))))
        }
    }

    /// Answers commands of the same machine.
    func serve(
        _ plane: Plane,
        _ streams: StreamListener,
        _ service: RelayService
    ) async throws {
        try await LocalServer(path: options.socketPath, logger: logger) { request in
            switch request.route {
            case "GET /api/v1/status":
                .json(await plane.withMachine { $0.status(at: SystemClock.now()) })
            case "GET /metrics": .text(await RelayMetrics.text(plane, streams, service))
            default: .refusal(404, "A relay answers GET /api/v1/status and GET /metrics.")
            }
        }.run()
    }

    /// Metrics and health on loopback.
    func metrics(
        _ plane: Plane,
        _ streams: StreamListener,
        _ service: RelayService
    ) async throws {
        guard options.metricsPort != 0 else { return }
        try await LocalServer(loopbackPort: Int(options.metricsPort), logger: logger) { request in
            switch request.route {
            case "GET /metrics": .text(await RelayMetrics.text(plane, streams, service))
            case "GET /healthz": .text("alive\n")
            case "GET /readyz":
                service.isReady
                    ? .text("ready\n")
                    : .refusal(503, "The portal has not dealt a secret yet.")
            default: .refusal(404, "Here are /metrics, /healthz and /readyz.")
            }
        }.run()
    }
}
