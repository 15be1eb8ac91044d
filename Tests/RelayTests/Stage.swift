import Bytes
import IP
import STUN
import SansIO

@testable import Relay

func endpoint(_ text: String) -> Endpoint { Endpoint(text) ?? .unspecified }

/// A relay with a host that opens ports, and everything that it sent.
final class Stage {
    struct Sent: Equatable {
        var bytes: [UInt8]
        var remote: Endpoint
        var local: Endpoint
        var ecn: UInt8
    }

    static let main = endpoint("198.51.100.1:3478")
    static let mainIPv6 = endpoint("[2001:db8:1::1]:3478")
    static let secret = "correct horse"
    static let start = Instant(nanoseconds: 5_000_000_000_000)
    static let unixStart: UInt64 = 1_800_000_000

    var relay: Relay
    var now = Stage.start
    var outbox = Outbox()
    var batch = Batch(byteCount: 1 << 18)
    /// Ports that the host has open.
    var ports: Set<UInt16> = []
    /// How many ports the host refuses yet.
    var portsToRefuse = 0
    /// Whether the host answers at all.
    var answersPorts = true
    var requested: [PortRequest] = []
    var closedStreams: [Endpoint] = []
    var events: [Relay.Event] = []
    var isFinished = false

    static func configuration(
        _ change: (inout Relay.Configuration) -> Void = { _ in }
    ) -> Relay.Configuration {
        var configuration = Relay.Configuration(
            secrets: [secret],
            wallClock: Relay.WallClock(unixSeconds: unixStart, at: start),
            ipv4: Relay.LentAddress(main.address),
            ipv6: Relay.LentAddress(mainIPv6.address)
        )
        change(&configuration)
        return configuration
    }

    init(_ change: (inout Relay.Configuration) -> Void = { _ in }, seed: UInt64 = 1) {
        relay = Relay(
            configuration: Self.configuration(change),
            random: RandomSource(seed: seed)
        )
    }

    /// One entry of a batch; what came of it.
    @discardableResult
    func receive(
        _ bytes: [UInt8],
        from remote: Endpoint,
        to local: Endpoint = Stage.main,
        segmentByteCount: Int = 0,
        ecn: UInt8 = 0
    ) -> [Sent] {
        hold(bytes, from: remote, to: local, segmentByteCount: segmentByteCount, ecn: ecn)
        _ = relay.receive(batch, from: .network, at: now, into: &outbox)
        batch.removeAll()
        return settle()
    }

    /// Adds an entry to the batch.
    func hold(
        _ bytes: [UInt8],
        from remote: Endpoint,
        to local: Endpoint = Stage.main,
        segmentByteCount: Int = 0,
        ecn: UInt8 = 0
    ) {
        let start = batch.indices.last.map { batch[$0].range.upperBound } ?? 0
        let range = start..<start + bytes.count
        var target = batch.block.mutableBytes(range)
        target.write(bytes.rawSpan, at: 0)
        batch.append(
            Batch.Packet(
                range: range,
                segmentByteCount: segmentByteCount,
                remote: remote,
                local: local,
                ecn: ecn
            )
        )
    }

    @discardableResult
    func handle(_ command: Relay.Command) -> [Sent] {
        relay.handle(command, at: now, into: &outbox)
        return settle()
    }

    /// Time passes, deadline by deadline.
    @discardableResult
    func pass(_ duration: Duration) -> [Sent] {
        let end = now.advanced(by: duration)
        var sent: [Sent] = []
        var steps = 0
        while let next = relay.nextDeadline, next <= end, steps < 100_000 {
            steps += 1
            now = max(now, next)
            relay.advance(to: now, into: &outbox)
            sent += settle()
        }
        now = end
        return sent
    }

    /// What the host does after each turn.
    @discardableResult
    func settle() -> [Sent] {
        while let output = relay.pollOutput() {
            switch output {
            case .port(let request):
                requested.append(request)
                answer(request)
            case .closeStream(let bridge): closedStreams.append(bridge)
            case .event(let event): events.append(event)
            case .finished: isFinished = true
            }
        }
        return drain()
    }

    private func answer(_ request: PortRequest) {
        switch request {
        case .close(let port): ports.remove(port)
        case .open(let port, ipv4: _, ipv6: _):
            guard answersPorts else { return }
            let isOpen = portsToRefuse == 0
            if isOpen { ports.insert(port) } else { portsToRefuse -= 1 }
            guard let command = Relay.command(port: port, isOpen: isOpen) else { return }
            relay.handle(command, at: now, into: &outbox)
        }
    }

    private func drain() -> [Sent] {
        var all: [Sent] = []
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            let bytes = outbox.bytes(ofRun: index).array
            for start in stride(from: 0, to: bytes.count, by: run.segmentByteCount) {
                let end = min(start + run.segmentByteCount, bytes.count)
                all.append(
                    Sent(
                        bytes: Array(bytes[start..<end]),
                        remote: run.remote,
                        local: run.local,
                        ecn: run.ecn
                    )
                )
            }
        }
        outbox.removeAll()
        return all
    }

    var counters: Relay.Counters { relay.counters }
    var allocationCount: Int { relay.allocationCount }
}
