import Bytes
import IP
import SansIO
import Testing

@Suite("Coalescer")
struct CoalescerTests {
    /// What leaves when the packets are committed one after the other.
    static func commit(
        _ packets: [[UInt8]],
        _ coalescer: Coalescer = Coalescer(joinsUDP: true)
    ) -> [SegmenterTests.Large] {
        var outbox = Outbox(byteCount: 1 << 19)
        var coalescer = coalescer
        for packet in packets {
            var room = outbox.reserveTunnel(packet.count + 5)
            room.write(packet.rawSpan, at: 0)
            coalescer.commit(byteCount: packet.count, in: &outbox)
        }
        var left: [SegmenterTests.Large] = []
        for index in 0..<outbox.tunnelPacketCount {
            left.append(
                SegmenterTests.Large(
                    packet: outbox.bytes(ofTunnelPacket: index).array,
                    offload: outbox.tunnelPacket(index).offload
                )
            )
        }
        return left
    }

    /// Packets of one flow, as a segmenter would cut them.
    static func flow(
        _ family: IPFamily,
        isTCP: Bool = true,
        payload: [UInt8] = [UInt8](repeating: 3, count: 2500),
        segmentByteCount: Int = 1000,
        flags: TCPFlags = [.ack, .psh]
    ) throws -> [[UInt8]] {
        let packet =
            isTCP
            ? Sample.tcp(
                family,
                flags: flags,
                options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
                payload: payload
            )
            : Sample.udp(family, payload: payload)
        return try SegmenterTests.segments(
            try SegmenterTests.Large(packet, segmentByteCount: segmentByteCount)
        )
    }

    @Test("segments of one flow become one packet with lengths, flags and a partial checksum")
    func joins() throws {
        for family in IPFamily.allCases {
            let packets = try Self.flow(family)
            let joined = Self.commit(packets)
            #expect(joined.count == 1)
            let packet = joined[0].packet
            let header = try PacketHeader(packet.rawSpan)
            #expect(header.totalByteCount == packet.count)
            #expect(header.payloadByteCount == 2500)
            #expect(header.tcpFlags == [.ack, .psh])
            let offload = Offload(
                segmentation: family == .ipv4 ? .tcpIPv4 : .tcpIPv6,
                needsChecksum: true,
                checksumStart: header.transportOffset,
                checksumOffset: 16,
                headerByteCount: header.payloadOffset,
                segmentByteCount: 1000
            )
            #expect(joined[0].offload == offload)
            let partial = Checksum(
                pseudoHeaderOf: .tcp,
                source: header.source,
                destination: header.destination,
                byteCount: header.totalByteCount - header.transportOffset
            )
            let field = packet.rawSpan.uint16(at: header.transportOffset + 16)
            #expect(field == partial.folded)
            if family == .ipv4 {
                #expect(SlowChecksum.sum(Array(packet[..<20])) == 0xffff)
            }
            #expect(try SegmenterTests.segments(joined[0]) == packets)
        }
    }

    @Test("UDP joins only where the device takes it", arguments: IPFamily.allCases)
    func udp(_ family: IPFamily) throws {
        let packets = try Self.flow(family, isTCP: false)
        let joined = Self.commit(packets)
        #expect(joined.count == 1)
        #expect(joined[0].offload.segmentation == .udp)
        #expect(try SegmenterTests.segments(joined[0]) == packets)
        #expect(Self.commit(packets, Coalescer()).count == 3)
        #expect(Self.commit(try Self.flow(family), Coalescer(joinsTCP: false)).count == 3)
    }

    struct Difference: CustomTestStringConvertible {
        let name: String
        let change: @Sendable (inout IPHeader, inout TCPHeader, inout [UInt8]) -> Void
        var testDescription: String { name }

        init(
            _ name: String,
            _ change: @escaping @Sendable (inout IPHeader, inout TCPHeader, inout [UInt8]) -> Void
        ) {
            (self.name, self.change) = (name, change)
        }
    }

