internal import Bytes
internal import Daemon
internal import Dispatch
internal import Gateway
internal import Linux
internal import Logging
internal import SansIO
internal import Synchronization

/// What a gateway's process gets from the one before it: by the service manager, which kept it
/// during a restart, or from a process that still runs, with `--takeover`. Without either it is
/// empty, and everything is made anew.
struct Inheritance: ~Copyable {
    enum Limits {
        /// How long a running process may take to give what it has.
        static let gift = Duration.seconds(10)
        /// How long it may then take to end.
        static let end = Duration.seconds(15)
        /// How often, and how often at most, the folder is tried after that.
        static let attemptInterval = Duration.milliseconds(20)
        static let attempts = 100
    }

    private var descriptors: DescriptorSet
    /// The process that runs yet: its end is the connection's.
    private let predecessor: FileDescriptor?
    private var folder: StateFolder?
    private let logger: Logger
    /// Whether there was anything.
    let isThere: Bool

    /// - Throws: ``Sentence`` when another process runs and shall not be taken over from, or does
    ///   not give what it has.
    init(_ options: GatewayDaemon.Options, _ logger: Logger) throws {
        let connection = try options.takesOver ? Self.connect(options, logger) : nil
        var descriptors = DescriptorSet()
        var folder: StateFolder?
        switch connection {
        case .some(let connection): descriptors = try Self.gift(connection)
        case .none:
            folder = try StateFolder(path: options.statePath, role: "gateway")
            descriptors = ServiceManager.inherited()
            let names = descriptors.names
            if !names.isEmpty { try? ServiceManager.host?.forget(Set(names).sorted()) }
        }
        isThere = !descriptors.isEmpty
        predecessor = connection
        (self.folder, self.logger) = (folder, logger)
        self.descriptors = descriptors
    }

    private static func connect(
        _ options: GatewayDaemon.Options,
        _ logger: Logger
    ) throws -> FileDescriptor? {
        let connection = try HostFacts.inWords {
            try SuccessionSocket.connect(to: GatewayUpgrade.path(options))
        }
        if connection == nil {
            logger.notice("no gateway runs here that could be taken over from; starting anew")
        }
        return connection
    }

    private static func gift(_ connection: borrowing FileDescriptor) throws -> DescriptorSet {
        guard SuccessionSocket.wait(for: connection, Limits.gift),
            let descriptors = try? DescriptorSet.receive(from: connection)
        else {
            throw Sentence(
                "The running gateway does not give what it has; stop it, and start this one "
                    + "without --takeover."
            )
        }
        return descriptors
    }

    /// The tunnel device, as it is or a new one.
    mutating func takeTunnel() throws -> TunnelDevice {
        if let descriptor = descriptors.take(DescriptorSet.Name.tunnel) {
            do { return try TunnelDevice(adopting: descriptor) } catch {
                logger.warning("the tunnel device cannot be taken over. \(error)")
            }
        }
        return try HostFacts.inWords {
            let device = try TunnelDevice()
            try device.configure()
            return device
        }
    }

    /// The sockets, as they are or new ones.
    mutating func takeSockets(port: UInt16) throws -> UDPSockets {
        if descriptors.names.contains(DescriptorSet.Name.socket) {
            do { return try UDPSockets(adopting: &descriptors) } catch {
                logger.warning("the sockets cannot be taken over. \(error)")
            }
        }
        let logger = logger
        return try HostFacts.inWords {
            try UDPSockets(preferredPort: port) { logger.notice("\($0)") }
        }
    }

    /// The lock of the gateway's number; nil when there is none.
    mutating func takeSlot() -> FileDescriptor? { descriptors.take(DescriptorSet.Name.slot) }

    /// The core, which goes on where the other one stopped, or begins anew.
    mutating func takeMachine() -> Gateway::Gateway {
        let (wallClock, random) = (HostFacts.wallStart(), Kernel.randomSource())
        if let state = descriptors.take(DescriptorSet.Name.state),
            let ticket = descriptors.take(DescriptorSet.Name.ticket)
        {
            do {
                guard OneTimeTicket.use(ticket) else {
                    throw Sentence("another process has it")
                }
                var bytes = try SealedMemory.read(state)
                defer { SealedMemory.wipe(&bytes) }
                let machine = try Gateway::Gateway.resumed(
                    from: bytes.rawSpan,
                    wallClock: wallClock,
                    random: random,
                    at: SystemClock.now()
                )
                logger.info("going on where the gateway before stopped")
                return machine
            } catch {
                let why = (error as? StorageError)?.words ?? "\(error)"
                logger.warning(
                    "what the gateway before knew cannot be used (\(why)); clients connect anew"
                )
            }
        } else if isThere {
            logger.warning("the gateway before left nothing that it knew; clients connect anew")
        }
        return Gateway::Gateway(wallClock: wallClock, random: random)
    }

