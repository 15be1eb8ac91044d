import Bytes
import IP
import SansIO
import Testing

@Suite("MutablePacket")
struct MutablePacketTests {
    @Test("RFC 1624: after random rewrites every checksum is right and nothing else changed")
    func randomRewrites() throws {
        var random = RandomSource(seed: 1624)
        for seed in 0..<2000 {
            let original = Sample.random(&random)
            var expected = PacketHeader.Flow(try PacketHeader(original.rawSpan))
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    Self.rewriteSomething(&packet, &expected, &random)
                }
            }
            #expect(try SlowChecksum.accepts(rewritten), "\(seed)")
            let header = try PacketHeader(rewritten.rawSpan)
            #expect(PacketHeader.Flow(header) == expected, "\(seed)")
            #expect(
                rewritten[header.payloadOffset...] == original[header.payloadOffset...],
                "\(seed)"
            )
        }
    }

    private static func rewriteSomething(
        _ packet: inout MutablePacket,
        _ expected: inout PacketHeader.Flow,
        _ random: inout RandomSource
    ) {
        let isIPv4 = packet.header.source.isIPv4
        let address =
            isIPv4
            ? IPAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
            : IPAddress(high: random.next() | 1, low: random.next())
        let port = UInt16(truncatingIfNeeded: random.next())
        let hasPorts = packet.header.isTCP || packet.header.isUDP
        switch Int.random(in: 0...4, using: &random) {
        case 0:
            packet.setSource(address, port: port)
            expected.source.address = address
            if hasPorts || packet.header.isEchoRequest { expected.source.port = port }
        case 1:
            packet.setDestination(address, port: port)
            expected.destination.address = address
            if hasPorts { expected.destination.port = port }
        case 2:
            if packet.decrementHopLimit() { expected.hopLimit -= 1 }
        case 3:
            packet.setTrafficClass(UInt8(truncatingIfNeeded: port))
            expected.trafficClass = UInt8(truncatingIfNeeded: port)
        default:
            packet.setFlow(from: Endpoint(address, port: port), to: Endpoint(address, port: 7))
            expected.source.address = address
            expected.destination.address = address
            if hasPorts || packet.header.isEchoRequest { expected.source.port = port }
            if hasPorts { expected.destination.port = 7 }
        }
    }

    @Test("the header follows the bytes")
    func headerFollows() throws {
        var random = RandomSource(seed: 9)
        for _ in 0..<300 {
            let original = Sample.random(&random)
            var seen: PacketHeader?
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let new = Sample.other(packet.header.family)
                packet.setFlow(from: Endpoint(new, port: 3), to: Endpoint(new, port: 4))
                _ = packet.decrementHopLimit()
                packet.setECN(1)
                seen = packet.header
            }
            #expect(try PacketHeader(rewritten.rawSpan) == seen)
        }
    }

    @Test("an address of the other family changes nothing")
    func otherFamily() throws {
        for family in IPFamily.allCases {
            let original = Sample.udp(family)
            let wrong = Sample.other(family == .ipv4 ? .ipv6 : .ipv4)
            let right = Sample.other(family)
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let source = packet.setSource(wrong, port: 1)
                let destination = packet.setDestination(wrong, port: 1)
                let flow = packet.setFlow(
                    from: Endpoint(right, port: 1),
                    to: Endpoint(wrong, port: 1)
                )
                #expect(!source && !destination && !flow)
            }
            #expect(rewritten == original)
        }
    }

    @Test("RFC 768: a UDP datagram without checksum stays without")
    func udpWithoutChecksum() throws {
        var original = Sample.udp(.ipv4)
        (original[26], original[27]) = (0, 0)
        let rewritten = try rewriting(original) { bytes in
            var packet = try MutablePacket(bytes)
            packet.setSource(Sample.other4, port: 1)
        }
        #expect(rewritten[26..<28] == [0, 0])
        #expect(try SlowChecksum.accepts(rewritten))
    }

    @Test("a UDP checksum never becomes zero by a rewrite")
    func udpNeverZero() throws {
        let original = Sample.udp(.ipv4)
        for port in UInt16.min ... .max {
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                packet.setSource(Sample.client4, port: port)
            }
            guard rewritten[26] == 0xff, rewritten[27] == 0xff else {
                #expect(rewritten[26] != 0 || rewritten[27] != 0, "port \(port)")
                continue
            }
            #expect(try SlowChecksum.accepts(rewritten))
        }
    }

    @Test("an echo reply of nothing but zeros has the checksum 0xFFFF, not 0x0000")
    func zeroEcho() throws {
        let original = Sample.header(.ipv4).packet(
            .echoReply(.ipv4, identifier: 0xbeef, sequence: 0)
        )
        let rewritten = try rewriting(original) { bytes in
            var packet = try MutablePacket(bytes)
            packet.setDestination(Sample.other4, port: 0)
        }
        #expect(rewritten[22..<24] == [0xff, 0xff])
        #expect(try SlowChecksum.accepts(rewritten))
    }

    @Test("a later fragment changes its addresses, no byte of its payload")
    func laterFragment() throws {
        var original = Sample.udp(.ipv4)
        original[7] = 1
        let rewritten = try rewriting(original) { bytes in
            var packet = try MutablePacket(bytes)
            packet.setSource(Sample.other4, port: 1)
        }
        #expect(rewritten[20...] == original[20...])
        #expect(try PacketHeader(rewritten.rawSpan).source == Sample.other4)
    }

    @Test("a wrong checksum stays wrong", arguments: IPFamily.allCases)
    func wrongStaysWrong(_ family: IPFamily) throws {
        var original = Sample.tcp(family)
        original[original.count - 1] ^= 1
        let rewritten = try rewriting(original) { bytes in
            var packet = try MutablePacket(bytes)
            packet.setSource(Sample.other(family), port: 1)
        }
        #expect(try !SlowChecksum.accepts(rewritten))
    }
}

