internal import Bytes
internal import Control
internal import IP
internal import SansIO

/// A TCP connection of an application: sends pieces, wants each back, repeats what is not answered,
/// and ends by FIN.
///
///     opening ──SYN-ACK──▶ open ──the last piece is back──▶ closing ──FIN──▶ over
///        └──ICMP error──▶ over     └────RST────▶ over
final class Stream: Applications.Listener {
    /// Bounds of a stream.
    enum Limits {
        /// The first repetition; then twice as long, up to `repeatMax`.
        static let repeatMin: Duration = .milliseconds(300)
        /// The same of a SYN, as kernels do it.
        static let repeatSYN: Duration = .seconds(1)
        static let repeatMax: Duration = .seconds(1)
        /// Without progress for so long it hangs.
        static let patience: Duration = .seconds(12)
    }

    private enum State { case opening, open, closing, over }

    unowned let scene: Scene
    let number: Int
    private let target: Target
    private let destination: IPAddress
    private let resource: ResourceID?
    private let expectation: Expectation
    private let openedAt: Instant
    private var state = State.opening
    private var port: UInt16 = 0
    private let start: UInt32
    private var theirNext: UInt32 = 0
    private var theirStart: UInt32 = 0
    /// Bytes that went there and came back.
    private var done: UInt32 = 0
    private var piece: [UInt8] = []
    private var received: [UInt8] = []
    private var piecesLeft: Int
    private let pause: Duration
    private var sentAt: Instant
    private var progressAt: Instant
    private var generation = 0
    private(set) var finished: Expectation?
    var onOpen: () -> Void = {}
    var onEnd: (Stream) -> Void = { _ in }

    init(
        _ scene: Scene,
        number: Int,
        _ target: Target,
        to destination: IPAddress,
        pieces: Int,
        pause: Duration
    ) {
        (self.scene, self.number, self.target) = (scene, number, target)
        (self.destination, self.piecesLeft, self.pause) = (destination, pieces, pause)
        resource = scene.model.resource(of: target)?.id
        expectation = scene.model.expectation(of: target)
        openedAt = scene.world.now
        (sentAt, progressAt) = (openedAt, openedAt)
        start = UInt32(truncatingIfNeeded: scene.world.random.next())
    }

    private var world: World { scene.world }

    /// Sends the SYN.
    ///
    /// - Parameter pause: When it is repeated first.
    func open(repeatingAfter pause: Duration = Limits.repeatMin) {
        port = scene.applications.port(.tcp, self)
        world.note("stream \(number): \(target) at \(destination), expected \(expectation.words)")
        sendAgain(after: pause)
        world.after(Limits.patience) { [weak self] in self?.watch() }
    }

    private func transmit() {
        sentAt = world.now
        scene.calm.packetSent(for: resource, isAnswerable: expectation == .roundTrip)
        switch state {
        case .opening: send(.syn, sequence: start &- 1, [])
        case .open: if !piece.isEmpty { sendPiece() }
        case .closing: send([.fin, .ack], sequence: start &+ done, [])
        case .over: break
        }
    }

    /// Sends what is due, and again until it is answered.
    private func sendAgain(after pause: Duration) {
        generation += 1
        let expected = generation
        transmit()
        world.after(pause) { [weak self] in
            guard let self, generation == expected, state != .over else { return }
            sendAgain(after: min(pause * 2, Limits.repeatMax))
        }
    }

    /// A large piece goes as one large packet that the core cuts.
    private func sendPiece() {
        let size = 1_000
        let ip = IPHeader(from: scene.applications.address(destination.family), to: destination)
        let tcp = header([.ack, .psh], sequence: start &+ done)
        let packet = ip.packet(tcp, payload: piece)
        guard piece.count > size else { return scene.client.send(packet) }
        let headers = ip.byteCount + tcp.byteCount
        let isIPv4 = destination.isIPv4
        var partial = packet
        let sum = Checksum(
            pseudoHeaderOf: .tcp,
            source: ip.source,
            destination: ip.destination,
            byteCount: packet.count - ip.byteCount
        ).folded
        partial[ip.byteCount + 16] = UInt8(sum >> 8)
        partial[ip.byteCount + 17] = UInt8(truncatingIfNeeded: sum)
        let offload = Offload(
            segmentation: isIPv4 ? .tcpIPv4 : .tcpIPv6,
            needsChecksum: true,
            checksumStart: ip.byteCount,
            checksumOffset: 16,
            headerByteCount: headers,
            segmentByteCount: size
        )
        scene.client.send(partial, offload)
    }

    private func header(_ flags: TCPFlags, sequence: UInt32) -> TCPHeader {
        TCPHeader(
            sourcePort: port,
            destinationPort: target.port,
            sequence: sequence,
            acknowledgment: flags.contains(.ack) ? theirNext : 0,
            flags: flags
        )
    }

    private func send(_ flags: TCPFlags, sequence: UInt32, _ payload: [UInt8]) {
        let ip = IPHeader(from: scene.applications.address(destination.family), to: destination)
        scene.client.send(ip.packet(header(flags, sequence: sequence), payload: payload))
    }
}

