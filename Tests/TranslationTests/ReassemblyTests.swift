import Bytes
import IP
import SansIO
import Testing

@testable import Translation

@Suite("Joining pieces")
struct ReassemblyTests {
    private func at(_ seconds: Double) -> Instant {
        Instant(nanoseconds: UInt64(seconds * 1e9) + 1)
    }

    private func receive(
        _ reassembly: inout Reassembly,
        _ packet: [UInt8],
        at seconds: Double = 0
    ) throws -> Reassembly.Outcome {
        let header = try PacketHeader(packet.rawSpan)
        return reassembly.receive(packet.rawSpan, header: header, at: at(seconds))
    }

    @Test("RFC 6146 3.4: pieces in any order become the packet", arguments: [IPFamily.ipv4, .ipv6])
    func orders(family: IPFamily) throws {
        let packet = Sample.udp(family, 300, dontFragment: false)
        let pieces = Sample.pieces(packet, 104)
        #expect(pieces.count == 3)
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let joined = try #require(try Cutting.join(order.map { pieces[$0] }))
            if family == .ipv4 {
                #expect(joined == packet)
            } else {
                #expect(Array(joined[48...]) == Array(packet[40...]) && joined[6] == 44)
                #expect(Array(joined[40..<48]) == [17, 0, 0, 0, 0xab, 0xcd, 0, 0x77])
            }
            #expect(try FullCheck.accepts(joined))
        }
    }

    @Test("RFC 6146 3.4: a fragmented echo, and UDP without a checksum, go on once joined")
    func translated() throws {
        var bench = Bench()
        var missing = Sample.udp(.ipv4, 300, dontFragment: false)
        (missing[26], missing[27]) = (0, 0)
        for packet in [missing, Sample.echo(.ipv4, 300), Sample.echo(.ipv6, 300)] {
            let joined = try #require(try Cutting.join(Sample.pieces(packet, 104).reversed()))
            #expect(try FullCheck.accepts(try bench(joined)))
        }
    }

    @Test(
        "RFC 5722: what overlaps is refused with all of its datagram",
        arguments: [IPFamily.ipv4, .ipv6]
    )
    func overlap(family: IPFamily) throws {
        let packet = Sample.udp(family, 300, dontFragment: false)
        let pieces = Sample.pieces(packet, 104)
        let other = Sample.pieces(packet, 96)
        var reassembly = Reassembly()
        #expect(try receive(&reassembly, pieces[0]) == .waiting)
        #expect(try receive(&reassembly, other[1]) == .refused(.overlap))
        #expect(try receive(&reassembly, pieces[1]) == .refused(.overlap))
        #expect(try receive(&reassembly, pieces[2]) == .refused(.overlap))
        #expect(reassembly.count == 1, "so that nothing of it is taken later")
        #expect(reassembly.advance(to: at(61)) == 1)
    }

    @Test("bytes behind the last piece, and two ends, are refused")
    func ends() throws {
        let packet = Sample.udp(.ipv4, 300, dontFragment: false)
        let (pieces, short) = (Sample.pieces(packet, 104), Sample.pieces(Sample.udp(.ipv4, 92), 96))
        var reassembly = Reassembly()
        #expect(try receive(&reassembly, short[1]) == .waiting)
        #expect(try receive(&reassembly, pieces[1]) == .refused(.overlap))
        reassembly = Reassembly()
        #expect(try receive(&reassembly, pieces[2]) == .waiting)
        #expect(try receive(&reassembly, short[1]) == .refused(.overlap))
    }

    @Test("RFC 8200 4.5: the same piece twice is taken once; with other bytes it overlaps")
    func twice() throws {
        let pieces = Sample.pieces(Sample.udp(.ipv4, 300, dontFragment: false), 104)
        var reassembly = Reassembly()
        #expect(try receive(&reassembly, pieces[1]) == .waiting)
        #expect(try receive(&reassembly, pieces[1]) == .waiting)
        var other = pieces[1]
        other[40] ^= 1
        #expect(try receive(&reassembly, other) == .refused(.overlap))
    }

    @Test(
        "RFC 8200 4.5: a piece whose bytes are no multiple of 8 is refused, unless it is the last"
    )
    func lengths() throws {
        var reassembly = Reassembly()
        var piece = Sample.pieces(Sample.udp(.ipv4, 300, dontFragment: false), 104)[0]
        piece.removeLast()
        piece = Sample.changed(piece) { $0[3] -= 1 }
        #expect(try receive(&reassembly, piece) == .refused(.badLength))
        let whole = Sample.udp(.ipv4)
        #expect(try receive(&reassembly, whole) == .refused(.noFragment))
        let empty = Sample.changed(Array(Sample.udp(.ipv4)[..<20])) {
            ($0[2], $0[3], $0[6], $0[7]) = (0, 20, 0, 5)
        }
        #expect(try receive(&reassembly, empty) == .refused(.badLength))
    }

    @Test("RFC 7915 5.1.1: an extension header behind the fragment header is refused")
    func extensionInFragment() throws {
        var reassembly = Reassembly()
        var piece = Sample.pieces(Sample.udp(.ipv6, 300), 104)[1]
        piece[40] = 60
        #expect(try receive(&reassembly, piece) == .refused(.extensionInFragment))
    }

    @Test("RFC 8200 4.5: after 60 s a datagram is given up")
    func time() throws {
        var reassembly = Reassembly()
        let pieces = Sample.pieces(Sample.udp(.ipv4, 100, dontFragment: false), 64)
        _ = try receive(&reassembly, pieces[0], at: 0)
        #expect(reassembly.nextDeadline == at(60))
        #expect(try receive(&reassembly, pieces[1], at: 61) == .waiting)
        #expect(reassembly.count == 1)
    }

    @Test("RFC 6146 4: when it is full, what is two seconds old gives way, and nothing younger")
    func full() throws {
        var reassembly = Reassembly()
        func piece(_ number: Int) -> [UInt8] {
            let packet = Sample.changed(Sample.udp(.ipv4, 100, dontFragment: false)) {
                ($0[4], $0[5]) = (UInt8(number >> 8), UInt8(number & 0xff))
            }
            return Sample.pieces(packet, 64)[0]
        }
        for number in 0..<Reassembly.Limits.datagrams {
            #expect(try receive(&reassembly, piece(number)) == .waiting)
        }
        #expect(try receive(&reassembly, piece(999), at: 1) == .refused(.full))
        #expect(try receive(&reassembly, piece(999), at: 2) == .waiting)
        #expect(reassembly.count == Reassembly.Limits.datagrams)
    }

    @Test("bytes are bounded too, and a datagram's pieces")
    func bytes() throws {
        var reassembly = Reassembly()
        var refused = 0
        for number in 0..<Reassembly.Limits.datagrams {
            let packet = Sample.changed(Sample.udp(.ipv4, 60_000, dontFragment: false)) {
                ($0[4], $0[5]) = (0, UInt8(number))
            }
            for piece in Sample.pieces(packet, 8_000).dropLast() {
                if try receive(&reassembly, piece) == .refused(.full) { refused += 1 }
            }
        }
        #expect(refused > 0)
        reassembly = Reassembly()
        let small = Sample.pieces(Sample.udp(.ipv4, 8 * 200, dontFragment: false), 8)
        let outcomes = try small.map { try receive(&reassembly, $0) }
        #expect(outcomes.contains(.refused(.tooLarge)))
    }

    @Test("RFC 3168 5.3: congestion that one piece met is the datagram's")
    func congestion() throws {
        func pieces(_ marks: [UInt8]) -> [[UInt8]] {
            let whole = Sample.udp(.ipv4, 100, dontFragment: false)
            return zip(Sample.pieces(whole, 64), marks).map { piece, mark in
                Sample.changed(piece) { $0[1] = mark }
            }
        }
        let joined = try #require(try Cutting.join(pieces([2, 3])))
        #expect(joined[1] == 3 && FullCheck.sum(Array(joined[..<20])) == 0xffff)
        #expect(try Cutting.join(pieces([0, 3])) == nil)
    }
}
