import Bytes
import IP
import Testing

@testable import Translation

/// RFC 4884: objects behind the quoted packet, which is padded and whose length is said.
@Suite("RFC 4884: extensions of ICMP errors")
struct ExtensionTests {
    /// A header and one object, opaque here.
    private static let objects: [UInt8] = [0x20, 0, 0x12, 0x34, 0, 8, 1, 1, 0x30, 0x39, 0x01, 0xff]

    private func error(
        _ family: IPFamily,
        _ type: UInt8,
        _ code: UInt8 = 0,
        quoting count: Int,
        _ packet: [UInt8],
        _ objects: [UInt8] = objects
    ) -> [UInt8] {
        var body = Array(packet.prefix(count))
        body += [UInt8](repeating: 0, count: count - body.count) + objects
        let word = family == .ipv4 ? UInt32(count / 4) << 16 : UInt32(count / 8) << 24
        return Sample.ip(family, from: Host.router, to: Host.client, dontFragment: false)
            .packet(ICMPHeader(type: type, code: code, word: word), body: body)
    }

    @Test("the length counts 64-bit words in ICMPv6, of the quotation as it is then")
    func toIPv6() throws {
        var bench = Bench()
        for (count, padded) in [(128, 152), (132, 152), (136, 160), (200, 224)] {
            let new = try bench.error(error(.ipv4, 11, quoting: count, Sample.udp(.ipv4, 300)))
            #expect(Int(new[44]) * 8 == padded)
            #expect(Array(new[(48 + padded)...]) == Self.objects)
            #expect(new[(48 + count + 20)..<(48 + padded)].allSatisfy { $0 == 0 })
        }
    }

    @Test("the length counts 32-bit words in ICMPv4, 128 bytes at least")
    func toIPv4() throws {
        var bench = Bench()
        for (count, padded) in [(128, 128), (144, 128), (152, 132), (200, 180)] {
            let new = try bench.error(error(.ipv6, 3, quoting: count, Sample.udp(.ipv6, 300)))
            #expect(Int(new[25]) * 4 == padded)
            #expect(Array(new[(28 + padded)...]) == Self.objects)
        }
    }

    @Test("a quotation that is padded stays padded")
    func padded() throws {
        var bench = Bench()
        let new = try bench.error(error(.ipv4, 3, 1, quoting: 128, Sample.udp(.ipv4, 4)))
        #expect(new[44] == 19 && Array(new.suffix(Self.objects.count)) == Self.objects)
    }

    @Test("the quotation gives way to the extensions, which are dropped when that is not enough")
    func room() throws {
        var bench = Bench()
        let new = try bench.error(error(.ipv6, 1, quoting: 1_000, Sample.udp(.ipv6, 1_100)))
        #expect(new.count <= 576 && new.count > 570)
        #expect(Array(new.suffix(Self.objects.count)) == Self.objects)
        #expect(28 + Int(new[25]) * 4 + Self.objects.count == new.count)
        let many = [UInt8](repeating: 7, count: 500)
        let without = try bench.error(error(.ipv6, 1, quoting: 200, Sample.udp(.ipv6, 300), many))
        #expect(without[25] == 0 && without.count == 28 + 180)
    }

    @Test("where the other family has no place for the length, extensions are dropped")
    func noPlace() throws {
        var bench = Bench()
        for (type, code, word): (UInt8, UInt8, UInt32) in [(3, 2, 6), (3, 4, 1_280), (12, 0, 0)] {
            let new = try bench.error(
                error(.ipv4, type, code, quoting: 128, Sample.udp(.ipv4, 300))
            )
            #expect(new.rawSpan.uint32(at: 44) == word)
            #expect(new.count == 48 + 148)
        }
    }
}
