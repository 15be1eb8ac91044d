import Bytes
import IP
import Testing

@testable import Translation

@Suite("ICMP errors")
struct ErrorTests {
    private func check(_ one: ErrorCase, _ family: IPFamily) throws {
        var bench = Bench()
        let start = family == .ipv4 ? 40 : 20
        for packet in [Sample.udp(family, 30), Sample.tcp(family, 30), Sample.echo(family, 30)] {
            let error = Sample.error(one.type, one.code, word: one.word, about: packet)
            guard let expected = one.expected else {
                #expect(throws: TranslationError.self) { try bench.error(error) }
                continue
            }
            let new = try bench.error(error)
            #expect(new[start] == expected.type && new[start + 1] == expected.code)
            #expect(new.rawSpan.uint32(at: start + 4) == expected.word)
            let header = try PacketHeader(new.rawSpan)
            #expect(header.source == Host.router[family.other] && header.hopLimit == 63)
            #expect(header.destination == Host.client[family.other])
            var forward = Bench()
            var quoted = try forward(packet)
            // No hop is taken from what is quoted.
            quoted = Sample.changed(quoted) { $0[family == .ipv4 ? 7 : 8] = 64 }
            var body = Array(new[(start + 8)...])
            // A quoted IPv6 packet has no identification to take over.
            if family == .ipv6 {
                body = Sample.changed(body) { ($0[4], $0[5]) = (quoted[4], quoted[5]) }
            }
            #expect(body == quoted)
        }
    }

    @Test("RFC 7915 4.2: each type and code of ICMPv4", arguments: ErrorTables.toIPv6)
    func toIPv6(one: ErrorCase) throws { try check(one, .ipv4) }

    @Test("RFC 7915 5.2: each type and code of ICMPv6", arguments: ErrorTables.toIPv4)
    func toIPv4(one: ErrorCase) throws { try check(one, .ipv6) }

    @Test("RFC 7915 4.2 and 6: the size in fragmentation needed, with plateaus (RFC 1191 7.1)")
    func sizesForIPv6() throws {
        // Word, total length of the quoted packet, limits, expected.
        let rows: [(UInt32, Int, PathLimits, UInt32)] = [
            (1_480, 1_500, PathLimits(), 1_500), (576, 1_500, PathLimits(), 1_280),
            (1_260, 1_500, PathLimits(), 1_280), (1_261, 1_500, PathLimits(), 1_281),
            (1_480, 1_500, PathLimits(ipv6: 1_490), 1_490),
            (1_480, 1_500, PathLimits(ipv4: 1_450), 1_470),
            (0, 1_500, PathLimits(), 1_512), (0, 1_492, PathLimits(), 1_280),
            (0, 2_003, PathLimits(), 2_022), (0, 40_000, PathLimits(), 32_020),
            (0x7_05c8, 1_500, PathLimits(), 1_500),
        ]
        for (word, total, limits, expected) in rows {
            var bench = Bench(limits: limits)
            let packet = Sample.changed(Sample.udp(.ipv4, 1_200)) {
                ($0[2], $0[3]) = (UInt8(total >> 8), UInt8(total & 0xff))
            }
            let new = try bench.error(Sample.error(3, 4, word: word, about: packet, quoting: 100))
            #expect(new.rawSpan.uint32(at: 44) == expected, "\(word) \(total)")
        }
    }

    @Test("RFC 7915 5.2: the size in packet too big")
    func sizesForIPv4() throws {
        let rows: [(UInt32, PathLimits, UInt32)] = [
            (1_500, PathLimits(), 1_480), (1_280, PathLimits(), 1_260), (0, PathLimits(), 68),
            (70_000, PathLimits(), 65_515), (UInt32.max, PathLimits(ipv4: 1_400), 1_400),
            (1_500, PathLimits(ipv6: 1_420), 1_400),
        ]
        for (word, limits, expected) in rows {
            var bench = Bench(limits: limits)
            let new = try bench.error(Sample.error(2, 0, word: word, about: Sample.udp(.ipv6, 100)))
            #expect(new.rawSpan.uint32(at: 24) == expected, "\(word)")
        }
    }

    @Test("RFC 7915 4.2 and 5.2: a quoted fragment makes 8 bytes of difference more")
    func sizesOfFragments() throws {
        var bench = Bench()
        let four = Sample.pieces(Sample.udp(.ipv4, 1_400, dontFragment: false), 1_376)[0]
        let six = Sample.pieces(Sample.udp(.ipv6, 1_400), 1_376)[0]
        let larger = try bench.error(Sample.error(3, 4, word: 1_380, about: four))
        #expect(larger.rawSpan.uint32(at: 44) == 1_408)
        #expect(larger[48 + 6] == 44 && larger[48 + 40] == 17)
        let smaller = try bench.error(Sample.error(2, 0, word: 1_400, about: six))
        #expect(smaller.rawSpan.uint32(at: 24) == 1_372)
        #expect(smaller[28 + 9] == 17 && smaller[28 + 6] == 0x20)
    }