@Suite("MutablePacket: hop limit, ECN and segment size")
struct MutablePacketFieldTests {
    @Test("RFC 1812 5.3.1: the last hop is not taken", arguments: IPFamily.allCases)
    func lastHop(_ family: IPFamily) throws {
        for hopLimit: UInt8 in [0, 1] {
            var ip = Sample.header(family)
            ip.hopLimit = hopLimit
            let original = ip.packet(UDPHeader(sourcePort: 1, destinationPort: 2))
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let goesOn = packet.decrementHopLimit()
                #expect(!goesOn)
            }
            #expect(rewritten == original)
        }
    }

    /// Inner, outer, what leaves; nil: dropped.
    static let decapsulation: [(UInt8, UInt8, UInt8?)] = [
        (0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, nil),
        (1, 0, 1), (1, 1, 1), (1, 2, 1), (1, 3, 3),
        (2, 0, 2), (2, 1, 1), (2, 2, 2), (2, 3, 3),
        (3, 0, 3), (3, 1, 3), (3, 2, 3), (3, 3, 3),
    ]

    @Test("RFC 6040 4.2: outer ECN reaches the inner packet", arguments: IPFamily.allCases)
    func outerECN(_ family: IPFamily) throws {
        for (inner, outer, result) in Self.decapsulation {
            var ip = Sample.header(family)
            ip.trafficClass = 0xb8 | inner
            let original = ip.packet(UDPHeader(sourcePort: 1, destinationPort: 2))
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let isKept = packet.takeOuterECN(outer)
                #expect(isKept == (result != nil), "\(inner) \(outer)")
            }
            let header = try PacketHeader(rewritten.rawSpan)
            #expect(header.trafficClass == 0xb8 | (result ?? inner), "\(inner) \(outer)")
            #expect(try SlowChecksum.accepts(rewritten), "the IPv4 header's checksum follows")
        }
    }

    @Test("RFC 9293 3.7.1: a SYN's segment size is lowered, never raised, wherever it stands")
    func segmentSize() throws {
        let size: [UInt8] = [2, 4, 5, 180]
        for family in IPFamily.allCases {
            for options in [
                size, [1] + size + [1, 1, 1], [1, 1] + size, [3, 3, 7] + size, [4, 2] + size,
            ] {
                let original = Sample.tcp(family, flags: [.syn, .ack], options: options)
                for (limit, expected) in [(UInt16(1200), UInt16(1200)), (1460, 1460), (9000, 1460)]
                {
                    let rewritten = try rewriting(original) { bytes in
                        var packet = try MutablePacket(bytes)
                        let isLowered = packet.clampMaximumSegmentSize(to: limit)
                        #expect(isLowered == (expected < 1460))
                    }
                    #expect(try SlowChecksum.accepts(rewritten))
                    let header = try PacketHeader(rewritten.rawSpan)
                    let bytes = rewritten.rawSpan.extracting(droppingFirst: header.transportOffset)
                    let found = try TCPSegment(bytes).maximumSegmentSize
                    #expect(found == expected)
                }
            }
        }
    }

    @Test("no SYN, no option or a malformed one: nothing is clamped")
    func noSegmentSize() throws {
        let cases: [(TCPFlags, [UInt8])] = [
            (.ack, [2, 4, 5, 180]), (.syn, []), (.syn, [0, 2, 4, 5]), (.syn, [2, 3, 5, 0]),
            (.syn, [5, 0, 2, 4]), (.syn, [1, 1, 1, 2]), (.syn, [8, 9, 0, 0]),
        ]
        for (flags, options) in cases {
            let original = Sample.tcp(.ipv4, flags: flags, options: options)
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let isLowered = packet.clampMaximumSegmentSize(to: 100)
                #expect(!isLowered, "\(options)")
            }
            #expect(rewritten == original)
        }
    }
}

