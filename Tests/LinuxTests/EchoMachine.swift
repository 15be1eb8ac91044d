internal import Bytes
internal import IP
internal import SansIO

/// A machine that answers pings from the tunnel device, and sends, echoes and counts datagrams.
struct EchoMachine: ~Copyable, PacketMachine {
    enum Command: Sendable {
        /// Sends `count` datagrams of `byteCount` bytes, numbered from `first`.
        case send(
            count: Int,
            byteCount: Int,
            first: UInt32,
            to: Endpoint,
            from: Endpoint = .unspecified
        )
        case port(PortRequest)
        case portAnswered(UInt16, isOpen: Bool)
        case ask(Exchange)
        case answered(UInt64, [UInt8]?)
        case wake(after: Duration)
        /// Sends datagrams of these sizes, each full of its number, to each of these endpoints by
        /// turns, into the tunnel device.
        case datagrams(sizes: [Int], from: Endpoint, to: [Endpoint])
    }

    enum Output: Sendable, Equatable {
        /// So many datagrams have come so far.
        case received(Int)
        case exchange(Exchange)
        case answered(UInt64, [UInt8]?)
        case port(PortRequest)
        case portAnswered(UInt16, isOpen: Bool)
        case woke
        case pinged
    }

    let echoes: Bool
    private(set) var outputs = OutputQueue<Output>(countMax: 4_096)
    private var wakeAt: Instant?
    /// How often each number came, and with intact bytes.
    private(set) var received: [UInt32: Int] = [:]
    private(set) var receivedCount = 0
    private(set) var lastLocal = Endpoint.unspecified
    private(set) var lastRemote = Endpoint.unspecified
    private(set) var lastECN: UInt8 = 0
    let ecn: UInt8
    /// Where packets of the tunnel device go as datagrams; nil: pings are answered.
    let forwards: Endpoint?

    init(echoes: Bool = false, ecn: UInt8 = 0, forwards: Endpoint? = nil) {
        (self.echoes, self.ecn, self.forwards) = (echoes, ecn, forwards)
    }

    mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        for (taken, index) in batch.indices.enumerated() {
            switch side {
            case .tunnel:
                guard outbox.hasTunnelRoom(packets: 1, byteCount: batch[index].range.count) else {
                    return taken
                }
                guard let forwards else {
                    answerPing(batch.bytes(of: index), into: &outbox)
                    continue
                }
                guard outbox.hasNetworkRoom(datagrams: 1, byteCount: 1_400) else { return taken }
                let packet = batch.bytes(of: index)
                var datagram = outbox.reserve(packet.byteCount)
                datagram.write(packet, at: 0)
                outbox.commit(to: forwards)
            case .network:
                guard outbox.hasNetworkRoom(datagrams: 64, byteCount: 1_400) else { return taken }
                take(batch[index], batch.bytes(of: index), into: &outbox)
            }
        }
        return batch.indices.count
    }

    private mutating func answerPing(_ packet: RawSpan, into outbox: inout Outbox) {
        guard packet.byteCount >= 28, packet.byte(at: 0) == 0x45, packet.byte(at: 9) == 1,
            packet.byte(at: 20) == 8
        else { return }
        var answer = outbox.reserveTunnel(packet.byteCount)
        answer.write(packet, at: 0)
        answer.store(packet.uint32(at: 16), at: 12)
        answer.store(packet.uint32(at: 12), at: 16)
        answer.store(UInt8(0), at: 20)
        // Type 8 became 0: the complement of the sum grows by 0x0800 (RFC 1624).
        let sum = UInt32(packet.uint16(at: 22)) + 0x0800
        answer.store(UInt16(truncatingIfNeeded: sum + sum >> 16), at: 22)
        outbox.commitTunnel(byteCount: packet.byteCount)
        outputs.append(.pinged)
    }

    private mutating func take(
        _ entry: Batch.Packet,
        _ bytes: RawSpan,
        into outbox: inout Outbox
    ) {
        lastLocal = entry.local
        lastRemote = entry.remote
        lastECN = entry.ecn
        let step = entry.segmentByteCount > 0 ? entry.segmentByteCount : bytes.byteCount
        var at = 0
        while at < bytes.byteCount {
            let datagram = bytes.extracting(at..<min(at + step, bytes.byteCount))
            at += step
            receivedCount += 1
            if datagram.byteCount >= 8,
                datagram.uint32(at: 0) == datagram.uint32(at: datagram.byteCount - 4)
            {
                received[datagram.uint32(at: 0), default: 0] += 1
            }
            guard echoes else { continue }
            var room = outbox.reserve(datagram.byteCount)
            guard !room.isEmpty else { continue }
            room.write(datagram, at: 0)
            outbox.commit(to: entry.remote, from: entry.local, ecn: entry.ecn)
        }
        outputs.append(.received(receivedCount))
    }

    mutating func handle(_ command: Command, at now: Instant, into outbox: inout Outbox) {
        switch command {
        case .send(let count, let byteCount, let first, let remote, let local):
            for number in first..<first + UInt32(count) {
                var room = outbox.reserve(byteCount)
                guard !room.isEmpty else { continue }
                room.store(number, at: 0)
                room.store(number, at: byteCount - 4)
                outbox.commit(to: remote, from: local, ecn: ecn)
            }
        case .port(let request): outputs.append(.port(request))
        case .portAnswered(let port, let isOpen):
            outputs.append(.portAnswered(port, isOpen: isOpen))
        case .ask(let exchange): outputs.append(.exchange(exchange))
        case .answered(let token, let bytes): outputs.append(.answered(token, bytes))
        case .wake(let delay): wakeAt = now.advanced(by: delay)
        case .datagrams(let sizes, let source, let endpoints):
            for (number, size) in sizes.enumerated() {
                for endpoint in endpoints {
                    let payload = [UInt8](repeating: UInt8(number), count: size)
                    Self.write(payload, from: source, to: endpoint, into: &outbox)
                }
            }
        }
    }

    /// Writes a datagram whose checksum the kernel makes.
    private static func write(
        _ payload: [UInt8],
        from source: Endpoint,
        to destination: Endpoint,
        into outbox: inout Outbox
    ) {
        let packet = UDPHeader.packet(from: source, to: destination, payload: payload)
        var room = outbox.reserveTunnel(packet.count)
        room.write(packet.rawSpan, at: 0)
        let start = packet.count - payload.count - 8
        let sum = Checksum(
            pseudoHeaderOf: .udp,
            source: source.address,
            destination: destination.address,
            byteCount: payload.count + 8
        )
        room.store(sum.folded, at: start + 6)
        var offload = Offload.none
        (offload.needsChecksum, offload.checksumStart, offload.checksumOffset) = (true, start, 6)
        outbox.commitTunnel(byteCount: packet.count, offload: offload)
    }

    mutating func advance(to now: Instant, into outbox: inout Outbox) {
        if let due = wakeAt, due <= now {
            wakeAt = nil
            outputs.append(.woke)
        }
    }

    var nextDeadline: Instant? { outputs.isEmpty ? wakeAt : Instant(nanoseconds: 0) }

    mutating func pollOutput() -> Output? { outputs.popFirst() }

    static func exchange(of output: Output) -> Exchange? {
        if case .exchange(let exchange) = output { exchange } else { nil }
    }

    static func portRequest(of output: Output) -> PortRequest? {
        if case .port(let request) = output { request } else { nil }
    }

    static func command(port: UInt16, isOpen: Bool) -> Command? {
        .portAnswered(port, isOpen: isOpen)
    }

    static func command(answering token: UInt64, with bytes: [UInt8]?) -> Command? {
        .answered(token, bytes)
    }
}
