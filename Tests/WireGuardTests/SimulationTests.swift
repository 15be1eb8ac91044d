internal import Bytes
internal import SansIO
internal import Testing
internal import WireGuard

/// Two tunnels, a bad network between them, an hour of virtual time.
@Suite struct SimulationTests {
    @Test func `an hour with a fifth of all datagrams lost delivers the rest, once`() throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            var world = try World(seed: seed)
            try world.run(until: 3_600, lossPercent: 20)
            let tally = world.tally
            // Four out of five arrive; a session renewed late loses a few more.
            #expect(tally.opened > tally.sealed * 70 / 100, "seed \(seed): \(tally)")
            #expect(tally.handshakes >= 25, "seed \(seed): \(tally)")
            #expect(tally.unsealed < tally.sealed / 20, "seed \(seed): \(tally)")
            #expect(tally.wrong == 0, "seed \(seed): \(tally)")
        }
    }

    @Test func `without loss everything arrives`() throws {
        var world = try World(seed: 4)
        try world.run(until: 3_600, lossPercent: 0)
        let tally = world.tally
        // What is under way at the end has not arrived.
        #expect(tally.opened >= tally.sealed - 2, "\(tally)")
        #expect(tally.wrong == 0)
    }

    @Test func `ten minutes without network end with the next packet`() throws {
        var world = try World(seed: 5)
        try world.run(until: 300, lossPercent: 0)
        try world.run(until: 900, lossPercent: 100)
        let before = world.tally.opened
        try world.run(until: 910, lossPercent: 0)
        let after = world.tally.opened
        #expect(after > before)
    }

    @Test func `a seed tells everything`() throws {
        var tallies: [World.Tally] = []
        for _ in 0..<2 {
            var world = try World(seed: 6)
            try world.run(until: 600, lossPercent: 30)
            tallies.append(world.tally)
        }
        #expect(tallies[0] == tallies[1])
    }
}

/// The pair, what is under way between them, and what came of it.
struct World: ~Copyable {
    struct Tally: Equatable {
        var sealed = 0
        var unsealed = 0
        var opened = 0
        var wrong = 0
        var handshakes = 0
        var refused = 0
    }

    private struct Datagram {
        let arrival: Instant
        let isForGateway: Bool
        let bytes: [UInt8]
    }

    private var pair: Pair
    private var random: RandomSource
    private var underWay: [Datagram] = []
    private var now = at(0)
    private var nextPacket = at(0)
    private var number: UInt64 = 0
    private var delivered: Set<[UInt8]> = []
    private var lossPercent = 0
    private(set) var tally = Tally()

    init(seed: UInt64) throws {
        pair = try Pair(presharedKey: key(counting(32)), timing: .paper)
        random = RandomSource(seed: seed)
    }

    /// Runs to `end`, in seconds.
    mutating func run(until end: Double, lossPercent: Int) throws {
        self.lossPercent = lossPercent
        for _ in 0..<200_000 {
            var next = min(nextPacket, at(end))
            for datagram in underWay { next = min(next, datagram.arrival) }
            for deadline in [pair.client.tunnel.nextDeadline, pair.gateway.tunnel.nextDeadline] {
                if let deadline { next = min(next, deadline) }
            }
            now = max(now, next)
            if now >= at(end) { return }
            try step()
        }
        Issue.record("too many steps")
    }

    private mutating func step() throws {
        if let index = underWay.firstIndex(where: { $0.arrival <= now }) {
            receive(underWay.remove(at: index))
        }
        if nextPacket <= now {
            sendPacket(fromClient: Int.random(in: 0..<3, using: &random) > 0)
            nextPacket = now.advanced(by: .milliseconds(Int.random(in: 1...2_000, using: &random)))
        }
        for action in pair.client.actions(at: now) { try perform(action, isClient: true) }
        for action in pair.gateway.actions(at: now) { try perform(action, isClient: false) }
    }

    private mutating func perform(_ action: Tunnel.Action, isClient: Bool) throws {
        switch action {
        case .initiate:
            let message =
                isClient ? try pair.client.initiate(at: now) : try pair.gateway.initiate(at: now)
            send(message, toGateway: isClient)
        case .keepalive:
            let empty = isClient ? pair.client.seal([], at: now) : pair.gateway.seal([], at: now)
            if let empty { send(empty, toGateway: isClient) }
        case .gaveUp, .expired:
            break
        }
    }

    private mutating func sendPacket(fromClient: Bool) {
        number += 1
        let inner = [fromClient ? 1 : 2] + counting(8, from: Int(number)) + number.bytes
        let sealed =
            fromClient ? pair.client.seal(inner, at: now) : pair.gateway.seal(inner, at: now)
        if let sealed {
            tally.sealed += 1
            send(sealed, toGateway: fromClient)
        } else {
            tally.unsealed += 1
        }
    }

    /// Lost, late, out of order, or twice.
    private mutating func send(_ bytes: [UInt8], toGateway: Bool) {
        for _ in 0..<(Int.random(in: 0..<20, using: &random) == 0 ? 2 : 1) {
            if Int.random(in: 0..<100, using: &random) < lossPercent { continue }
            let delay = Duration.milliseconds(Int.random(in: 5...200, using: &random))
            underWay.append(
                Datagram(
                    arrival: now.advanced(by: delay),
                    isForGateway: toGateway,
                    bytes: bytes
                )
            )
        }
    }

    private mutating func receive(_ datagram: Datagram) {
        do {
            switch MessageKind(of: datagram.bytes.rawSpan) {
            case .initiation:
                let response =
                    datagram.isForGateway
                    ? try pair.gateway.respond(to: datagram.bytes, at: now)
                    : try pair.client.respond(to: datagram.bytes, at: now)
                send(response, toGateway: !datagram.isForGateway)
            case .response:
                if datagram.isForGateway {
                    try pair.gateway.finish(with: datagram.bytes, at: now)
                } else {
                    try pair.client.finish(with: datagram.bytes, at: now)
                }
                tally.handshakes += 1
            case .transport:
                let plain =
                    datagram.isForGateway
                    ? try pair.gateway.open(datagram.bytes, at: now).plain
                    : try pair.client.open(datagram.bytes, at: now).plain
                if !plain.isEmpty { deliver(plain, toGateway: datagram.isForGateway) }
            case .cookieReply, nil:
                tally.wrong += 1
            }
        } catch {
            tally.refused += 1
        }
    }

    /// A packet comes once, whole, on the right side.
    private mutating func deliver(_ plain: [UInt8], toGateway: Bool) {
        let isRight = plain.count == 32 && plain[0] == (toGateway ? 1 : 2)
        if isRight, delivered.insert(plain).inserted {
            tally.opened += 1
        } else {
            tally.wrong += 1
        }
    }
}

extension UInt64 {
    /// Little-endian.
    fileprivate var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: self >> UInt64(8 * $0)) }
    }
}