    static let differences = [
        Difference("source port") { _, tcp, _ in tcp.sourcePort = 1 },
        Difference("destination port") { _, tcp, _ in tcp.destinationPort = 1 },
        Difference("a gap in sequence") { _, tcp, _ in tcp.sequence &+= 1 },
        Difference("a retransmission") { _, tcp, _ in tcp.sequence &-= 100 },
        Difference("acknowledgment") { _, tcp, _ in tcp.acknowledgment += 1 },
        Difference("window") { _, tcp, _ in tcp.window -= 1 },
        Difference("options") { _, tcp, _ in tcp.options[11] += 1 },
        Difference("fewer options") { _, tcp, _ in tcp.options = [] },
        Difference("ECE") { _, tcp, _ in tcp.flags.insert(.ece) },
        Difference("CWR") { _, tcp, _ in tcp.flags.insert(.cwr) },
        Difference("SYN") { _, tcp, _ in tcp.flags.insert(.syn) },
        Difference("RST") { _, tcp, _ in tcp.flags.insert(.rst) },
        Difference("URG") { _, tcp, _ in tcp.flags.insert(.urg) },
        Difference("urgent pointer") { _, tcp, _ in tcp.urgentPointer = 1 },
        Difference("no ACK") { _, tcp, _ in tcp.flags.remove(.ack) },
        Difference("source address") { ip, _, _ in ip.source.low += 1 },
        Difference("destination address") { ip, _, _ in ip.destination.low += 1 },
        Difference("traffic class") { ip, _, _ in ip.trafficClass = 0x20 },
        Difference("ECN") { ip, _, _ in ip.trafficClass = 3 },
        Difference("hop limit") { ip, _, _ in ip.hopLimit = 63 },
        Difference("longer than the segments before") { _, _, payload in payload.append(0) },
        Difference("no payload") { _, _, payload in payload = [] },
    ]

    @Test("a packet that differs stays alone, and in order", arguments: differences)
    func differs(_ difference: Difference) throws {
        for family in IPFamily.allCases {
            let (first, second) = Self.pair(family, difference.change)
            let left = Self.commit([first, second])
            #expect(left.map(\.packet) == [first, second], "\(family)")
            #expect(left.allSatisfy { $0.offload == .none })
        }
    }

    @Test("the pair that the differences start from joins", arguments: IPFamily.allCases)
    func joinsWithoutDifference(_ family: IPFamily) throws {
        let (first, second) = Self.pair(family) { _, _, _ in }
        #expect(Self.commit([first, second]).count == 1)
        let (_, final) = Self.pair(family) { _, tcp, payload in
            tcp.flags.insert([.fin, .psh])
            payload.removeLast(50)
        }
        #expect(Self.commit([first, final]).count == 1)
    }

    @Test("IPv4: another identification, fragmentation or options stay alone")
    func ipv4Only() {
        let (first, second) = Self.pair(.ipv4) { ip, _, _ in ip.identification += 1 }
        #expect(Self.commit([first, second]).count == 2)
        let (_, third) = Self.pair(.ipv4) { ip, _, _ in ip.dontFragment = false }
        #expect(Self.commit([first, third]).count == 2)
    }

    @Test("IPv6: another flow label stays alone")
    func flowLabel() {
        let (first, second) = Self.pair(.ipv6) { ip, _, _ in ip.flowLabel = 5 }
        #expect(Self.commit([first, second]).count == 2)
    }

    @Test(
        "a wrong checksum in either packet is not hidden by joining",
        arguments: IPFamily.allCases
    )
    func wrongChecksum(_ family: IPFamily) {
        let (first, second) = Self.pair(family) { _, _, _ in }
        for offset in [11, second.count - 1, family == .ipv4 ? 36 : 56]
        where family == .ipv4 || offset > 40 {
            var (wrongFirst, wrongSecond) = (first, second)
            wrongFirst[offset] ^= 1
            wrongSecond[offset] ^= 1
            #expect(Self.commit([wrongFirst, second]).map(\.packet) == [wrongFirst, second])
            #expect(Self.commit([first, wrongSecond]).map(\.packet) == [first, wrongSecond])
        }
    }

