internal import Daemon
internal import IP
internal import Linux
internal import Logging

/// Answers DNS over TCP at the sentinels of a client, or at the tunnel addresses of a gateway.
///
/// The listening sockets live in a network namespace of the daemon's own, behind a second tunnel
/// device, so that neither the host's firewall nor a server that listens on every address gets in
/// between. Where namespaces are refused, TCP is refused too, and it is said once.
actor SentinelServer {
    /// Whom the server serves.
    struct Service: Sendable {
        /// Which way packets to the addresses come.
        let peer: Diversion.Peer
        /// Sends them to the second tunnel device.
        let divert: @Sendable (consuming Diversion) async -> Void
        /// Hands in query `id`, which came from `remote` to `local`.
        let ask:
            @Sendable (_ id: UInt64, _ local: IPAddress, _ remote: IPAddress, _ bytes: [UInt8])
                async -> Void
    }

    /// Queries that the core has not answered, also those whose connections are gone.
    private static let queriesUnderWay = 25_600

    private let logger: Logger
    private let bounds: StreamServer.Bounds
    private var addresses: [IPAddress] = []
    private var server: StreamServer?
    private var waiting: [UInt64: CheckedContinuation<[UInt8]?, Never>] = [:]
    private var nextIdentifier: UInt64 = 1

    init(logger: Logger, bounds: StreamServer.Bounds = .init()) {
        (self.logger, self.bounds) = (logger, bounds)
    }

    /// Listens at these addresses and no others.
    ///
    /// - Returns: Whether somebody listens now.
    @discardableResult
    func listen(on addresses: [IPAddress], for service: Service) async -> Bool {
        guard addresses != self.addresses else { return server != nil }
        stopListening()
        self.addresses = addresses
        guard !addresses.isEmpty else { return false }
        do {
            let prefixes = addresses.map { IPPrefix(host: $0) }
            var listener = try SentinelListener(addresses: prefixes)
            guard let device = listener.device.take() else { return false }
            await service.divert(
                Diversion(device: device, destinations: prefixes, between: service.peer)
            )
            let server = StreamServer(bounds: bounds) { query in
                await self.ask(query.bytes, at: query.local, from: query.remote, service)
            }
            self.server = server
            for descriptor in [listener.ipv4.take()?.take(), listener.ipv6.take()?.take()] {
                if let descriptor { try await server.listen(on: descriptor) }
            }
        } catch {
            logger.notice("\(error)")
            server?.stop()
            server = nil
        }
        return server != nil
    }

    /// The core answered query `identifier`; nil closes its connection.
    func answer(_ identifier: UInt64, _ bytes: [UInt8]?) {
        waiting.removeValue(forKey: identifier)?.resume(returning: bytes)
    }

    /// What is open and what came; nil while nobody listens.
    var reading: StreamServer.Reading? { server?.reading }

    /// Closes everything.
    func stop() {
        stopListening()
        for waiter in waiting.values { waiter.resume(returning: nil) }
        waiting = [:]
    }

    private func stopListening() {
        server?.stop()
        server = nil
        addresses = []
    }

    /// Hands a query to the core, and waits for its answer; nil where there is none.
    func ask(
        _ bytes: [UInt8],
        at local: IPAddress,
        from remote: IPAddress,
        _ service: Service
    ) async -> [UInt8]? {
        guard waiting.count < Self.queriesUnderWay else { return nil }
        let identifier = nextIdentifier
        nextIdentifier += 1
        return await withCheckedContinuation { continuation in
            waiting[identifier] = continuation
            Task { await service.ask(identifier, local, remote, bytes) }
        }
    }
}
