internal import Bytes
internal import Client
internal import Control
internal import Daemon
internal import Dispatch
internal import Foundation
internal import Glibc
internal import IP
internal import Linux
internal import Logging
internal import SansIO

/// The clients of ``CrowdCommand``. All of them live on one queue and share one outbox.
final class Crowd: @unchecked Sendable {
    let queue = DispatchQueue(label: "crowd")
    private let own: IPAddress
    private let targets: [IPAddress]
    private var members: [Member] = []
    fileprivate var outbox = Outbox(byteCount: 1 << 16)
    fileprivate var batch = Batch(byteCount: 1 << 16)
    fileprivate var connected: Set<Int> = []
    fileprivate var sent = DatagramCounts()
    fileprivate var received = DatagramCounts()

    init(own: IPAddress, targets: [IPAddress]) { (self.own, self.targets) = (own, targets) }

    /// One line: clients with a tunnel, datagrams so far by kind.
    var summary: String {
        "connected=\(connected.count) \(sent.words("sent")) \(received.words("received"))"
    }

    /// Asks once more for what a client lacks: what it was refused may be permitted by now.
    func askAgain() { for member in members { member.ping() } }

    /// Adds a client, which connects at once.
    func add(_ name: String, _ token: Token) throws {
        let member = try Member(members.count, name, token, own: own, targets: targets, crowd: self)
        members.append(member)
        member.start()
    }
}

/// Datagrams by what they are for.
private struct DatagramCounts {
    private var handshakes = 0
    /// Sealed, with nothing or no more than a frame inside.
    private var keepalives = 0
    private var others = 0

    /// Counts a datagram by its first byte and its size.
    mutating func count(_ kind: UInt8, _ byteCount: Int) {
        switch kind {
        case 1, 2, 3: handshakes += 1
        case 4 where byteCount <= 64: keepalives += 1
        default: others += 1
        }
    }

    func words(_ way: String) -> String {
        "\(way)-keepalives=\(keepalives) \(way)-handshakes=\(handshakes) \(way)-others=\(others)"
    }
}

/// One client.
private final class Member: @unchecked Sendable {
    private let number: Int
    private let name: String
    private let own: IPAddress
    private let targets: [IPAddress]
    private unowned let crowd: Crowd
    private var machine: Client::Client
    private let descriptor: Int32
    private let port: UInt16
    private let reader: any DispatchSourceRead
    private let timer: any DispatchSourceTimer
    private let channel: ControlChannel<ToClient>
    private var tunnel: IPAddress?

