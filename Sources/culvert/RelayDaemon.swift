internal import Bytes
internal import Control
internal import Daemon
internal import Foundation
internal import IP
internal import Linux
internal import Logging
internal import Relay
internal import SansIO

/// The relay's core joined to its edges: sockets, streams, control channel.
struct RelayDaemon: Sendable {
    /// Who deals the secrets that passwords are made with.
    enum Authority: Sendable {
        case portal(Token)
        case file(secrets: [String], realm: String)
    }

    /// Addresses, none for all of the host, and one port.
    struct Listening: Sendable {
        let addresses: [IPAddress]
        let port: UInt16
    }

    /// How TLS is offered.
    struct TransportSecurity: Sendable {
        let listen: Listening
        let certificate: StreamCertificate
        let name: String?
    }

    /// What the command line decided.
    struct Options: Sendable {
        let authority: Authority
        let name: String
        let region: String?
        let listen: Listening
        let tls: TransportSecurity?
        let publicAddresses: [IPAddress]
        let ports: ClosedRange<UInt16>
        let allowed: [IPPrefix]
        let allocationQuota: Int
        let metricsPort: UInt16
        let statePath: String
        let socketPath: String
    }

    private typealias Machine = Relay::Relay
    typealias Plane = DataPlane<Relay::Relay>

    let options: Options
    let logger: Logger
    /// How long a stop waits for the portal, and then for the core.
    private static let partingTime = Duration.seconds(1)

    /// Runs until SIGTERM or SIGINT.
    func run() async throws {
        let state = try StateFolder(path: options.statePath, role: "relay")
        defer { withExtendedLifetime(state) {} }
        raiseLimits()
        let happenings = Happenings<Machine.Output>()
        let logger = logger
        let sockets = try openSockets()
        let families = sockets.families
        let service = RelayService(options: options, families: families, logger: logger)
        let plane = try Plane(
            machine: Machine(
                configuration: service.configuration(),
                random: Kernel.randomSource()
            ),
            tunnel: nil,
            sockets: sockets,
            onOutput: { happenings.put($0) },
            onNote: { logger.notice("\($0)") }
        )
        let streams = StreamListener(
            port: options.listen.port,
            logger: logger,
            onOpened: { await plane.handle(.streamOpened(bridge: $0, client: $1)) },
            onClosed: { await plane.handle(.streamClosed(bridge: $0)) }
        )
        defer { streams.stop() }
        try await listen(streams, service)
        let channel = channel()
        let talking = happenings.task { await talk(channel, plane, service, happenings) }
        let tasks = [
            talking,
            happenings.task { try await watch(channel, plane, service) },
            happenings.task { try await keepTime(plane, service) },
            happenings.task { try await report(channel, plane, service) },
            happenings.task { try await serve(plane, streams, service) },
            happenings.task { try await metrics(plane, streams, service) },
            happenings.task {
                await Signals.termination()
                logger.info("stopping")
                // Those who use this relay hear of it before their addresses are gone.
                channel?.leave()
                let patience = Task {
                    try await Task.sleep(for: Self.partingTime)
                    talking.cancel()
                }
                await talking.value
                patience.cancel()
                await plane.handle(.shutdown)
                try await Task.sleep(for: Self.partingTime)
                happenings.end()
            },
        ]
        defer { for task in tasks { task.cancel() } }
        let ending = await work(happenings, streams)
        await plane.stop()
        if let ending { throw ending }
    }

    /// Does what the core asks for until the role ends.
    private func work(
        _ happenings: Happenings<Machine.Output>,
        _ streams: StreamListener
    ) async -> Sentence? {
        for await happening in happenings.stream {
            switch happening {
            case .ended(let sentence): return sentence
            case .output(.finished): return nil
            case .output(.closeStream(let bridge)): streams.close(bridge)
            case .output(.event(let event)): event.log(to: logger)
            case .output(.port), .retry, .networkChanged: break
            }
        }
        return nil
    }

    private func channel() -> ControlChannel<ToRelay>? {
        guard case .portal(let token) = options.authority else { return nil }
        return ControlChannel<ToRelay>(
            token: token,
            mark: nil,
            lookup: HostLookup(mark: nil) { HostFacts.nameServers(of: "/etc/resolv.conf") },
            logger: logger
        )
    }
}

// MARK: - Sockets

extension RelayDaemon {
    /// Every lent port is a descriptor for each family, every stream two.
    private func raiseLimits() {
        let wanted = 2 * options.ports.count + 2 * StreamListener.Limits.connections + 256
        let allowed = Kernel.raiseDescriptorLimit(to: wanted)
        guard allowed < wanted else { return }
        logger.notice(
            """
            only \(allowed) of \(wanted) open files are allowed, so not all ports can be lent at \
            the same time; raise the limit (ulimit -n, or LimitNOFILE= of the service)
            """
        )
    }

    private func openSockets() throws -> UDPSockets {
        let (addresses, port) = (options.listen.addresses, options.listen.port)
        // Streams reach the loop by loopback.
        let loopback = addresses.isEmpty ? [] : [IPAddress(ipv4: 0x7f00_0001)]
        do {
            return try UDPSockets(
                listeningOn: addresses + loopback.filter { !addresses.contains($0) },
                port: port
            ) { logger.notice("\($0)") }
        } catch {
            throw Sentence(
                "The relay cannot listen on UDP port \(port) (\(error)): if another program, such "
                    + "as another TURN server, uses it, stop that or choose another port with "
                    + "--listen; an address must be one of this machine's."
            )
        }
    }

    private func listen(_ streams: StreamListener, _ service: RelayService) async throws {
        try await streams.listen(on: options.listen.addresses, port: options.listen.port)
        guard let tls = options.tls else { return }
        do {
            try await streams.listen(
                on: tls.listen.addresses,
                port: tls.listen.port,
                certificate: tls.certificate
            )
            service.offersTLS()
        } catch let sentence as Sentence {
            logger.warning("\(sentence) Going on without TLS.")
        }
    }
}

extension RelayDaemon.Listening {
    /// `:3478`, `203.0.113.9:3478`, `[2001:db8::9]:3478`, or several with commas.
    init?(_ text: String) {
        var addresses: [IPAddress] = []
        var ports: [UInt16] = []
        for part in text.split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if part.hasPrefix(":"), let port = UInt16(part.dropFirst()) {
                ports.append(port)
            } else if let endpoint = Endpoint(part) {
                ports.append(endpoint.port)
                // By custom `[::]` means both families.
                let isAll = endpoint.address.isUnspecified && !endpoint.address.isIPv4
                if !isAll { addresses.append(endpoint.address) }
            } else {
                return nil
            }
        }
        guard let port = ports.first, port != 0, ports.allSatisfy({ $0 == port }),
            addresses.count < UDPSockets.Limits.addresses
        else { return nil }
        (self.addresses, self.port) = (addresses.count < ports.count ? [] : addresses, port)
    }
}