    @Test("nothing joins behind PSH, FIN or a short segment", arguments: IPFamily.allCases)
    func closed(_ family: IPFamily) throws {
        let payload = [UInt8](repeating: 3, count: 2500)
        for flags: TCPFlags in [[.ack, .psh], [.ack, .fin]] {
            let packets = try Self.flow(family, payload: Array(payload.prefix(2000)), flags: flags)
            var next = Sample.header(family)
            next.identification += 2
            let more = next.packet(
                TCPHeader(
                    sourcePort: 5000,
                    destinationPort: 443,
                    sequence: 3000,
                    acknowledgment: 2000,
                    options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
                ),
                payload: Array(payload.prefix(1000))
            )
            #expect(Self.commit(packets + [more]).count == 2)
        }
        let short = try Self.flow(family, flags: .ack)
        #expect(Self.commit(Array(short.prefix(2)) + [short[2], short[2]]).count == 2)
    }

    @Test("a packet grows to 65,535 bytes at most", arguments: IPFamily.allCases)
    func byteLimit(_ family: IPFamily) throws {
        let options: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        var packets: [[UInt8]] = []
        for index in 0..<70 {
            var ip = Sample.header(family)
            ip.identification &+= UInt16(index)
            let tcp = TCPHeader(
                sourcePort: 1,
                destinationPort: 2,
                sequence: UInt32(index) * 1000,
                options: options
            )
            packets.append(ip.packet(tcp, payload: [UInt8](repeating: 3, count: 1000)))
        }
        let joined = Self.commit(packets)
        let header = family == .ipv4 ? 52 : 72
        #expect(joined.map { $0.packet.count } == [header + 65_000, header + 5000])
        #expect(try joined.flatMap { try SegmenterTests.segments($0) } == packets)
    }

    @Test("a packet holds 64 datagrams at most")
    func datagramLimit() throws {
        let payload = [UInt8](repeating: 3, count: 65_000)
        let datagrams = try Self.flow(.ipv4, isTCP: false, payload: payload, segmentByteCount: 700)
        #expect(datagrams.count == 93)
        let joined = Self.commit(datagrams)
        #expect(joined.map { $0.packet.count } == [28 + 64 * 700, 28 + 65_000 - 64 * 700])
    }

    @Test("flags that a large packet cannot stand for stay alone, also when both have them")
    func flagsOfBoth() {
        for flag: TCPFlags in [.syn, .rst, .urg, .cwr] {
            var ip = Sample.header(.ipv4)
            var tcp = TCPHeader(sourcePort: 1, destinationPort: 2, flags: [.ack, flag])
            let payload = [UInt8](repeating: 1, count: 100)
            let first = ip.packet(tcp, payload: payload)
            ip.identification += 1
            tcp.sequence += 100
            #expect(Self.commit([first, ip.packet(tcp, payload: payload)]).count == 2, "\(flag)")
        }
    }

    @Test("a packet that says another length than its bytes neither joins nor is joined to")
    func wrongLength() {
        let (first4, second4) = Self.pair(.ipv4) { _, _, _ in }
        for packets in [[Self.shortened4(first4), second4], [first4, Self.shortened4(second4)]] {
            #expect(Self.commit(packets).map(\.packet) == packets)
        }
        let (first6, second6) = Self.pair(.ipv6) { _, _, _ in }
        for packets in [[Self.shortened6(first6), second6], [first6, Self.shortened6(second6)]] {
            #expect(Self.commit(packets).map(\.packet) == packets)
        }
    }

    /// The length field says ten bytes less; the IPv4 header's checksum is right.
    private static func shortened4(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        packet[3] -= 10
        (packet[10], packet[11]) = (0, 0)
        let field = ~SlowChecksum.sum(Array(packet[..<20]))
        (packet[10], packet[11]) = (UInt8(field >> 8), UInt8(field & 0xff))
        return packet
    }

    private static func shortened6(_ packet: [UInt8]) -> [UInt8] {
        var packet = packet
        packet[5] -= 10
        return packet
    }

