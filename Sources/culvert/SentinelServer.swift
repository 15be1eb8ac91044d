internal import Daemon
internal import IP
internal import Linux
internal import Logging
internal import Synchronization

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
        /// Hands in queries that came together; each is answered by ``answer(_:_:)``.
        let ask: @Sendable (_ queries: [StreamServer.Query]) -> Void
    }

    /// What answers are given to.
    private struct Desk {
        var server: StreamServer?
        /// Who waits for the answer to a query that came by no connection.
        var waiting: [UInt64: CheckedContinuation<[UInt8]?, Never>] = [:]
        var nextIdentifier = Desk.firstIdentifier

        /// Above those of all connections.
        static let firstIdentifier: UInt64 = 1 << 63
    }

    private let logger: Logger
    private let bounds: StreamServer.Bounds
    private let desk = Mutex(Desk())
    private var addresses: [IPAddress] = []

    init(logger: Logger, bounds: StreamServer.Bounds = .init()) {
        (self.logger, self.bounds) = (logger, bounds)
    }

    /// Listens at these addresses and no others.
    ///
    /// - Returns: Whether somebody listens now.
    @discardableResult
    func listen(on addresses: [IPAddress], for service: Service) async -> Bool {
        guard addresses != self.addresses else { return desk.withLock { $0.server } != nil }
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
            let server = StreamServer(bounds: bounds, ask: service.ask)
            desk.withLock { $0.server = server }
            for descriptor in [listener.ipv4.take()?.take(), listener.ipv6.take()?.take()] {
                if let descriptor { try await server.listen(on: descriptor) }
            }
        } catch {
            logger.notice("\(error)")
            closeServer()
        }
        return desk.withLock { $0.server } != nil
    }

    /// The core answered query `identifier`; nil closes its connection. From any thread, without
    /// waiting.
    nonisolated func answer(_ identifier: UInt64, _ bytes: [UInt8]?) {
        guard identifier >= Desk.firstIdentifier else {
            desk.withLock { $0.server }?.answer(identifier, bytes)
            return
        }
        desk.withLock { $0.waiting.removeValue(forKey: identifier) }?.resume(returning: bytes)
    }

    /// What is open and what came; nil while nobody listens.
    var reading: StreamServer.Reading? { desk.withLock { $0.server }?.reading }

    /// Closes everything.
    func stop() {
        stopListening()
        let waiting = desk.withLock { desk in
            defer { desk.waiting = [:] }
            return desk.waiting
        }
        for waiter in waiting.values { waiter.resume(returning: nil) }
    }

    private func stopListening() {
        closeServer()
        addresses = []
    }

    private func closeServer() {
        let server = desk.withLock { desk in
            defer { desk.server = nil }
            return desk.server
        }
        server?.stop()
    }

    /// Hands a query to the core as if it came by a connection, and waits for its answer; nil where
    /// there is none.
    func ask(
        _ bytes: [UInt8],
        at local: IPAddress,
        from remote: IPAddress,
        _ service: Service
    ) async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            let identifier = desk.withLock { desk in
                defer { desk.nextIdentifier += 1 }
                desk.waiting[desk.nextIdentifier] = continuation
                return desk.nextIdentifier
            }
            service.ask([.init(id: identifier, local: local, remote: remote, bytes: bytes)])
        }
    }
}
