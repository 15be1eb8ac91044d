import Bytes
import IP
import Testing

@testable import Translation

@Suite("RFC 7915 5: from IPv6 to IPv4")
struct ToIPv4Tests {
    @Test("5.1: each field of the header")
    func header() throws {
        var bench = Bench()
        let packet = Sample.ip(.ipv6, hopLimit: 17, trafficClass: 0xb9).packet(
            UDPHeader(sourcePort: 1, destinationPort: 2),
            payload: [1, 2, 3]
        )
        let new = try bench(packet)
        #expect(Array(new[..<4]) == [0x45, 0xb9, 0, 31], "version, type of service, length")
        #expect(Array(new[6..<8]) == [0, 0], "flags and offset")
        #expect(new[8] == 16 && new[9] == 17, "time to live, protocol")
        #expect(Array(new[12..<20]) == Host.client.four.bytes + Host.server.four.bytes)
        #expect(try FullCheck.accepts(new))
    }

    @Test("5.1: identifications of one way do not repeat")
    func identifications() throws {
        var bench = Bench()
        var seen: Set<UInt16> = []
        for _ in 0..<2_000 {
            let new = try bench(Sample.udp(.ipv6))
            seen.insert(UInt16(new[4]) << 8 | UInt16(new[5]))
        }
        #expect(seen.count == 2_000)
    }

    @Test("5.1: DF is set above 1,260 bytes only", arguments: [(1_260, false), (1_261, true)])
    func dontFragment(byteCount: Int, isSet: Bool) throws {
        var bench = Bench()
        let new = try bench(Sample.udp(.ipv6, byteCount - 28))
        #expect(new.count == byteCount)
        #expect((new[6] & 0x40 != 0) == isSet)
    }

    @Test("5.1: the last hop is not taken", arguments: [0, 1])
    func hops(hopLimit: UInt8) {
        var bench = Bench()
        let packet = Sample.changed(Sample.udp(.ipv6)) { $0[7] = hopLimit }
        #expect(throws: TranslationError.noHopLeft) { try bench(packet) }
    }

    @Test(
        "5.1: illegal sources are dropped",
        arguments: ["::", "::1", "ff02::1", "fe80::1"]
    )
    func illegalSources(source: String) throws {
        var bench = Bench()
        let address = try #require(IPAddress(source))
        let packet = Sample.changed(Sample.udp(.ipv6)) {
            $0.replaceSubrange(8..<24, with: address.bytes)
        }
        #expect(throws: TranslationError.illegalSource) { try bench(packet) }
    }