@Suite("MutablePacket: partial checksums")
struct MutablePacketOffloadTests {
    static let cases: [(IPFamily, Bool)] = [
        (.ipv4, true), (.ipv4, false), (.ipv6, true), (.ipv6, false),
    ]

    @Test("addresses change the pseudo header's sum, ports and options do not", arguments: cases)
    func partial(_ family: IPFamily, _ isTCP: Bool) throws {
        let (original, header, offload) = try Self.sample(family, isTCP: isTCP)
        let rewritten = try rewriting(original) { bytes in
            var packet = try MutablePacket(bytes, header: header, offload: offload)
            packet.setSource(Sample.other(family), port: 9)
            packet.setDestination(Sample.client(family), port: 10)
            packet.clampMaximumSegmentSize(to: 1000)
        }
        let expected = Checksum(
            pseudoHeaderOf: header.transportProtocol,
            source: Sample.other(family),
            destination: Sample.client(family),
            byteCount: original.count - header.transportOffset
        )
        let place = header.transportOffset + offload.checksumOffset
        #expect(rewritten.rawSpan.uint16(at: place) == expected.folded)
        #expect(try SlowChecksum.accepts(Self.completed(rewritten, offload)))
    }

    @Test("the headers of a large packet can be rewritten in a copy of their own")
    func headersAlone() throws {
        let (original, header, offload) = try Self.sample(.ipv6, isTCP: true)
        let start = header.payloadOffset
        let headers = try rewriting(Array(original[..<start])) { bytes in
            var packet = try MutablePacket(bytes, header: header, offload: offload)
            packet.setFlow(
                from: Endpoint(Sample.other6, port: 9),
                to: Endpoint(Sample.client6, port: 10)
            )
        }
        #expect(try SlowChecksum.accepts(Self.completed(headers + original[start...], offload)))
        #expect(throws: PacketError.truncated(available: start - 1, need: start)) {
            try rewriting(Array(original[..<(start - 1)])) { bytes in
                _ = try MutablePacket(bytes, header: header)
            }
        }
    }

    static func sample(_ family: IPFamily, isTCP: Bool) throws -> ([UInt8], PacketHeader, Offload) {
        let payload: [UInt8] = [1, 2, 3, 4, 5]
        var packet =
            isTCP
            ? Sample.tcp(family, flags: .syn, options: [2, 4, 5, 180], payload: payload)
            : Sample.udp(family, payload: payload)
        let header = try PacketHeader(packet.rawSpan)
        let offload = Offload(
            segmentation: .none,
            needsChecksum: true,
            checksumStart: header.transportOffset,
            checksumOffset: isTCP ? 16 : 6,
            headerByteCount: 0,
            segmentByteCount: 0
        )
        let partial = Checksum(
            pseudoHeaderOf: header.transportProtocol,
            source: header.source,
            destination: header.destination,
            byteCount: packet.count - header.transportOffset
        ).folded
        let place = header.transportOffset + offload.checksumOffset
        packet[place] = UInt8(partial >> 8)
        packet[place + 1] = UInt8(partial & 0xff)
        return (packet, header, offload)
    }

    static func completed(_ packet: [UInt8], _ offload: Offload) throws -> [UInt8] {
        let segmenter = try Segmenter(packet.rawSpan, offload)
        return rewriting(packet) { bytes in
            var room = bytes
            segmenter.write(0, into: &room)
        }
    }
}

extension PacketHeader {
    /// What a rewrite may change.
    struct Flow: Equatable {
        struct End: Equatable {
            var address: IPAddress
            var port: UInt16
        }
        var source: End
        var destination: End
        var hopLimit: UInt8
        var trafficClass: UInt8

        init(_ header: PacketHeader) {
            source = End(address: header.source, port: header.sourcePort)
            destination = End(address: header.destination, port: header.destinationPort)
            hopLimit = header.hopLimit
            trafficClass = header.trafficClass
        }
    }
}