    @Test("a reserved bit of the TCP header stays with its packet", arguments: IPFamily.allCases)
    func reservedBit(_ family: IPFamily) {
        let (first, second) = Self.pair(family) { _, _, _ in }
        var changed = second
        let start = family == .ipv4 ? 20 : 40
        changed[start + 12] |= 1
        var change = ChecksumChange()
        change.replace(
            second.rawSpan.uint16(at: start + 12),
            with: changed.rawSpan.uint16(at: start + 12)
        )
        let field = change.applied(to: second.rawSpan.uint16(at: start + 16))
        (changed[start + 16], changed[start + 17]) = (UInt8(field >> 8), UInt8(field & 0xff))
        #expect(Self.commit([first, changed]).map(\.packet) == [first, changed])
    }

    @Test("what other code commits in between is left as it is")
    func otherCommits() throws {
        let packets = try Self.flow(.ipv4)
        var outbox = Outbox(byteCount: 1 << 14)
        var coalescer = Coalescer()
        for packet in packets {
            var room = outbox.reserveTunnel(packet.count)
            room.write(packet.rawSpan, at: 0)
            coalescer.commit(byteCount: packet.count, in: &outbox)
            room = outbox.reserveTunnel(40)
            outbox.commitTunnel(byteCount: 40)
        }
        #expect(outbox.tunnelPacketCount == 6)
        #expect(coalescer.joinedCount == 0)
    }

    /// Two packets that would join, the second changed.
    static func pair(
        _ family: IPFamily,
        _ change: (inout IPHeader, inout TCPHeader, inout [UInt8]) -> Void
    ) -> ([UInt8], [UInt8]) {
        var ip = Sample.header(family)
        var tcp = TCPHeader(
            sourcePort: 5000,
            destinationPort: 443,
            sequence: .max - 50,
            acknowledgment: 7,
            options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        )
        var payload = (0..<100).map { UInt8($0) }
        let first = ip.packet(tcp, payload: payload)
        ip.identification += 1
        tcp.sequence &+= 100
        change(&ip, &tcp, &payload)
        return (first, ip.packet(tcp, payload: payload))
    }
}

@Suite("Coalescer and Segmenter")
struct RoundTripTests {
    @Test("whatever is committed comes back byte for byte, in order within each flow")
    func roundTrip() throws {
        var random = RandomSource(seed: 65_535)
        for seed in 0..<150 {
            let packets = try Self.traffic(&random)
            let joined = CoalescerTests.commit(packets)
            let back = try joined.flatMap { try SegmenterTests.segments($0) }
            #expect(back == packets, "seed \(seed)")
        }
    }

    /// Several flows cut in segments and interleaved in runs, some packets spoilt.
    private static func traffic(_ random: inout RandomSource) throws -> [[UInt8]] {
        var flows: [[[UInt8]]] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            flows.append(
                try CoalescerTests.flow(
                    IPFamily.allCases.randomElement(using: &random) ?? .ipv4,
                    isTCP: Bool.random(using: &random),
                    payload: random.bytes(Int.random(in: 0...9000, using: &random)),
                    segmentByteCount: Int.random(in: 60...1400, using: &random),
                    flags: [.ack, [.ack, .psh], [.ack, .fin]].randomElement(using: &random) ?? .ack
                )
            )
        }
        var packets: [[UInt8]] = []
        while packets.count < 100,
            let index = flows.indices.filter({ !flows[$0].isEmpty }).randomElement(using: &random)
        {
            let run = min(flows[index].count, Int.random(in: 1...8, using: &random))
            packets += flows[index].prefix(run)
            flows[index].removeFirst(run)
            if Int.random(in: 0..<8, using: &random) == 0, var last = packets.popLast() {
                last[Int.random(in: 8..<last.count, using: &random)] ^= 0x10
                packets.append(last)
            }
        }
        return packets.filter { (try? PacketHeader($0.rawSpan)) != nil }.prefix(100).map { $0 }
    }
}
