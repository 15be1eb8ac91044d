internal import Bytes
internal import IP
internal import SansIO
internal import WireGuard

/// Runs one core as a host does: bytes, commands and time in; outputs handled before the outbox
/// leaves; asleep exactly until the core's deadline.
///
/// It fails the world for a core that runs in circles, and counts how often time alone woke it.
final class MachineHost<Machine: PacketMachine & ~Copyable> {
    /// Calls of `advance` at one instant; outputs and packets of one turn need a few.
    private let advancesMax = 64

    let name: String
    unowned let world: World
    var machine: Machine
    /// What the host does for the core; called outside of the core.
    var onOutput: (Machine.Output) -> Void = { _ in }
    var onDatagram: (_ bytes: [UInt8], _ remote: Endpoint, _ local: Endpoint) -> Void = { _, _, _ in
    }
    var onPacket: ([UInt8]) -> Void = { _ in }
    /// How often time alone woke the core.
    private(set) var wakes = 0
    /// Ports beside the main one.
    private(set) var openPorts: Set<UInt16> = []
    private var outbox = Outbox(byteCount: 1 << 18)
    private var batch = Batch(byteCount: 1 << 17)
    private var scheduled: Instant?
    private var generation = 0
    private(set) var isStopped = false
    var isSuspended = false
    /// A mistake, made on purpose: now and then it sleeps too long.
    var skipsDeadlines = false
    private let skippedOf = 5
    private let skippedFor: Duration = .seconds(5)
    private var deadlineCount = 0
    private var isOversleeping = false

    init(_ name: String, _ machine: consuming Machine, in world: World) {
        (self.name, self.world) = (name, world)
        self.machine = machine
    }

    /// The process is gone; nothing reaches it any more.
    func stop() {
        isStopped = true
        generation += 1
    }

    private var isDeaf: Bool { isStopped || isSuspended }

    func handle(_ command: Machine.Command) {
        guard !isDeaf else { return }
        machine.handle(command, at: world.now, into: &outbox)
        finish()
    }

    /// A packet from the tunnel device.
    func receive(packet: [UInt8], _ offload: Offload = .none) {
        take(packet, Batch.Packet(range: 0..<packet.count, offload: offload), from: .tunnel)
    }

    /// A datagram from the network.
    func receive(datagram: [UInt8], remote: Endpoint, local: Endpoint) {
        let entry = Batch.Packet(range: 0..<datagram.count, remote: remote, local: local)
        take(datagram, entry, from: .network)
    }

    private func take(_ bytes: [UInt8], _ entry: Batch.Packet, from side: Side) {
        guard !isDeaf else { return }
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<bytes.count)
        room.write(bytes.rawSpan, at: 0)
        batch.append(entry)
        if machine.receive(batch, from: side, at: world.now, into: &outbox) != 1 {
            world.fail("\(name) took no packet with an empty outbox")
        }
        finish()
    }

    /// Goes on after a time in which the clock ran and nothing was done.
    func resume() {
        isSuspended = false
        wake()
    }

    /// Wakes the core without a reason, which must do no harm.
    func disturb() {
        guard !isDeaf else { return }
        machine.advance(to: world.now, into: &outbox)
        finish()
    }

    private func wake() {
        guard !isDeaf else { return }
        wakes += 1
        world.note("\(name) wakes")
        machine.advance(to: world.now, into: &outbox)
        finish()
    }

    /// What every turn ends with.
    private func finish() {
        var advances = 0
        while !isStopped {
            while let output = machine.pollOutput() { take(output) }
            flush()
            guard let deadline = machine.nextDeadline, deadline <= world.now, !isOversleeping
            else { break }
            advances += 1
            guard advances < advancesMax else {
                return world.fail("\(name) wants to be called again and again at one instant")
            }
            machine.advance(to: world.now, into: &outbox)
        }
        sleep()
    }

    private func take(_ output: Machine.Output) {
        guard let request = Machine.portRequest(of: output) else { return onOutput(output) }
        switch request {
        case .open(let port, _, _):
            openPorts.insert(port)
            guard let answer = Machine.command(port: port, isOpen: true) else { return }
            machine.handle(answer, at: world.now, into: &outbox)
        case .close(let port): openPorts.remove(port)
        }
    }

    private func sleep() {
        guard !isStopped, !isOversleeping, machine.nextDeadline != scheduled else { return }
        generation += 1
        scheduled = machine.nextDeadline
        guard let deadline = scheduled else { return }
        let expected = generation
        world.at(deadline) { [weak self] in
            guard let self, generation == expected else { return }
            scheduled = nil
            if !oversleeps() { wake() }
        }
    }

    /// The mistake: time is not told to the core for a while after its deadline.
    private func oversleeps() -> Bool {
        deadlineCount += 1
        guard skipsDeadlines, deadlineCount % skippedOf == 0 else { return false }
        isOversleeping = true
        world.after(skippedFor) { [weak self] in
            guard let self else { return }
            isOversleeping = false
            wake()
        }
        return true
    }

    /// Sends and empties the outbox.
    private func flush() {
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            let bytes = outbox.bytes(ofRun: index)
            var start = 0
            while start < bytes.byteCount {
                let end = min(start + max(1, run.segmentByteCount), bytes.byteCount)
                let datagram = bytes.extracting(start..<end).array
                onDatagram(datagram, run.remote, run.local)
                start = end
            }
        }
        for index in 0..<outbox.tunnelPacketCount {
            let bytes = outbox.bytes(ofTunnelPacket: index).array
            for packet in segments(bytes, outbox.tunnelPacket(index).offload) { onPacket(packet) }
        }
        outbox.removeAll()
    }

    /// A large packet as the kernel cuts it, checksums completed.
    private func segments(_ packet: [UInt8], _ offload: Offload) -> [[UInt8]] {
        guard offload != .none else { return [packet] }
        do {
            let segmenter = try Segmenter(packet.rawSpan, offload)
            return (0..<segmenter.count).map { index in
                let count = segmenter.byteCount(of: index)
                var block = Block(byteCount: count)
                var bytes = block.mutableBytes(0..<count)
                _ = segmenter.write(index, into: &bytes)
                return block.bytes(0..<count).array
            }
        } catch {
            world.fail("\(name) sent a large packet that cannot be cut: \(error.label)")
            return []
        }
    }
}
