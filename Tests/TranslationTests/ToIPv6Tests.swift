import Bytes
import IP
import Testing

@testable import Translation

@Suite("RFC 7915 4: from IPv4 to IPv6")
struct ToIPv6Tests {
    @Test("4.1: each field of the header")
    func header() throws {
        var bench = Bench()
        let packet = Sample.ip(.ipv4, hopLimit: 17, trafficClass: 0xb9).packet(
            UDPHeader(sourcePort: 1, destinationPort: 2),
            payload: [1, 2, 3]
        )
        let new = try bench(packet)
        #expect(Array(new[..<4]) == [0x6b, 0x90, 0, 0], "version, class, flow label")
        #expect(Array(new[4..<6]) == [0, 11], "payload length")
        #expect(new[6] == 17 && new[7] == 16, "next header, hop limit")
        #expect(Array(new[8..<24]) == Host.client.six.bytes)
        #expect(Array(new[24..<40]) == Host.server.six.bytes)
        #expect(try FullCheck.accepts(new))
    }

    @Test("4.1: the last hop is not taken", arguments: [0, 1])
    func hops(hopLimit: UInt8) {
        var bench = Bench()
        let packet = Sample.changed(Sample.udp(.ipv4)) { $0[8] = hopLimit }
        #expect(throws: TranslationError.noHopLeft) { try bench(packet) }
        #expect(TranslationError.noHopLeft.refusal == .timeExceeded)
    }

    @Test(
        "4.1: illegal sources are dropped",
        arguments: [
            "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
            "169.254.3.4",
        ]
    )
    func illegalSources(source: String) throws {
        var bench = Bench()
        let address = try #require(IPAddress(source))
        let packet = Sample.changed(Sample.udp(.ipv4)) {
            $0.replaceSubrange(12..<16, with: address.bytes)
        }
        #expect(throws: TranslationError.illegalSource) { try bench(packet) }
        #expect(TranslationError.illegalSource.refusal == nil)
    }

    @Test("destinations that are not of one host are dropped")
    func illegalDestinations() throws {
        var bench = Bench()
        for destination in ["224.0.0.1", "255.255.255.255", "127.0.0.1", "169.254.0.1"] {
            let address = try #require(IPAddress(destination))
            let packet = Sample.changed(Sample.udp(.ipv4)) {
                $0.replaceSubrange(16..<20, with: address.bytes)
            }
            #expect(throws: TranslationError.illegalDestination) { try bench(packet) }
        }
    }

    @Test("RFC 1812 5.2.2: a wrong header checksum does not get lost")
    func headerChecksum() {
        var bench = Bench()
        var packet = Sample.udp(.ipv4)
        packet[11] ^= 1
        #expect(throws: TranslationError.badHeaderChecksum) { try bench(packet) }
    }

    @Test("4.1: options are ignored, also a source route that is at its end")
    func options() throws {
        var bench = Bench()
        let plain = try bench(Sample.udp(.ipv4))
        for options: [UInt8] in [
            [1, 1, 1, 0], [148, 4, 0, 0], [7, 7, 4, 0, 0, 0, 0, 0],
            [131, 7, 8, 1, 2, 3, 4, 0], [137, 7, 12, 1, 2, 3, 4, 1],
        ] {
            #expect(try bench(Sample.with(options: options, Sample.udp(.ipv4))) == plain)
        }
    }

    @Test("4.1: a source route that is not at its end is refused with source route failed")
    func sourceRoute() throws {
        for kind: UInt8 in [131, 137] {
            let options: [UInt8] = [1, kind, 7, 4, 10, 0, 0, 1]
            let packet = Sample.with(options: options, Sample.udp(.ipv4))
            #expect(throws: PacketError.sourceRoute) { try PacketHeader(packet.rawSpan) }
            let found = SourceRoute(packet.rawSpan)
            let route = try #require(found)
            #expect(route.offset == 21)
            var block = Block(byteCount: 1280)
            var bytes = block.mutableBytes(0..<1280)
            let count = try route.refusal.write(
                answering: packet.rawSpan,
                header: route.header,
                from: Host.router.four,
                into: &bytes
            )
            let answer = block.bytes(0..<count).array
            #expect(answer[20] == 3 && answer[21] == 5)
            #expect(Array(answer[28...]) == packet)
        }
    }

