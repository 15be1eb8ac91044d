internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// Bounds of a loop's turn.
enum LoopLimits {
    /// How often the machine is answered before its outbox is sent; what it asks for after that
    /// is answered in the next turn, so that one that asks again and again holds nothing up.
    static var answerRounds: Int { 8 }
    /// Commands that the machine gets before its outbox is sent.
    static var answers: Int { 64 }
}

/// The state of one loop and what it does in a turn. Used on the loop's thread only.
///
/// A turn: read the clock once; run the control side's jobs; time; the network; the tunnel device;
/// exchanges. After each call of the machine its outputs are polled and done, then the outbox is
/// sent.
final class PacketLoop<Machine: PacketMachine & ~Copyable> {
    var machine: Machine
    var outbox = Outbox()
    var now = SystemClock.now()
    var counters = LoopCounters()
    var queue: EventQueue
    let executor: LoopExecutor
    private let inbox: CommandInbox<Machine.Command>
    let onOutput: @Sendable (Machine.Output) -> Void
    let onNote: @Sendable (LoopNote) -> Void

    var tunnel: TunnelDevice?
    var diversion: Diversion?
    var tunnelBatch = Batch(byteCount: TunnelReading.blockByteCount)
    var isTunnelPaused = false
    var cutsTunnelPackets = false
    var groups = DatagramGroups()
    /// The head of datagrams that leave together.
    var joinedHead = Block(byteCount: 64)

    var sockets: SocketTable
    var networkBatch = Batch(byteCount: ReceiveVectors.batchByteCount)
    var receiveVectors = ReceiveVectors()
    var sendVectors = SendVectors()
    var singleVectors = SendVectors()
    var singles = SingleSending()
    var hasNotedExhaustion = false

    var exchanges: ExchangeTable
    /// What the machine is told next, about what it asked for and was done or failed at once.
    private var answers: [Machine.Command] = []
    var isStopped = false

    init(
        machine: consuming Machine,
        tunnel: consuming TunnelDevice?,
        sockets: consuming UDPSockets,
        mark: UInt32,
        executor: LoopExecutor,
        inbox: CommandInbox<Machine.Command>,
        onOutput: @escaping @Sendable (Machine.Output) -> Void,
        onNote: @escaping @Sendable (LoopNote) -> Void
    ) throws(SystemError) {
        let queue = try EventQueue()
        try queue.add(executor.descriptor, .wake, .readable)
        if let device = tunnel?.descriptor.raw { try queue.add(device, .tunnel, .readable) }
        let table = SocketTable(sockets, mark: mark)
        for slot in table.mainSlots {
            try queue.add(table.descriptor(slot), .socket(slot), .readable)
        }
        self.queue = queue
        self.machine = machine
        self.tunnel = tunnel
        self.sockets = table
        exchanges = ExchangeTable(mark: mark)
        (self.executor, self.inbox) = (executor, inbox)
        self.onOutput = onOutput
        self.onNote = onNote
    }

    /// What the loop's thread runs.
    var body: () -> Void { { self.run() } }

    /// Runs until the executor is finished.
    private func run() {
        settle()
        while !executor.isFinished {
            let count = queue.wait(until: isStopped ? nil : nextDeadline, now: now)
            turn(events: count)
        }
        stop()
    }

