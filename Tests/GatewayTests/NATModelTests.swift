import Bytes
import Gateway
import IP
import SansIO
import Testing

/// The NAT as a list that is searched from one end to the other: slow, and easy to believe.
private struct SlowNAT {
    struct Flow {
        var inside: FlowKey
        var outside: FlowKey
        var stage: NATFlow.Stage
        var fins: (inside: Bool, outside: Bool) = (false, false)
        var lastUsed: Instant
        /// Grows with each packet, so that equal times still have an order.
        var use: Int
    }

    var flows: [Flow] = []
    let flowsMax: Int
    private var uses = 0

    init(flowsMax: Int) { self.flowsMax = flowsMax }

    mutating func drop(at now: Instant) {
        flows.removeAll { $0.lastUsed.advanced(by: $0.stage.timeout) <= now }
    }

    mutating func packet(
        fromInside: Bool,
        _ key: FlowKey,
        _ flags: TCPFlags,
        at now: Instant
    ) -> FlowKey? {
        drop(at: now)
        let found = flows.firstIndex { (fromInside ? $0.inside : $0.outside) == key }
        guard let index = found else { return nil }
        if fromInside, flows[index].stage == .reset || flows[index].stage == .closing,
            flags.contains(.syn), !flags.contains(.ack)
        {
            flows.remove(at: index)
            return nil
        }
        let other = fromInside ? flows[index].outside : flows[index].inside
        if flows[index].stage == .reset { return other }
        uses += 1
        flows[index].use = uses
        flows[index].lastUsed = now
        switch key.transport {
        case .icmp: break
        case .udp: if !fromInside { flows[index].stage = .answered }
        case .tcp where flags.contains(.rst): flows[index].stage = .reset
        case .tcp:
            if flags.contains(.fin), fromInside { flows[index].fins.inside = true }
            if flags.contains(.fin), !fromInside { flows[index].fins.outside = true }
            if !fromInside, flows[index].stage == .opening { flows[index].stage = .established }
            if flows[index].fins == (true, true) { flows[index].stage = .closing }
        }
        return other
    }

    mutating func open(_ inside: FlowKey, to real: IPAddress, at now: Instant) -> FlowKey {
        drop(at: now)
        var outside = inside
        outside.destination = real
        while flows.contains(where: { $0.outside == outside })
            || (outside.sourcePort == 0 && outside.transport != .icmp)
        {
            outside.sourcePort &+= 1
        }
        if flows.count >= flowsMax {
            let victim = flows.indices.min {
                (flows[$0].stage.rawValue, flows[$0].use) < (
                    flows[$1].stage.rawValue, flows[$1].use
                )
            }
            if let victim { flows.remove(at: victim) }
        }
        uses += 1
        let stage: NATFlow.Stage =
            switch inside.transport {
            case .tcp: .opening
            case .udp: .asked
            case .icmp: .echo
            }
        flows.append(
            Flow(inside: inside, outside: outside, stage: stage, lastUsed: now, use: uses)
        )
        return outside
    }
}

@Suite struct NATComparedWithASlowModel {
    private static let flags: [TCPFlags] = [.syn, .ack, .ack, [.fin, .ack], [.syn, .ack], .rst]

    @Test func `random packets find the same flows, ports and ends as a plain list`() throws {
        for seed in Seeds.toTry(40) {
            var random = RandomSource(seed: seed)
            var nat = NAT(flowsMax: 12, seed: 7)
            var model = SlowNAT(flowsMax: 12)
            var now = Instant.at(0)
            for step in 0..<600 {
                now = now.advanced(by: .milliseconds(Int.random(in: 0..<20_000, using: &random)))
                if Int.random(in: 0..<4, using: &random) == 0 { nat.expire(at: now) }
                try Self.step(&nat, &model, at: now, &random, "SEED=\(seed) step \(step)")
                if Int.random(in: 0..<100, using: &random) == 0 {
                    var bytes: [UInt8] = []
                    nat.write(to: &bytes)
                    var reader = ByteReader(bytes.rawSpan)
                    nat = try NAT(reading: &reader, flowsMax: 12, seed: 7)
                }
            }
        }
    }