    @Test(
        "4.1: without DF, what becomes larger than 1,280 bytes is cut",
        arguments: [1_260, 1_261]
    )
    func cut(byteCount: Int) throws {
        var bench = Bench()
        let result = try bench.translate(Sample.udp(.ipv4, byteCount - 28, dontFragment: false))
        if byteCount == 1_260 {
            #expect(result.translated.pieceByteCountMax == nil)
            #expect(result.packet.count == 1_280 && result.packet[6] == 17)
        } else {
            #expect(result.translated.pieceByteCountMax == 1_280)
            #expect(result.packet[6] == 44, "a fragment header stands ready")
        }
    }

    @Test("4.1: with DF, what is too large for the next hop is told so, 20 bytes less")
    func tooBig() throws {
        var bench = Bench(limits: PathLimits(ipv4: 1_500, ipv6: 1_400))
        #expect(try bench(Sample.udp(.ipv4, 1_352)).count == 1_400)
        let error = TranslationError.tooBig(maximumByteCount: 1_380)
        #expect(throws: error) { try bench(Sample.udp(.ipv4, 1_353)) }
        #expect(error.refusal == .packetTooBig(maximumByteCount: 1_380))
        bench.limits = PathLimits(ipv4: 1_500, ipv6: 1_000)
        #expect(throws: TranslationError.tooBig(maximumByteCount: 1_260)) {
            try bench(Sample.udp(.ipv4, 1_353))
        }
    }

    @Test("4.1: with DF there is no fragment header, whatever the size (RFC 8021)")
    func noAtomicFragments() throws {
        var bench = Bench()
        #expect(try bench(Sample.udp(.ipv4, 1_472))[6] == 17)
        #expect(try bench(Sample.udp(.ipv4, 3, dontFragment: false))[6] == 17)
    }

    @Test("4.1: a fragment gets a fragment header")
    func fragments() throws {
        var bench = Bench()
        let pieces = Sample.pieces(Sample.udp(.ipv4, 100, dontFragment: false), 64)
        let first = try bench(pieces[0])
        #expect(Array(first[4..<7]) == [0, 72, 44])
        #expect(Array(first[40..<48]) == [17, 0, 0, 1, 0, 0, 0x12, 0x34])
        let second = try bench(pieces[1])
        #expect(Array(second[4..<7]) == [0, 52, 44])
        #expect(Array(second[40..<48]) == [17, 0, 0, 64, 0, 0, 0x12, 0x34])
        #expect(Array(second[48...]) == Array(pieces[1][20...]))
    }

    @Test("4.1: every protocol goes on, but for IGMP (4.2)")
    func protocols() throws {
        var bench = Bench()
        for number: UInt8 in [0, 4, 33, 41, 47, 50, 51, 132, 136, 253] {
            let packet = Sample.changed(Sample.udp(.ipv4)) { $0[9] = number }
            let new = try bench.translate(packet).packet
            #expect(new[6] == number && Array(new[40...]) == Array(packet[20...]))
        }
        let packet = Sample.changed(Sample.udp(.ipv4)) { $0[9] = 2 }
        #expect(throws: TranslationError.groupManagement) { try bench(packet) }
    }

    @Test("4.2: echo and its answer", arguments: [false, true])
    func echo(reply: Bool) throws {
        var bench = Bench()
        let new = try bench(Sample.echo(.ipv4, reply: reply))
        #expect(new[6] == 58 && new[40] == (reply ? 129 : 128))
        #expect(try FullCheck.accepts(new))
        #expect(new == Sample.changed(Sample.echo(.ipv6, reply: reply)) { $0[7] = 63 })
    }

    @Test("4.2: other messages than echo and errors are dropped")
    func messages() {
        var bench = Bench()
        for type: UInt8 in 0...255 where ![0, 3, 4, 5, 8, 11, 12].contains(type) {
            let packet = Sample.ip(.ipv4).packet(ICMPHeader(type: type), body: [1, 2, 3, 4])
            let error = TranslationError.untranslatableMessage(type: type, code: 0)
            #expect(throws: error) { try bench(packet) }
        }
    }

    @Test("RFC 6146 3.4: ICMP in pieces needs all of it")
    func echoInPieces() {
        var bench = Bench()
        for piece in Sample.pieces(Sample.echo(.ipv4, 100), 64) {
            #expect(throws: TranslationError.needsReassembly) { try bench(piece) }
        }
    }

    @Test("4.5: UDP without a checksum gets one; in pieces it needs all of it (RFC 6146 3.4)")
    func missingChecksum() throws {
        var bench = Bench()
        for count in [0, 1, 100, 1_001] {
            var packet = Sample.udp(.ipv4, count)
            (packet[26], packet[27]) = (0, 0)
            let new = try bench(packet)
            #expect(try FullCheck.accepts(new))
            #expect(new[46] != 0 || new[47] != 0)
        }
        var packet = Sample.udp(.ipv4, 100)
        (packet[26], packet[27]) = (0, 0)
        let pieces = Sample.pieces(packet, 64)
        #expect(throws: TranslationError.needsReassembly) { try bench(pieces[0]) }
    }

    @Test("4.5: a checksum that was wrong stays wrong")
    func wrongChecksum() throws {
        var bench = Bench()
        for (packet, place) in [
            (Sample.udp(.ipv4), 26), (Sample.tcp(.ipv4), 36), (Sample.echo(.ipv4), 22),
        ] {
            var packet = packet
            #expect(try FullCheck.accepts(try bench(packet)))
            packet[place] ^= 0x55
            #expect(try !FullCheck.accepts(try bench(packet)))
        }
    }

    @Test("addresses of the packet's own family are refused")
    func family() throws {
        var bench = Bench()
        let packet = Sample.changed(Sample.udp(.ipv4)) { $0[15] = 99 }
        #expect(throws: TranslationError.wrongFamily) { try bench(packet) }
    }

    @Test("RFC 791 3.2: a piece that nothing can follow is dropped")
    func oddFragment() {
        var bench = Bench()
        let piece = Sample.pieces(Sample.udp(.ipv4, 100, dontFragment: false), 64)[0]
        let odd = Sample.changed(Array(piece.dropLast(3))) { $0[3] -= 3 }
        #expect(throws: TranslationError.badFragment) { try bench(odd) }
    }

    @Test("an address that is not of one host is refused as the new one too")
    func illegalCounterparts() throws {
        var bench = Bench()
        let packet = Sample.udp(.ipv4)
        let header = try PacketHeader(packet.rawSpan)
        var block = Block(byteCount: 108)
        for (source, destination, error) in [
            ("::1", "2001:db8::1", TranslationError.illegalSource),
            ("2001:db8::1", "fe80::1", .illegalDestination),
        ] {
            let from = try #require(IPAddress(source))
            let to = try #require(IPAddress(destination))
            var bytes = block.mutableBytes(0..<108)
            do {
                _ = try bench.translator.translate(
                    headers: packet.rawSpan,
                    payload: packet.rawSpan.extracting(droppingFirst: 28),
                    header: header,
                    offload: .none,
                    from: Endpoint(from, port: 1),
                    to: Endpoint(to, port: 2),
                    limits: PathLimits(),
                    into: &bytes
                )
                Issue.record("it was translated")
            } catch let thrown {
                #expect(thrown == error)
            }
        }
    }
}