    init(
        _ number: Int,
        _ name: String,
        _ token: Token,
        own: IPAddress,
        targets: [IPAddress],
        crowd: Crowd
    ) throws {
        (self.number, self.name, self.own, self.targets) = (number, name, own, targets)
        self.crowd = crowd
        machine = Client::Client(wallClock: HostFacts.wallStart(), random: Kernel.randomSource())
        (descriptor, port) = try Self.socket()
        reader = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: crowd.queue)
        timer = DispatchSource.makeTimerSource(queue: crowd.queue)
        var logger = Logger(label: "crowd") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        channel = ControlChannel(
            token: token,
            mark: nil,
            lookup: HostLookup(mark: nil) { HostFacts.nameServers(of: "/etc/resolv.conf") },
            logger: logger
        )
    }

    func start() {
        reader.setEventHandler { [self] in read() }
        timer.setEventHandler { [self] in
            machine.advance(to: SystemClock.now(), into: &crowd.outbox)
            settle()
        }
        reader.resume()
        timer.resume()
        let queue = crowd.queue
        queue.async { [self] in handle(.localAddresses([own], port: port)) }
        Task {
            await channel.run { [self] event in
                queue.async { [self] in take(event) }
            }
        }
    }

    private func take(_ event: ControlChannel<ToClient>.Event) {
        switch event {
        case .opened:
            channel.send(.hello(machine.hello(name: name, software: Software.version, os: "linux")))
            handle(.portalConnected(true))
        case .message(let message):
            handle(.portal(message))
            ping()
        case .closed: handle(.portalConnected(false))
        case .unreadable, .refusedForGood: break
        }
    }

    private func handle(_ command: Client::Client.Command) {
        machine.handle(command, at: SystemClock.now(), into: &crowd.outbox)
        settle()
    }

    /// An echo request to each target for which there is no lease: what makes the client ask for
    /// one.
    func ping() {
        guard let tunnel else { return }
        let states = machine.status(at: SystemClock.now()).resources.map(\.state)
        guard states.count(where: { $0 == .leased }) < targets.count, !states.contains(.asking)
        else { return }
        for target in targets {
            let packet = Self.echoRequest(from: tunnel, to: target)
            Self.fill(&crowd.batch, with: packet)
            _ = machine.receive(
                crowd.batch,
                from: .tunnel,
                at: SystemClock.now(),
                into: &crowd.outbox
            )
            settle()
        }
    }

    private func read() {
        while true {
            var source = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = unsafe crowd.batch.block.withUnsafeMutableBytes { bytes in
                unsafe withUnsafeMutableBytes(of: &source) { address in
                    unsafe recvfrom(
                        descriptor,
                        bytes.baseAddress,
                        2_048,
                        Int32(MSG_DONTWAIT),
                        address.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                        &length
                    )
                }
            }
            guard count > 0 else { break }
            crowd.received.count(Self.firstByte(crowd.batch), count)
            crowd.batch.removeAll()
            crowd.batch.append(
                Batch.Packet(
                    range: 0..<count,
                    remote: Endpoint(
                        IPAddress(ipv4: UInt32(bigEndian: source.sin_addr.s_addr)),
                        port: UInt16(bigEndian: source.sin_port)
                    ),
                    local: Endpoint(own, port: port)
                )
            )
            _ = machine.receive(
                crowd.batch,
                from: .network,
                at: SystemClock.now(),
                into: &crowd.outbox
            )
            settle()
        }
    }

    /// Does what the core asks for, sends what it put out, and sets the timer.
    private func settle() {
        while let output = machine.pollOutput() {
            switch output {
            case .toPortal(let message): channel.send(message)
            case .configure(let configuration): tunnel = configuration.tunnel.first(where: \.isIPv4)
            case .event(.gatewayConnected): crowd.connected.insert(number)
            case .event(.gatewayLost), .event(.gatewayLeft): crowd.connected.remove(number)
            default: break
            }
        }
        Self.send(crowd.outbox, by: descriptor, counting: &crowd.sent)
        crowd.outbox.removeAll()
        guard let deadline = machine.nextDeadline else { return }
        let delay = max(0, SystemClock.now().duration(to: deadline).nanoseconds)
        timer.schedule(deadline: .now() + .nanoseconds(Int(delay)), leeway: .milliseconds(1))
    }

    private static func fill(_ batch: inout Batch, with packet: [UInt8]) {
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        batch.append(Batch.Packet(range: 0..<packet.count))
    }

    private static func firstByte(_ batch: borrowing Batch) -> UInt8 {
        batch.block.bytes(0..<1).byte(at: 0)
    }

    /// Sends every IPv4 datagram of `outbox`.
    private static func send(
        _ outbox: borrowing Outbox,
        by descriptor: Int32,
        counting counts: inout DatagramCounts
    ) {
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            guard run.remote.address.isIPv4 else { continue }
            var remote = sockaddr_in()
            remote.sin_family = sa_family_t(AF_INET)
            remote.sin_port = run.remote.port.bigEndian
            remote.sin_addr.s_addr = UInt32(truncatingIfNeeded: run.remote.low).bigEndian
            let bytes = outbox.bytes(ofRun: index)
            for start in stride(from: 0, to: run.range.count, by: run.segmentByteCount) {
                let end = min(run.range.count, start + run.segmentByteCount)
                let datagram = bytes.extracting(start..<end)
                send(datagram, to: &remote, by: descriptor)
                counts.count(datagram.byte(at: 0), datagram.byteCount)
            }
        }
    }

    private static func send(
        _ datagram: RawSpan,
        to remote: inout sockaddr_in,
        by descriptor: Int32
    ) {
        unsafe datagram.withUnsafeBytes { bytes in
            unsafe withUnsafeBytes(of: &remote) { address in
                _ = unsafe sendto(
                    descriptor,
                    bytes.baseAddress,
                    bytes.count,
                    0,
                    address.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                    socklen_t(MemoryLayout<sockaddr_in>.size)
                )
            }
        }
    }

    private static func socket() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var local = sockaddr_in()
        local.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutableBytes(of: &local) { bytes in
            let address = unsafe bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe bind(descriptor, address, length) == 0
                && getsockname(descriptor, address, &length) == 0
        }
        guard descriptor >= 0, isBound else {
            throw Sentence("A socket cannot be made (\(Sentence.word(for: errno))).")
        }
        return (descriptor, UInt16(bigEndian: local.sin_port))
    }

    /// An ICMP echo request in IPv4 (RFC 792).
    private static func echoRequest(from source: IPAddress, to target: IPAddress) -> [UInt8] {
        var packet: [UInt8] = [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1, 0, 0]
        packet += source.bytes + target.bytes
        packet += [8, 0, 0, 0, 0, 1, 0, 1]
        for (range, place) in [(0..<20, 10), (20..<28, 22)] {
            var sum = Checksum()
            sum.add(Array(packet[range]).rawSpan)
            (packet[place], packet[place + 1]) = (UInt8(sum.field >> 8), UInt8(sum.field & 0xff))
        }
        return packet
    }
}
