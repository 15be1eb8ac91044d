import Bytes
import IP
import SansIO
import Testing

@Suite("IPAddress, IPPrefix and Endpoint")
struct IPAddressTests {
    @Test("RFC 5952 4: text comes out in its one form")
    func text() throws {
        let cases = [
            ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("fe80::0001", "fe80::1"),
        ]
        for (text, expected) in cases {
            let address = try #require(IPAddress(text), "\(text)")
            #expect(address.description == expected)
        }
    }

    @Test("RFC 4291 2.2: what is no address is refused")
    func refused() {
        let texts = [
            "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "+1.2.3.4", ":",
            ":::",
            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%eth0", "[::1]",
            "1:2:3:4:5:6:7:8::", "::1.2.3", "1.2.3.4::", "::ffff:192.0.2.1", "1:", ":1",
        ]
        for text in texts { #expect(IPAddress(text) == nil, "\(text)") }
    }

    @Test("random addresses survive text and bytes")
    func roundTrips() throws {
        var random = RandomSource(seed: 3)
        for _ in 0..<2000 {
            let mask = random.next() & random.next()
            let address =
                Bool.random(using: &random)
                ? IPAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
                : IPAddress(high: random.next() & mask | 1 << 60, low: random.next() & mask)
            #expect(IPAddress(address.description) == address)
            #expect(IPAddress(bytes: address.bytes.rawSpan) == address)
        }
        #expect(IPAddress(bytes: [1, 2, 3].rawSpan) == nil)
        #expect(
            IPAddress(bytes: ([UInt8](repeating: 0, count: 10) + [255, 255, 1, 2, 3, 4]).rawSpan)
                == nil
        )
    }

    @Test("the kinds of address are told apart")
    func kinds() throws {
        func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
        for text in ["224.0.0.1", "239.255.255.255", "ff02::1"] {
            #expect(try address(text).isMulticast)
        }
        for text in ["223.255.255.255", "240.0.0.1", "fe80::1"] {
            #expect(try !address(text).isMulticast)
        }
        for text in ["127.0.0.1", "127.9.9.9", "::1"] { #expect(try address(text).isLoopback) }
        for text in ["128.0.0.1", "::2"] { #expect(try !address(text).isLoopback) }
        for text in ["169.254.1.1", "fe80::1", "febf::1"] { #expect(try address(text).isLinkLocal) }
        for text in ["169.253.1.1", "fec0::1"] { #expect(try !address(text).isLinkLocal) }
        for text in ["0.0.0.0", "::"] { #expect(try address(text).isUnspecified) }
        #expect(try address("255.255.255.255").isBroadcast)
        #expect(try !address("::ffff").isBroadcast)
    }

    @Test("a prefix clears host bits and holds what begins with it")
    func prefixes() throws {
        let prefix = try #require(IPPrefix("10.1.2.3/12"))
        #expect(prefix.description == "10.0.0.0/12")
        #expect(prefix.contains(try #require(IPAddress("10.15.255.255"))))
        #expect(!prefix.contains(try #require(IPAddress("10.16.0.0"))))
        #expect(!prefix.contains(Sample.client6))
        #expect(try #require(IPPrefix("::/0")).contains(Sample.client6))
        #expect(!(try #require(IPPrefix("::/0")).contains(Sample.client4)))
        #expect(try #require(IPPrefix("192.0.2.1")).bitCount == 32)
        let (wide, narrow) = (
            try #require(IPPrefix("fd00::/8")), try #require(IPPrefix("fd12::/16"))
        )
        #expect(wide.overlaps(narrow) && narrow.overlaps(wide))
        #expect(!narrow.overlaps(try #require(IPPrefix("fd13::/16"))))
    }

    @Test("a prefix length is plain digits within the family's range")
    func prefixText() {
        for text in [
            "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/", "/8",
            "10.0.0.0/8/8", "::/999",
        ] {
            #expect(IPPrefix(text) == nil, "\(text)")
        }
        for text in ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/128"] {
            #expect(IPPrefix(text)?.description == text)
        }
    }

    @Test("an endpoint has brackets around IPv6 only, and a port of plain digits")
    func endpoints() throws {
        for text in ["203.0.113.9:51830", "[2001:db8::9]:51830", "0.0.0.0:0", "[::]:65535"] {
            #expect(Endpoint(text)?.description == text)
        }
        for text in [
            "203.0.113.9", "[203.0.113.9]:1", "2001:db8::9:1", "[::]:65536", "1.2.3.4:",
            "1.2.3.4:+1", "1.2.3.4:080", "1.2.3.4:-1", "[::]", "]:1",
        ] {
            #expect(Endpoint(text) == nil, "\(text)")
        }
    }

    @Test("the next address carries from the lower half to the upper")
    func advanced() {
        #expect(IPAddress(high: 1, low: .max).advanced(by: 1) == IPAddress(high: 2, low: 0))
        #expect(IPAddress(high: .max, low: .max).advanced(by: 1) == IPAddress(high: 0, low: 0))
        #expect(IPAddress(ipv4: 1).advanced(by: 255) == IPAddress(ipv4: 256))
    }
}