    /// The state folder, once the process before has ended.
    mutating func claimFolder(_ path: String) async throws -> StateFolder {
        if let kept = folder.take() { return kept }
        switch predecessor {
        case .some(let connection): await Self.waitForEnd(of: connection.raw)
        case .none: break
        }
        // A process that ends lets go of its connection a moment before it lets go of the folder.
        for _ in 0..<Limits.attempts {
            if let free = try? StateFolder(path: path, role: "gateway") { return free }
            try await Task.sleep(for: Limits.attemptInterval)
        }
        return try StateFolder(path: path, role: "gateway")
    }

    /// Waits on a thread of its own.
    private static func waitForEnd(of connection: Int32) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            do throws(SystemError) {
                try DedicatedThread.start(name: "culvert-wait") {
                    SuccessionSocket.waitForEnd(of: connection, Limits.end)
                    continuation.resume()
                }
            } catch {
                continuation.resume()
            }
        }
    }
}

extension StorageError {
    /// For a line of the log.
    fileprivate var words: String {
        switch self {
        case .truncated: "it ends too early"
        case .unknownVersion(let version):
            "its version is \(version), which this release does not read"
        case .malformed: "it is damaged"
        }
    }
}

/// What a gateway's process leaves to the next one.
final class GatewayUpgrade: Sendable {
    private struct State: ~Copyable {
        /// The lock of the gateway's number.
        var slot: FileDescriptor?
        /// To the process that goes on: it waits for our end.
        var successor: FileDescriptor?
        var isHandedOver = false
    }

    private let state: Mutex<State>
    private let logger: Logger

    /// - Parameters:
    ///   - slot: The lock of the gateway's number, which goes with it.
    ///   - logger: For what people should know.
    init(slot: consuming FileDescriptor?, logger: Logger) {
        self.logger = logger
        state = Mutex(State(slot: slot))
    }

    /// Where a running gateway can be asked for what it has.
    static func path(_ options: GatewayDaemon.Options) -> String {
        options.statePath + "/takeover.sock"
    }

    /// Whether another process goes on: the host stays as it is.
    var isHandedOver: Bool { state.withLock { $0.isHandedOver } }

    /// Ends the packet loop and collects all that it held; nil when it has ended before.
    private func collect(_ plane: DataPlane<Gateway::Gateway>) async -> DescriptorSet? {
        guard var descriptors = await plane.release({ $0.retire(at: $1) }) else { return nil }
        if let slot = state.withLock({ $0.slot.take() }) {
            descriptors.add(slot, as: DescriptorSet.Name.slot)
        }
        return descriptors
    }

    /// Leaves everything to the service manager where that is restarting us.
    ///
    /// - Returns: Whether it did; else the gateway stops.
    func leaveToManager(_ plane: DataPlane<Gateway::Gateway>) async -> Bool {
        guard let manager = ServiceManager.host, manager.isRestarting() else { return false }
        guard let descriptors = await collect(plane) else { return false }
        do {
            try manager.store(descriptors)
        } catch {
            logger.warning("the service manager does not keep what this gateway has. \(error)")
            return false
        }
        state.withLock { $0.isHandedOver = true }
        logger.info("left to the service manager; the next process goes on")
        return true
    }

    /// Gives everything to the first process that asks for it.
    ///
    /// - Returns: Whether one did; else nobody can ask.
    func serve(
        at path: String,
        _ plane: DataPlane<Gateway::Gateway>
    ) async throws -> Bool {
        let socket: SuccessionSocket
        do { socket = try SuccessionSocket(listeningAt: path) } catch {
            logger.notice("this gateway cannot be taken over from. \(error)")
            return false
        }
        let (asked, continuation) = AsyncStream.makeStream(of: Void.self)
        let source = DispatchSource.makeReadSource(
            fileDescriptor: socket.descriptor,
            queue: .global()
        )
        source.setEventHandler { continuation.yield() }
        source.resume()
        defer { source.cancel() }
        for await _ in asked {
            guard let successor = socket.accept() else { continue }
            return try await give(plane, to: successor)
        }
        throw CancellationError()
    }

    private func give(
        _ plane: DataPlane<Gateway::Gateway>,
        to successor: consuming FileDescriptor
    ) async throws -> Bool {
        guard let descriptors = await collect(plane) else { return false }
        do { try descriptors.send(over: successor) } catch {
            throw Sentence("The gateway that wanted to go on is gone (\(error)).")
        }
        var connection: FileDescriptor? = consume successor
        state.withLock {
            $0.isHandedOver = true
            $0.successor = connection.take()
        }
        logger.info("handed over; the next process goes on")
        return true
    }
}