    /// When the loop must wake up by itself.
    private var nextDeadline: Instant? {
        if !answers.isEmpty { return now }
        var earliest = machine.nextDeadline
        for deadline in [exchanges.nextDeadline, sockets.nextDeadline] {
            guard let deadline else { continue }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        return earliest
    }

    private func turn(events count: Int) {
        now = SystemClock.now()
        counters.turns += 1
        for index in 0..<count {
            guard let event = queue.event(index) else { continue }
            switch event.key {
            case .wake:
                executor.runJobs()
                takePosted()
            case .timer: queue.acknowledgeTimer()
            case .socket(let slot): serve(slot, event.interest)
            case .tunnel: readTunnel(.tunnel)
            case .second: readTunnel(.second)
            case .exchange(let slot, let generation): answer(slot, generation)
            }
        }
        deliver(from: .network)
        guard !isStopped else { return }
        advance()
    }

    private func advance() {
        if !answers.isEmpty { settle() }
        counters.exchangesExpired += UInt64(exchanges.expire(at: now, in: queue))
        giveUpBacklogs()
        if let deadline = machine.nextDeadline, deadline <= now {
            machine.advance(to: now, into: &outbox)
            settle()
        }
    }

    private func takePosted() {
        let commands = inbox.takeAll()
        guard !isStopped, !commands.isEmpty else { return }
        give(commands)
        settle()
    }

    /// A command of the control side.
    func handle(_ command: Machine.Command) {
        guard !isStopped else { return }
        machine.handle(command, at: now, into: &outbox)
        settle()
    }

    /// Lends a batch to the machine until all of it is taken.
    func deliver(from side: Side) {
        var hasStalled = false
        while true {
            let isEmpty =
                side == .tunnel ? tunnelBatch.indices.isEmpty : networkBatch.indices.isEmpty
            if isEmpty || isStopped { return }
            var taken: Int
            switch side {
            case .tunnel:
                taken = machine.receive(tunnelBatch, from: side, at: now, into: &outbox)
            case .network:
                taken = machine.receive(networkBatch, from: side, at: now, into: &outbox)
            }
            settle()
            if taken <= 0 {
                // The outbox was empty the second time: this entry will never fit.
                if hasStalled {
                    counters.entriesStalled += 1
                    taken = 1
                }
                hasStalled.toggle()
            } else {
                hasStalled = false
            }
            switch side {
            case .tunnel: tunnelBatch.removeFirst(taken)
            case .network: networkBatch.removeFirst(taken)
            }
        }
    }

    /// Does what the machine asks for, then sends what it has made.
    func settle() {
        for _ in 0..<LoopLimits.answerRounds {
            performOutputs()
            if answers.isEmpty { break }
            give(answers.drainAll())
        }
        flush()
    }

    /// Hands commands to the machine, with breaks in which its outputs and its outbox are emptied.
    private func give(_ commands: [Machine.Command]) {
        for (index, command) in commands.enumerated() {
            if index > 0, index % LoopLimits.answers == 0 {
                performOutputs()
                flush()
            }
            machine.handle(command, at: now, into: &outbox)
        }
    }

    private func performOutputs() {
        while let output = machine.pollOutput() { perform(output) }
        exchanges.send(in: queue)
        takeAnswers()
    }

    private func perform(_ output: Machine.Output) {
        if let exchange = Machine.exchange(of: output), exchange.transport == .datagram {
            begin(exchange)
        } else if let request = Machine.portRequest(of: output) {
            perform(request)
        } else {
            onOutput(output)
        }
    }

    private func begin(_ exchange: Exchange) {
        counters.exchangesBegun += 1
        guard !exchanges.begin(exchange, at: now, in: queue) else { return }
        counters.exchangesFailed += 1
        tell(Machine.command(answering: exchange.token, with: nil))
    }

    private func perform(_ request: PortRequest) {
        switch request {
        case .open(let port, let ipv4, let ipv6):
            let opening = sockets.open(port, ipv4: ipv4, ipv6: ipv6, in: queue)
            switch opening {
            case .open: counters.portsOpened += 1
            case .refused(let error):
                counters.portsRefused += 1
                if error.code != EADDRINUSE, !hasNotedExhaustion {
                    hasNotedExhaustion = true
                    onNote(.portsExhausted(error.code))
                }
            }
            tell(Machine.command(port: port, isOpen: opening == .open))
        case .close(let port):
            counters.portsClosed += 1
            counters.backlogDrops += UInt64(sockets.close(port, in: queue))
            resumeTunnel()
        }
    }

    /// The answers of all sockets that have some go to the machine together.
    private func answer(_ slot: Int, _ generation: UInt32) {
        exchanges.receive(slot: slot, generation: generation, in: queue)
        takeAnswers()
        if answers.count >= LoopLimits.answers { settle() }
    }

    private func takeAnswers() {
        for ended in exchanges.takeEnded() {
            if ended.bytes == nil {
                counters.exchangesFailed += 1
            } else {
                counters.exchangesAnswered += 1
            }
            tell(Machine.command(answering: ended.token, with: ended.bytes))
        }
    }

    /// Queues an answer; ``settle()`` hands it to the machine.
    private func tell(_ command: Machine.Command?) {
        if let command { answers.append(command) }
    }

    /// Sends and forgets what waits in the outbox.
    private func flush() {
        guard !outbox.isEmpty else { return }
        sendRuns()
        writeTunnelPackets()
        outbox.removeAll()
    }

    /// Deals with what came, and gives the tunnel device and the main sockets away without closing
    /// them; nothing happens after it.
    ///
    /// - Parameters:
    ///   - body: Asks the machine for what its successor must know; what the machine puts out then
    ///     is done, but nothing is sent any more.
    ///   - state: Gets what `body` returned.
    /// - Returns: The descriptors by the names that ``DescriptorSet`` has for them; nil when the
    ///   loop was stopped before.
    func release(
        _ body: (inout Machine, Instant) -> [UInt8],
        into state: inout [UInt8]
    ) -> DescriptorSet? {
        guard !isStopped else { return nil }
        deliver(from: .network)
        settle()
        now = SystemClock.now()
        state = body(&machine, now)
        while let output = machine.pollOutput() { perform(output) }
        outbox.removeAll()
        var descriptors = DescriptorSet()
        if tunnelDescriptor >= 0 { queue.remove(tunnelDescriptor) }
        if let device = tunnel.take() {
            descriptors.add(device.takeDescriptor(), as: DescriptorSet.Name.tunnel)
        }
        for socket in sockets.takeMain(from: queue) {
            descriptors.add(FileDescriptor(taking: socket), as: DescriptorSet.Name.socket)
        }
        stop()
        return descriptors
    }

    /// Closes the devices and sockets; nothing happens after it.
    func stop() {
        guard !isStopped else { return }
        isStopped = true
        tunnel = nil
        diversion = nil
        sockets = SocketTable()
        exchanges = ExchangeTable(mark: 0)
        answers = []
    }

    /// Puts a second tunnel device in place, or takes it away.
    func divert(_ diversion: consuming Diversion?) {
        guard !isStopped else { return }
        if let device = diversion?.device.descriptor.raw {
            guard (try? queue.add(device, .second, .readable)) != nil else { return }
        }
        self.diversion = diversion
    }
}

extension Array {
    /// Takes all elements.
    fileprivate mutating func drainAll() -> [Element] {
        defer { removeAll(keepingCapacity: true) }
        return self
    }
}
