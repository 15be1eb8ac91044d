import Bytes
import Gateway
import IP
import SansIO
import Testing

private let realServer = IPAddress(ipv4: 0x0a00_0005)
private let otherServer = IPAddress(ipv4: 0x0a00_0006)

private func proxy(_ number: UInt32) -> IPAddress { IPAddress(ipv4: 0x6460_0000 + number) }

private func key(
    _ transport: FlowKey.Transport = .tcp,
    from source: UInt16 = 40_000,
    to destination: IPAddress = proxy(1),
    port: UInt16 = 443
) -> FlowKey {
    FlowKey(
        transport: transport,
        sourcePort: source,
        destination: destination,
        destinationPort: transport == .icmp ? 0 : port
    )
}

extension Instant {
    /// Seconds after the origin of a test.
    static func at(_ seconds: Double) -> Instant {
        Instant(nanoseconds: UInt64((1_000 + seconds) * 1_000_000_000))
    }
}

extension NAT {
    /// Opens a flow as the first packet of it would.
    @discardableResult
    mutating func begin(
        _ inside: FlowKey,
        to real: IPAddress = realServer,
        flags: TCPFlags = .syn,
        at now: Instant = .at(0)
    ) throws -> NATFlow {
        let index = try open(inside, to: real, resource: 1, revision: 1, flags: flags, at: now)
        return self[index]
    }

    /// A packet from the client; the stage after it, or nil when a new flow is needed.
    mutating func sends(_ key: FlowKey, _ flags: TCPFlags = .ack, at now: Instant) -> NATFlow.Stage?
    {
        outbound(key, flags: flags, at: now).map { self[$0].stage }
    }

    /// A packet from the resource.
    mutating func answers(_ key: FlowKey, _ flags: TCPFlags = .ack, at now: Instant) -> NATFlow
        .Stage?
    {
        inbound(key, flags: flags, at: now).map { self[$0].stage }
    }
}

@Suite struct NATPorts {
    @Test func `the source port is kept when it is free`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key(from: 50_123))
        #expect(flow.outside == key(from: 50_123, to: realServer))
    }

    @Test func `two names on one real address and port from one source port get two ports`() throws
    {
        var nat = NAT(seed: 7)
        let first = try nat.begin(key(to: proxy(1)))
        let second = try nat.begin(key(to: proxy(2)))
        #expect(first.outside.sourcePort == 40_000)
        #expect(second.outside.sourcePort == 40_001)
        let back = nat.inbound(second.outside, flags: [.syn, .ack], at: .at(1))
        #expect(try nat[#require(back)].inside == key(to: proxy(2)))
    }

    @Test func `one source port may be used towards many addresses and ports`() throws {
        var nat = NAT(seed: 7)
        for port in [80, 443, 8_080] as [UInt16] {
            #expect(try nat.begin(key(port: port)).outside.sourcePort == 40_000)
        }
        #expect(try nat.begin(key(to: proxy(2)), to: otherServer).outside.sourcePort == 40_000)
        #expect(try nat.begin(key(.udp, to: proxy(2))).outside.sourcePort == 40_000)
    }

    @Test func `the search for a free port goes round past 65535 and never gives port 0`() throws {
        var nat = NAT(seed: 7)
        try nat.begin(key(from: 65_535, to: proxy(1)))
        #expect(try nat.begin(key(from: 65_535, to: proxy(2))).outside.sourcePort == 1)
        var echoes = NAT(seed: 7)
        try echoes.begin(key(.icmp, from: 65_535, to: proxy(1)))
        let second = try echoes.begin(key(.icmp, from: 65_535, to: proxy(2)))
        #expect(second.outside.sourcePort == 0)
    }

    @Test func `without a free port there is an error and not a flow`() throws {
        var nat = NAT(flowsMax: 5_000, seed: 7)
        for port in 0..<UInt16(NAT.Limits.portsTried) {
            try nat.begin(key(from: 10_000 + port, to: proxy(1)))
        }
        #expect(throws: NATError.self) { try nat.begin(key(from: 10_000, to: proxy(2))) }
        #expect(nat.counters.exhausted == 1)
    }

    @Test func `a port is free again when its flow is over`() throws {
        var nat = NAT(seed: 7)
        try nat.begin(key(.udp, to: proxy(1)))
        #expect(try nat.begin(key(.udp, to: proxy(2)), at: .at(120)).outside.sourcePort == 40_000)
    }
}

@Suite struct NATLifetimes {
    @Test(
        arguments: [
            ("a SYN without an answer", [], 240.0),
            ("an answered connection", [(false, [.syn, .ack])], 7_440),
            ("one FIN", [(false, [.syn, .ack]), (true, [.fin, .ack])], 7_440),
            (
                "both FINs",
                [(false, [.syn, .ack]), (true, [.fin, .ack]), (false, [.fin, .ack])], 10
            ),
            ("an RST from the client", [(false, [.syn, .ack]), (true, [.rst])], 5),
            ("an RST from the resource", [(false, [.rst, .ack])], 5),
        ] as [(String, [(Bool, TCPFlags)], Double)]
    )
    func `a TCP flow lives as long as its state says`(
        what: String,
        steps: [(Bool, TCPFlags)],
        seconds: Double
    ) throws {
        for (offset, lives) in [(seconds - 0.5, true), (seconds, false)] {
            var nat = NAT(seed: 7)
            let flow = try nat.begin(key())
            for (fromInside, flags) in steps {
                let found =
                    fromInside
                    ? nat.sends(flow.inside, flags, at: .at(1))
                    : nat.answers(flow.outside, flags, at: .at(1))
                #expect(found != nil)
            }
            let last = steps.isEmpty ? 0.0 : 1
            #expect((nat.answers(flow.outside, at: .at(last + offset)) != nil) == lives, "\(what)")
        }
    }

