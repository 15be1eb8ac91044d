internal import Gateway
internal import IP
internal import Linux
internal import SansIO

/// A gateway's tables of flows, full: a million flows of 64 clients, in memory and in time.
struct NATBench {
    /// How many clients, and flows of each.
    private let clientCount = 64
    private let flowsEach = NAT.Limits.flows
    private var tables: [NAT] = []
    private var random = RandomSource(seed: 1)

    /// Fills the tables, looks flows up, and lets all end.
    static func run(_ say: (String) -> Void) throws {
        var bench = NATBench()
        say("| what | seen |")
        say("|---|---|")
        try bench.fill(say)
        bench.lookUp(say)
        bench.sweep(say)
    }

    private func key(_ flow: Int) -> FlowKey {
        FlowKey(
            transport: .udp,
            sourcePort: UInt16(truncatingIfNeeded: 1_024 + flow % 32_768),
            destination: IPAddress(ipv4: 0x6460_0000 + UInt32(truncatingIfNeeded: flow % 1_021)),
            destinationPort: 443
        )
    }

    private mutating func fill(_ say: (String) -> Void) throws {
        var longest = Duration.zero
        let start = SystemClock.now()
        for _ in 0..<clientCount {
            var nat = NAT(seed: random.next())
            for flow in 0..<flowsEach {
                let before = SystemClock.now()
                let real = IPAddress(ipv4: 0x0a00_0000 + UInt32(truncatingIfNeeded: flow % 1_021))
                _ = try nat.open(
                    key(flow),
                    to: real,
                    resource: 1,
                    revision: 1,
                    flags: [],
                    at: Instant(nanoseconds: 1_000_000_000)
                )
                longest = max(longest, before.duration(to: SystemClock.now()))
            }
            tables.append(nat)
        }
        let all = start.duration(to: SystemClock.now())
        let count = tables.reduce(0) { $0 + $1.count }
        let bytes = tables.reduce(0) { $0 + $1.byteCount }
        say("| flows | \(count) of \(clientCount) clients |")
        say("| bytes a flow, free room included | \(bytes / count) |")
        say("| opened a second | \(Self.rate(count, all)) |")
        say("| longest opening (a table grows) | \(Self.milliseconds(longest)) ms |")
    }

    /// Packets of all clients in turn, each of another flow than the last: nothing is warm.
    private mutating func lookUp(_ say: (String) -> Void) {
        let rounds = 4_000_000
        let now = Instant(nanoseconds: 2_000_000_000)
        for isInbound in [false, true] {
            let start = SystemClock.now()
            var found = 0
            var flow = 0
            for round in 0..<rounds {
                flow = (flow + 7_919) % flowsEach
                let table = round % clientCount
                if isInbound {
                    var outside = key(flow)
                    let address = 0x0a00_0000 + UInt32(truncatingIfNeeded: flow % 1_021)
                    outside.destination = IPAddress(ipv4: address)
                    if tables[table].inbound(outside, flags: [], at: now) != nil { found += 1 }
                } else if tables[table].outbound(key(flow), flags: [], at: now) != nil {
                    found += 1
                }
            }
            let time = start.duration(to: SystemClock.now())
            let way = isInbound ? "from resources" : "from clients"
            say("| looked up a second, \(way) | \(Self.rate(rounds, time)), \(found) found |")
        }
    }

    /// All flows end at once; the gateway frees so many in a turn.
    private mutating func sweep(_ say: (String) -> Void) {
        let end = Instant(nanoseconds: 1_000_000_000_000)
        var longest = Duration.zero
        var turns = 0
        let start = SystemClock.now()
        for table in tables.indices {
            while tables[table].count > 0 {
                let before = SystemClock.now()
                tables[table].expire(at: end, countMax: Gateway::Gateway.Limits.sweep)
                longest = max(longest, before.duration(to: SystemClock.now()))
                turns += 1
            }
        }
        let all = start.duration(to: SystemClock.now())
        say("| all flows end at once | \(Self.milliseconds(all)) ms in \(turns) turns |")
        say("| longest turn | \(Self.milliseconds(longest)) ms |")
    }

    private static func rate(_ count: Int, _ time: Duration) -> String {
        let perSecond = Double(count) / (Double(time.nanoseconds) / 1e9)
        return "\((perSecond / 1e5).rounded() / 10) million"
    }

    private static func milliseconds(_ time: Duration) -> Double {
        (Double(time.nanoseconds) / 1e4).rounded() / 100
    }
}