    @Test("RFC 7915 4.3: lengths of the quoted packet are what it says, not what is there")
    func quotedLengths() throws {
        var bench = Bench()
        for count in [28, 36, 60, 200] {
            let error = Sample.error(3, 3, about: Sample.udp(.ipv4, 900), quoting: count)
            let new = try bench.error(error)
            #expect(new.count == 48 + 20 + count)
            #expect(new.rawSpan.uint16(at: 48 + 4) == 908)
            let back = try bench.error(
                Sample.error(1, 4, about: Sample.udp(.ipv6, 900), quoting: count + 20)
            )
            #expect(back.rawSpan.uint16(at: 28 + 2) == 928)
        }
    }

    @Test("RFC 792: eight bytes of TCP are enough")
    func shortQuotation() throws {
        var bench = Bench()
        let new = try bench.error(Sample.error(3, 1, about: Sample.tcp(.ipv4), quoting: 28))
        #expect(new.count == 48 + 48)
        #expect(new.rawSpan.uint16(at: 88) == 3333 && new.rawSpan.uint16(at: 90) == 443)
    }

    @Test("quoted ports and identifiers are the ones that are given")
    func ports() throws {
        var bench = Bench()
        let error = Sample.error(3, 3, about: Sample.tcp(.ipv4, 60))
        let header = try PacketHeader(error.rawSpan)
        var block = Block(byteCount: 1280)
        var bytes = block.mutableBytes(0..<1280)
        let count = try bench.translator.translateError(
            error.rawSpan,
            header: header,
            from: Host.router.six,
            to: Host.client.six,
            quoting: Endpoint(Host.client.six, port: 9),
            and: Endpoint(Host.server.six, port: 8),
            limits: PathLimits(),
            into: &bytes
        )
        let quoted = block.bytes(48..<count).array
        let inner = try PacketHeader(quoted.rawSpan)
        #expect(inner.sourcePort == 9 && inner.destinationPort == 8)
        #expect(try FullCheck.accepts(quoted), "the quoted checksum follows")
    }

    @Test("RFC 7915 4.3: errors about errors are dropped, and about messages that are not echo")
    func nested() {
        var bench = Bench()
        for family in [IPFamily.ipv4, .ipv6] {
            let type: UInt8 = family == .ipv4 ? 3 : 1
            let error = Sample.error(type, 0, about: Sample.udp(family))
            let nested = Sample.error(type, 0, about: error)
            #expect(throws: TranslationError.nestedError) { try bench.error(nested) }
            let other = Sample.ip(family)
                .packet(ICMPHeader(type: family == .ipv4 ? 13 : 135), body: [1, 2, 3, 4])
            let about = Sample.error(type, 0, about: other)
            #expect(throws: TranslationError.nestedError) { try bench.error(about) }
        }
    }

    @Test("RFC 5508 REQ-3: an error with a wrong checksum is dropped")
    func wrongChecksum() {
        var bench = Bench()
        for (family, place) in [(IPFamily.ipv4, 30), (.ipv6, 60)] {
            var error = Sample.error(family == .ipv4 ? 3 : 1, 0, about: Sample.udp(family))
            error[place] ^= 1
            #expect(throws: TranslationError.badErrorChecksum) { try bench.error(error) }
        }
    }

    @Test("an error without a packet that can be read is dropped")
    func badQuotation() {
        var bench = Bench()
        for count in [0, 7, 19, 24] {
            let error = Sample.error(3, 0, about: Sample.udp(.ipv4), quoting: count)
            #expect(throws: TranslationError.badQuotation) { try bench.error(error) }
        }
    }

    @Test("an error at its last hop, or in pieces, is dropped")
    func outer() throws {
        var bench = Bench()
        let error = Sample.error(3, 0, about: Sample.udp(.ipv4, 100))
        let late = Sample.changed(error) { $0[8] = 1 }
        #expect(throws: TranslationError.noHopLeft) { try bench.error(late) }
        let piece = Sample.pieces(error, 64)[0]
        #expect(throws: TranslationError.needsReassembly) { try bench.error(piece) }
    }

    @Test("RFC 1812 4.3.2.3: an ICMPv4 error has 576 bytes at most; RFC 4443 2.4: ICMPv6 1,280")
    func cut() throws {
        var bench = Bench()
        let small = try bench.error(
            Sample.error(1, 4, about: Sample.udp(.ipv6, 1_180), quoting: 1_232)
        )
        #expect(small.count == 576)
        let large = try bench.error(
            Sample.error(3, 3, about: Sample.udp(.ipv4, 1_400), quoting: 1_428)
        )
        #expect(large.count == 1_280)
    }

    @Test("RFC 768: a quoted datagram without a checksum keeps none")
    func quotedWithoutChecksum() throws {
        var bench = Bench()
        var packet = Sample.udp(.ipv4, 40)
        (packet[26], packet[27]) = (0, 0)
        let new = try bench.error(Sample.error(3, 3, about: packet))
        #expect(new[48 + 46] == 0 && new[48 + 47] == 0)
    }
}