    @Test func `a UDP flow lives 2 minutes unanswered and 5 minutes answered`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key(.udp), flags: [])
        #expect(nat.sends(flow.inside, [], at: .at(119)) == .asked)
        #expect(nat.answers(flow.outside, [], at: .at(238)) == .answered)
        #expect(nat.sends(flow.inside, [], at: .at(537)) == .answered)
        #expect(nat.sends(flow.inside, [], at: .at(837)) == nil)
    }

    @Test func `an echo lives a minute`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key(.icmp), flags: [])
        #expect(nat.answers(flow.outside, [], at: .at(59)) == .echo)
        #expect(nat.answers(flow.outside, [], at: .at(119)) == nil)
    }

    @Test func `a SYN on a finished connection begins a new one, other packets do not`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key())
        _ = nat.answers(flow.outside, [.rst, .ack], at: .at(1))
        #expect(nat.sends(flow.inside, [.ack], at: .at(2)) == .reset)
        #expect(nat.sends(flow.inside, [.syn], at: .at(2)) == nil)
        let again = try nat.begin(key(), to: otherServer, at: .at(2))
        #expect(again.outside.destination == otherServer)
        #expect(nat.answers(flow.outside, [.ack], at: .at(2)) == nil)
    }

    @Test func `a late packet of an expired flow finds nothing and is counted`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key(.udp), flags: [])
        #expect(nat.answers(flow.outside, [], at: .at(400)) == nil)
        #expect(nat.counters.unmatched == 1)
        #expect(nat.counters.expired == 1)
    }

    @Test func `a quoted packet finds its flow and does not prolong it`() throws {
        var nat = NAT(seed: 7)
        let flow = try nat.begin(key(.udp), flags: [])
        #expect(nat.quotedFromOutside(flow.outside, at: .at(119)) != nil)
        #expect(nat.quotedFromInside(flow.inside, at: .at(119)) != nil)
        #expect(nat.quotedFromOutside(flow.outside, at: .at(120)) == nil)
    }

    @Test func `the next expiry is the end of the flow that ends first`() throws {
        var nat = NAT(seed: 7)
        #expect(nat.nextExpiry == nil)
        try nat.begin(key(from: 1), at: .at(0))
        try nat.begin(key(.icmp, from: 2), flags: [], at: .at(5))
        #expect(nat.nextExpiry == .at(65))
        nat.expire(at: .at(65))
        #expect(nat.count == 1)
        #expect(nat.nextExpiry == .at(240))
    }
}

@Suite struct NATBounds {
    @Test func `a full table lets the least useful flow go first`() throws {
        var nat = NAT(flowsMax: 4, seed: 7)
        let established = try nat.begin(key(from: 1), at: .at(0))
        _ = nat.answers(established.outside, [.syn, .ack], at: .at(0))
        let answered = try nat.begin(key(.udp, from: 2), flags: [], at: .at(1))
        _ = nat.answers(answered.outside, [], at: .at(1))
        let asked = try nat.begin(key(.udp, from: 3), flags: [], at: .at(2))
        let reset = try nat.begin(key(from: 4), at: .at(3))
        _ = nat.answers(reset.outside, [.rst], at: .at(3))

        for (source, gone) in [(5, reset), (6, asked)] as [(UInt16, NATFlow)] {
            let flow = try nat.begin(key(from: source), at: .at(4))
            _ = nat.answers(flow.outside, [.syn, .ack], at: .at(4))
            #expect(nat.quotedFromInside(gone.inside, at: .at(4)) == nil)
        }
        #expect(nat.quotedFromInside(established.inside, at: .at(4)) != nil)
        #expect(nat.quotedFromInside(answered.inside, at: .at(4)) != nil)
        #expect(nat.counters.evicted == 2)
    }

    @Test func `of equally useful flows the one unused for longest goes`() throws {
        var nat = NAT(flowsMax: 2, seed: 7)
        let first = try nat.begin(key(.udp, from: 1), flags: [], at: .at(0))
        let second = try nat.begin(key(.udp, from: 2), flags: [], at: .at(1))
        _ = nat.sends(first.inside, [], at: .at(2))
        try nat.begin(key(.udp, from: 3), flags: [], at: .at(3))
        #expect(nat.quotedFromInside(second.inside, at: .at(3)) == nil)
        #expect(nat.quotedFromInside(first.inside, at: .at(3)) != nil)
    }

    @Test func `removing the flows of a resource leaves the others`() throws {
        var nat = NAT(seed: 7)
        for source in 1...10 as ClosedRange<UInt16> {
            _ = try nat.open(
                key(from: source),
                to: realServer,
                resource: UInt32(source % 2),
                revision: 1,
                flags: .syn,
                at: .at(0)
            )
        }
        nat.removeAll(.revoked) { $0.resource == 1 }
        #expect(nat.count == 5)
        #expect(nat.quotedFromInside(key(from: 2), at: .at(1)) != nil)
        #expect(nat.quotedFromInside(key(from: 3), at: .at(1)) == nil)
    }
}