    private static func step(
        _ nat: inout NAT,
        _ model: inout SlowNAT,
        at now: Instant,
        _ random: inout RandomSource,
        _ note: Comment
    ) throws {
        let transport = [FlowKey.Transport.tcp, .udp, .icmp].randomElement(using: &random) ?? .tcp
        let flags = transport == .tcp ? Self.flags.randomElement(using: &random) ?? .ack : []
        let fromInside = Bool.random(using: &random)
        let address = IPAddress(
            ipv4: (fromInside ? 0x6460_0000 : 0x0a00_0000)
                + UInt32.random(in: 0..<3, using: &random)
        )
        let key = FlowKey(
            transport: transport,
            sourcePort: UInt16(random.next() % 4) &- 2,
            destination: address,
            destinationPort: transport == .icmp ? 0 : UInt16(random.next() % 2)
        )
        if fromInside {
            let found = nat.outbound(key, flags: flags, at: now).map { nat[$0].outside }
            let expected = model.packet(fromInside: true, key, flags, at: now)
            #expect(found == expected, note)
            guard found == nil, transport != .tcp || flags == .syn else { return }
            let real = IPAddress(ipv4: 0x0a00_0000 + .random(in: 0..<3, using: &random))
            let index = try nat.open(key, to: real, resource: 0, revision: 0, flags: flags, at: now)
            #expect(nat[index].outside == model.open(key, to: real, at: now), note)
        } else {
            let found = nat.inbound(key, flags: flags, at: now).map { nat[$0].inside }
            #expect(found == model.packet(fromInside: false, key, flags, at: now), note)
        }
    }
}

@Suite struct NATStorage {
    private static func filled() throws -> NAT {
        var nat = NAT(seed: 7)
        for port in 1...5 as ClosedRange<UInt16> {
            let key = FlowKey(
                transport: .tcp,
                sourcePort: port,
                destination: IPAddress(ipv4: 1),
                destinationPort: 80
            )
            let real = IPAddress(ipv4: 2)
            _ = try nat.open(key, to: real, resource: 3, revision: 4, flags: .syn, at: .at(0))
        }
        return nat
    }

    @Test func `what is written is read back, and written again the same`() throws {
        let nat = try Self.filled()
        var bytes: [UInt8] = []
        nat.write(to: &bytes)
        var reader = ByteReader(bytes.rawSpan)
        let again = try NAT(reading: &reader, seed: 7)
        var second: [UInt8] = []
        again.write(to: &second)
        #expect(again.count == 5)
        #expect(second == bytes)
    }

    @Test func `a cut table is an error at every length`() throws {
        let nat = try Self.filled()
        var bytes: [UInt8] = []
        nat.write(to: &bytes)
        for length in 0..<bytes.count {
            let cut = Array(bytes[..<length])
            #expect(throws: NATStorageError.truncated) {
                var reader = ByteReader(cut.rawSpan)
                _ = try NAT(reading: &reader, seed: 7)
            }
        }
    }

    @Test func `a table with two flows on one key is malformed`() throws {
        let nat = try Self.filled()
        var bytes: [UInt8] = []
        nat.write(to: &bytes)
        let flow = (bytes.count - 5) / 5
        let doubled = Array(bytes[..<(5 + flow)]) + bytes[5..<(5 + flow)] + bytes[(5 + 2 * flow)...]
        #expect(throws: NATStorageError.malformed) {
            var reader = ByteReader(doubled.rawSpan)
            _ = try NAT(reading: &reader, seed: 7)
        }
    }

    @Test func `of thousands of flows that come and go each one is found by both its keys`() throws
    {
        var random = RandomSource(seed: 4_711)
        var nat = NAT(seed: random.next())
        var there: [FlowKey: FlowKey] = [:]
        for step in 0..<40_000 {
            let inside = FlowKey(
                transport: .udp,
                sourcePort: UInt16(random.next() % 4_096) + 1,
                destination: IPAddress(ipv4: 0x6460_0000 + UInt32(random.next() % 4)),
                destinationPort: 53
            )
            let index = nat.outbound(inside, flags: [], at: .at(0))
            #expect((index == nil) == (there[inside] == nil))
            if let index, let outside = there[inside] {
                #expect(nat.quotedFromOutside(outside, at: .at(0)) == index)
                if step % 3 == 0 {
                    nat.remove(index, .left)
                    there[inside] = nil
                }
            } else {
                let real = IPAddress(ipv4: inside.destination.ipv4 & 0x0f | 0x0a00_0000)
                let new = try nat.open(
                    inside,
                    to: real,
                    resource: 1,
                    revision: 1,
                    flags: [],
                    at: .at(0)
                )
                there[inside] = nat[new].outside
            }
            #expect(nat.count == there.count)
        }
        #expect(there.count > 5_000)
    }
}