// MARK: - What comes back

extension Stream {
    func receive(_ packet: [UInt8], _ header: PacketHeader) {
        guard header.source == destination, header.sourcePort == target.port else {
            return world.fail("stream \(number) gets a segment of \(header.source)")
        }
        guard state != .over else { return }
        if header.tcpFlags.contains(.rst) { return reset() }
        let payload = Array(packet[header.payloadOffset...])
        switch state {
        case .opening:
            guard header.tcpFlags.contains([.syn, .ack]), header.acknowledgment == start else {
                return
            }
            theirStart = header.sequence &+ 1
            theirNext = theirStart
            state = .open
            world.note("stream \(number) is open")
            onOpen()
            advance()
            nextPiece()
        case .open: take(payload, at: header.sequence)
        case .closing:
            if header.tcpFlags.contains(.fin) { end(.roundTrip) }
        case .over: break
        }
    }

    private func reset() {
        world.note("stream \(number) is reset")
        switch state {
        case .opening: end(.closedPort)
        // Both ends said all; who repeats its FIN later finds nobody.
        case .closing: end(.roundTrip)
        case .open, .over: end(.refusals)
        }
    }

    /// Echoed bytes, each at the offset where it was sent.
    private func take(_ payload: [UInt8], at sequence: UInt32) {
        let offset = Int(Int32(bitPattern: sequence &- theirStart &- done))
        guard offset >= 0, offset <= received.count, offset + payload.count <= piece.count else {
            return
        }
        guard payload.elementsEqual(piece[offset..<offset + payload.count]) else {
            return world.fail("stream \(number) gets other bytes back than it sent")
        }
        let fresh = offset + payload.count - received.count
        guard fresh > 0 else { return }
        received += payload.suffix(fresh)
        theirNext = theirStart &+ done &+ UInt32(received.count)
        advance()
        guard received.count == piece.count else { return }
        done &+= UInt32(piece.count)
        (piece, received) = ([], [])
        generation += 1
        world.after(pause) { [weak self] in self?.nextPiece() }
    }

    private func nextPiece() {
        guard state == .open else { return }
        progressAt = world.now
        if piecesLeft == 0 {
            state = .closing
        } else {
            piecesLeft -= 1
            let count = Int.random(in: 1...4_000, using: &world.random)
            piece = ProbePayload(probe: UInt64(number) << 32 | UInt64(done), byteCount: count).bytes
        }
        sendAgain(after: Limits.repeatMin)
    }

    private func advance() {
        progressAt = world.now
        scene.calm.answered(resource, sentAt: sentAt)
    }

    func receive(error: Applications.Told, about quoted: PacketHeader) {
        guard state == .opening else { return }
        world.note("stream \(number) is refused: \(error)")
        switch error {
        case .prohibited: end(.prohibited)
        case .hostUnreachable, .networkUnreachable: end(.unreachable)
        case .portUnreachable: end(.closedPort)
        case .other: world.fail("stream \(number) is refused by \(error)")
        }
    }
}

// MARK: - Verdict

extension Stream {
    private func end(_ outcome: Expectation) {
        state = .over
        finished = outcome
        world.mix(UInt64(number) << 8 | UInt64(outcome.rawValue))
        world.note("stream \(number) ends: \(outcome.words)")
        judge(outcome)
        onEnd(self)
        world.after(.seconds(30)) { [self] in scene.applications.close(.tcp, port) }
    }

    private func judge(_ outcome: Expectation) {
        let isOpened = theirStart != 0
        if isOpened {
            guard outcome != .roundTrip else { return }
            let since = openedAt
            if scene.calm.disturbance(of: resource, since: since, endingStreams: true) != nil {
                return
            }
            return world.fail("stream \(number) to \(target) is ended without a reason")
        }
        guard scene.calm.disturbance(of: resource, since: openedAt) == nil else { return }
        if outcome == .unreachable, scene.prober.isLossNear(openedAt) { return }
        if !expectation.contains(outcome) {
            world.fail(
                "stream \(number) to \(target): \(outcome.words), expected \(expectation.words)"
            )
        }
    }

    /// Looks whether it hangs.
    private func watch() {
        guard state != .over else { return }
        world.after(.seconds(1)) { [weak self] in self?.watch() }
        // Between two pieces it waits by itself.
        if state == .open, piece.isEmpty { return }
        guard progressAt.duration(to: world.now) >= Limits.patience else { return }
        if scene.calm.disturbance(of: resource, since: progressAt) != nil
            || scene.site.mayHold(openedAt, since: progressAt)
        {
            progressAt = world.now
            return giveUpWhenLost()
        }
        world.fail("stream \(number) to \(target) hangs since \(World.text(Limits.patience)) s")
    }

    /// A connection that a fault may end is given up by its application.
    private func giveUpWhenLost() {
        let isLost =
            scene.calm.disturbance(of: resource, since: openedAt, endingStreams: true) != nil
        if isLost || state == .opening { end(.nothing) }
    }
}
