public import IP
public import SansIO

/// Drives one machine on the packet path, on a thread of its own, which is the actor's executor.
///
/// The control side awaits ``handle(_:)``; packets never leave the thread. A hop into the actor
/// costs some 20 µs, so nothing per packet crosses it.
public actor DataPlane<Machine: PacketMachine & ~Copyable> {
    private let executor: LoopExecutor
    private let loop: PacketLoop<Machine>
    private let inbox: CommandInbox<Machine.Command>

    /// The loop's thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// Starts the loop. Its thread inherits the network namespace of the calling thread, in which
    /// the sockets of exchanges and ports are made.
    ///
    /// - Parameters:
    ///   - machine: The core, which the loop's thread owns from here on.
    ///   - tunnel: Where the host's packets come from; nil for none.
    ///   - sockets: Where the datagrams of peers come from.
    ///   - mark: The firewall mark of exchanges' and ports' sockets; 0 for none.
    ///   - onOutput: Called on the loop's thread for each output that is no datagram exchange
    ///     and no port request, before the outbox of the same step is sent. Must not wait.
    ///   - onNote: Called on the loop's thread.
    /// - Throws: ``SystemError`` when the kernel has no descriptor or thread to give.
    public init(
        machine: consuming sending Machine,
        tunnel: consuming TunnelDevice?,
        sockets: consuming UDPSockets,
        mark: UInt32 = 0,
        onOutput: @escaping @Sendable (Machine.Output) -> Void,
        onNote: @escaping @Sendable (LoopNote) -> Void = { _ in }
    ) throws(SystemError) {
        executor = try LoopExecutor()
        inbox = CommandInbox(executor)
        loop = try PacketLoop(
            machine: machine,
            tunnel: tunnel,
            sockets: sockets,
            mark: mark,
            executor: executor,
            inbox: inbox,
            onOutput: onOutput,
            onNote: onNote
        )
        // From here on the loop belongs to its thread, which is where this actor runs.
        nonisolated(unsafe) let body = loop.body
        try DedicatedThread.start(name: "culvert-loop") { unsafe body() }
    }

    deinit { executor.finish() }

    /// Gives a command to the machine, and sends what follows from it.
    public func handle(_ command: Machine.Command) { loop.handle(command) }

    /// Gives commands to the machine as ``handle(_:)`` does, in order, from any thread and without
    /// waiting: for those that come often.
    public nonisolated func post(_ commands: [Machine.Command]) { inbox.post(commands) }

    /// Looks at the machine, for status and metrics.
    public func withMachine<R: Sendable>(_ body: @Sendable (borrowing Machine) -> R) -> R {
        body(loop.machine)
    }

    /// Does something on the loop's thread before there is traffic: what a thread does for the
    /// first time costs it more, so it can be made to have done it.
    ///
    /// - Parameter body: What to do.
    /// - Throws: What `body` throws.
    public func prepare(_ body: @Sendable () throws -> Void) rethrows { try body() }

    /// What the loop has done so far.
    public var counters: LoopCounters { loop.counters }

    /// Puts a second tunnel device in place of the one before; nil takes it away.
    public func divert(_ diversion: consuming Diversion?) { loop.divert(diversion) }

    /// TCP to these addresses goes to the second tunnel device.
    public func divert(to destinations: [IPPrefix]) { loop.diversion?.destinations = destinations }

    /// Deals with what came until now, and gives the tunnel device and the main sockets away, for
    /// another process to go on; later commands do nothing.
    ///
    /// - Parameter body: Asks the machine for what its successor must know. What the machine sends
    ///   after that is lost.
    /// - Returns: The descriptors, with the sealed state and the ticket for it among them, unless
    ///   the kernel has no memory for these; nil when the loop was stopped before.
    public func release(
        _ body: @Sendable (inout Machine, Instant) -> [UInt8]
    ) -> DescriptorSet? {
        var bytes: [UInt8] = []
        guard var descriptors = loop.release(body, into: &bytes) else { return nil }
        do throws(SystemError) {
            let ticket = try OneTimeTicket.make()
            descriptors.add(
                try SealedMemory.make(wiping: &bytes),
                as: DescriptorSet.Name.state
            )
            descriptors.add(ticket, as: DescriptorSet.Name.ticket)
        } catch {
            SealedMemory.wipe(&bytes)
        }
        return descriptors
    }

    /// Closes the tunnel device and the sockets before it returns; later commands do nothing.
    public func stop() { loop.stop() }
}