    @Test("5.1: what is too large for the next hop is told so, 20 bytes more, at least 1,280")
    func tooBig() throws {
        var bench = Bench(limits: PathLimits(ipv4: 1_400))
        #expect(try bench(Sample.udp(.ipv6, 1_372)).count == 1_400)
        #expect(throws: TranslationError.tooBig(maximumByteCount: 1_420)) {
            try bench(Sample.udp(.ipv6, 1_373))
        }
        bench.limits = PathLimits(ipv4: 1_000)
        #expect(throws: TranslationError.tooBig(maximumByteCount: 1_280)) {
            try bench(Sample.udp(.ipv6, 1_373))
        }
        let small = try bench.translate(Sample.udp(.ipv6, 1_200))
        #expect(small.translated.pieceByteCountMax == 1_000, "up to 1,280 it is cut instead")
    }

    @Test("5.1: extension headers are skipped")
    func extensions() throws {
        var bench = Bench()
        let plain = try bench(Sample.udp(.ipv6))
        let skipped: [(UInt8, [UInt8])] = [
            (0, [0, 0, 1, 4, 0, 0, 0, 0]), (60, [0, 1] + [UInt8](repeating: 0, count: 14)),
            (43, [0, 0, 0, 0, 0, 0, 0, 0]),
        ]
        for chain in [[skipped[0]], [skipped[1]], [skipped[2]], skipped] {
            let new = try bench(Sample.with(extensions: chain, Sample.udp(.ipv6)))
            let same = Sample.changed(new) { ($0[4], $0[5]) = (plain[4], plain[5]) }
            #expect(same == plain)
        }
    }

    @Test("5.1: a routing header with segments left is a parameter problem at that field")
    func segmentsLeft() throws {
        let chain: [(UInt8, [UInt8])] = [
            (0, [0, 0, 1, 4, 0, 0, 0, 0]), (43, [0, 0, 0, 2, 0, 0, 0, 0]),
        ]
        let packet = Sample.with(extensions: chain, Sample.udp(.ipv6))
        #expect(throws: PacketError.sourceRoute) { try PacketHeader(packet.rawSpan) }
        let found = SourceRoute(packet.rawSpan)
        let route = try #require(found)
        var block = Block(byteCount: 1280)
        var bytes = block.mutableBytes(0..<1280)
        let count = try route.refusal.write(
            answering: packet.rawSpan,
            header: route.header,
            from: Host.router.six,
            into: &bytes
        )
        let answer = block.bytes(0..<count).array
        #expect(Array(answer[40..<42]) == [4, 0] && Array(answer[44..<48]) == [0, 0, 0, 51])
        #expect(try FullCheck.accepts(answer))
    }

    @Test("5.1.1: what a fragment header becomes")
    func fragments() throws {
        var bench = Bench()
        let pieces = Sample.pieces(Sample.udp(.ipv6, 100), 64)
        let first = try bench(pieces[0])
        #expect(Array(first[2..<8]) == [0, 84, 0, 0x77, 0x20, 0])
        let second = try bench(pieces[1])
        #expect(Array(second[2..<8]) == [0, 64, 0, 0x77, 0, 8])
        #expect(Array(second[20...]) == Array(pieces[1][48...]))
    }

    @Test("5.1.1: a fragment header alone keeps its identification, and DF stays clear")
    func atomicFragment() throws {
        var bench = Bench()
        let chain: [(UInt8, [UInt8])] = [(44, Sample.fragmentHeader(0, more: false, 0x9_8765))]
        let new = try bench(Sample.with(extensions: chain, Sample.udp(.ipv6, 1_400)))
        #expect(Array(new[4..<8]) == [0x87, 0x65, 0, 0])
        #expect(try FullCheck.accepts(new))
    }

    @Test("5.1.1: an extension header in a fragment is dropped, but not ESP")
    func extensionInFragment() throws {
        var bench = Bench()
        let options: (UInt8, [UInt8]) = (60, [0, 0, 1, 4, 0, 0, 0, 0])
        let fragment: (UInt8, [UInt8]) = (44, Sample.fragmentHeader(0, more: true, 1))
        let packet = Sample.with(extensions: [fragment, options], Sample.udp(.ipv6, 48))
        #expect(throws: TranslationError.extensionInFragment) { try bench(packet) }
        for number: UInt8 in [0, 43, 51, 60, 135] {
            var later = Sample.pieces(Sample.udp(.ipv6, 100), 64)[1]
            later[40] = number
            #expect(throws: TranslationError.extensionInFragment) { try bench(later) }
        }
        var later = Sample.pieces(Sample.udp(.ipv6, 100), 64)[1]
        later[40] = 50
        #expect(try bench(later)[9] == 50)
    }

    @Test("5.2: echo and its answer", arguments: [false, true])
    func echo(reply: Bool) throws {
        var bench = Bench()
        let new = try bench(Sample.echo(.ipv6, reply: reply))
        #expect(new[9] == 1 && new[20] == (reply ? 0 : 8))
        #expect(try FullCheck.accepts(new))
    }

    @Test("5.2: an answer of zeros has a checksum that its receiver takes")
    func zeroEcho() throws {
        var bench = Bench()
        let packet = Sample.ip(.ipv6)
            .packet(ICMPHeader(type: 129), body: [UInt8](repeating: 0, count: 8))
        #expect(try FullCheck.accepts(try bench(packet)))
    }

    @Test("5.2: multicast listener, neighbour discovery and unknown messages are dropped")
    func messages() {
        var bench = Bench()
        for type: UInt8 in 130...255 where type != 137 {
            let packet = Sample.ip(.ipv6).packet(ICMPHeader(type: type), body: [1, 2, 3, 4])
            let error = TranslationError.untranslatableMessage(type: type, code: 0)
            #expect(throws: error) { try bench(packet) }
        }
    }

    @Test("RFC 6146 3.4: ICMP in pieces needs all of it")
    func echoInPieces() {
        var bench = Bench()
        for piece in Sample.pieces(Sample.echo(.ipv6, 100), 64) {
            #expect(throws: TranslationError.needsReassembly) { try bench(piece) }
        }
    }

    @Test("RFC 6935: UDP without a checksum keeps none")
    func missingChecksum() throws {
        var bench = Bench()
        var packet = Sample.udp(.ipv6)
        (packet[46], packet[47]) = (0, 0)
        let new = try bench(packet)
        #expect(new[26] == 0 && new[27] == 0)
    }

    @Test("5.5: a checksum that was wrong stays wrong")
    func wrongChecksum() throws {
        var bench = Bench()
        for (packet, place) in [
            (Sample.udp(.ipv6), 46), (Sample.tcp(.ipv6), 56), (Sample.echo(.ipv6), 42),
        ] {
            var packet = packet
            #expect(try FullCheck.accepts(try bench(packet)))
            packet[place] ^= 0x55
            #expect(try !FullCheck.accepts(try bench(packet)))
        }
    }

    @Test("RFC 8200 4.5: a piece that nothing can follow is dropped")
    func oddFragment() {
        var bench = Bench()
        let piece = Sample.pieces(Sample.udp(.ipv6, 100), 64)[0]
        let odd = Sample.changed(Array(piece.dropLast(3))) { $0[5] -= 3 }
        #expect(throws: TranslationError.badFragment) { try bench(odd) }
    }
}
