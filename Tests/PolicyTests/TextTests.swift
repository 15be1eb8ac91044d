import Control
import DNS
import IP
import Policy
import Testing

@Suite("What people write")
struct TextTests {
    @Test(
        "an address is read",
        arguments: [
            ("internet", "internet", "internet"), ("Internet", "internet", "internet"),
            ("10.0.0.0/8", "prefix", "10.0.0.0/8"),
            ("10.0.0.5", "prefix", "10.0.0.5/32"), ("fd00::/8", "prefix", "fd00::/8"),
            ("Git.Example.COM.", "name", "git.example.com"), ("*.slack.com", "name", "*.slack.com"),
            ("app.**.eu.example.com", "name", "app.**.eu.example.com"), ("nas", "name", "nas"),
            ("3com.example", "name", "3com.example"),
            ("*.MÜNCHEN.example。", "name", "*.xn--mnchen-3ya.example"),
            ("Straße.example", "name", "xn--strae-oqa.example"),
        ]
    )
    func address(text: String, kind: String, canonical: String) throws {
        let address = try ResourceAddress(parsing: text)
        #expect(address.kind == kind)
        #expect(address.text == canonical)
    }

    @Test(
        "an address that cannot be is refused, saying why",
        arguments: [
            ("", .empty), ("10.0.0.0/33", .badNetwork("10.0.0.0/33")), ("a/b", .badNetwork("a/b")),
            ("10.0.0.5/8", .hostBits("10.0.0.0/8")), ("0.0.0.0/0", .everything),
            ("::/0", .everything),
            ("127.0.0.1", .notRoutable("127.0.0.1/32")), ("::1", .notRoutable("::1/128")),
            ("224.0.0.0/24", .notRoutable("224.0.0.0/24")),
            ("fe80::1", .notRoutable("fe80::1/128")),
            ("10.0.0.300", .badAddress("10.0.0.300")), ("internet.", .badAddress("internet.")),
            (
                "a..",
                .badPattern(position: 3, reason: "two dots in a row, or a dot at the start")
            ), (".", .badPattern(position: 1, reason: "two dots in a row, or a dot at the start")),
            (
                "a\\*.example",
                .badPattern(position: 2, reason: "such a character cannot be in a name")
            ),
            ("https://a.example", .notBare("https://a.example")),
            ("a.example:443", .notBare("a.example:443")),
            ("a b", .badPattern(position: 2, reason: "such a character cannot be in a name")),
            (
                "a**b.example",
                .badPattern(
                    position: 1,
                    reason: "“**” must stand alone between dots"
                )
            ),
            (
                "*-münchen.example",
                .badLabel(
                    "*-münchen",
                    reason: "“*” and “?” cannot stand in a part with international letters; write "
                        + "the wildcard as a part of its own"
                )
            ),
            ("１０．０．０．３００", .badAddress("１０．０．０．３００")),
            ("ｉｎｔｅｒｎｅｔ", .badAddress("ｉｎｔｅｒｎｅｔ")),
        ] as [(String, AddressError)]
    )
    func badAddress(text: String, error: AddressError) {
        #expect(throws: error) { try ResourceAddress(parsing: text) }
        #expect(error.sentence.hasSuffix("."))
    }

    @Test(
        "versions compare as numbers",
        arguments: [
            ("1.9", "1.10"), ("1.2.0-rc1", "1.2"), ("1.1.9", "1.2.0-rc1"), ("1", "1.0.1"),
            ("0.9.9", "1"),
        ]
    )
    func versions(lower: String, upper: String) throws {
        let (lower, upper): (SoftwareVersion, SoftwareVersion) = (try read(lower), try read(upper))
        #expect(lower < upper && lower != upper)
    }

    @Test("versions that say the same are the same")
    func sameVersions() throws {
        let (short, long): (SoftwareVersion, SoftwareVersion) = (try read("1"), try read("1.0.0+x"))
        #expect(short == long)
        #expect(short.hashValue == long.hashValue)
        for text in ["", ".", "1.", "v1", "1.x", "-1", "1..2", "99999999999"] {
            #expect(SoftwareVersion(text) == nil, "\(text)")
        }
    }

    @Test(
        "requirements",
        arguments: [
            (">=1.1", "1.1.0", true), (">=1.1", "1.0.9", false), (">=1.1, <2", "2", false),
            (">=1.1,<2", "1.99", true), ("=1.1", "1.1.0", true), ("<=1.1", "1.1.1", false),
            (">1.1", "1.1", false),
        ]
    )
    func requirements(text: String, version: String, isAdmitted: Bool) throws {
        let requirement: VersionRequirement = try read(text)
        #expect(requirement.admits(try read(version)) == isAdmitted)
        #expect(VersionRequirement(requirement.description) == requirement)
        for text in ["", "1.1", ">=", "=>1", ">=1 <2", ">=1,"] {
            #expect(VersionRequirement(text) == nil, "\(text)")
        }
    }

    @Test(
        "nameservers are read and written",
        arguments: [
            ("9.9.9.9", "9.9.9.9", "9.9.9.9", 53),
            ("9.9.9.9:5353", "9.9.9.9:5353", "9.9.9.9", 5353),
            ("2620:fe::fe", "2620:fe::fe", "2620:fe::fe", 53),
            ("[2620:fe::fe]:5353", "[2620:fe::fe]:5353", "2620:fe::fe", 5353),
            ("tls://Dns.example", "tls://dns.example", "dns.example", 853),
            ("tls://9.9.9.9:8853", "tls://9.9.9.9:8853", "9.9.9.9", 8853),
            ("tls://[2620:fe::fe]", "tls://[2620:fe::fe]", "2620:fe::fe", 853),
            ("https://dns.example", "https://dns.example/dns-query", "dns.example", 443),
            ("https://dns.example:8443/q?x", "https://dns.example:8443/q?x", "dns.example", 8443),
        ] as [(String, String, String, UInt16)]
    )
    func upstreams(text: String, canonical: String, host: String, port: UInt16) throws {
        let upstream: Upstream = try read(text)
        #expect(upstream.description == canonical)
        #expect(upstream.host == host && upstream.port == port)
        #expect(Upstream(canonical) == upstream)
    }

    @Test(
        "what is no nameserver",
        arguments: [
            "", "dns.example", "9.9.9.9:0", "9.9.9.9:x", "tls://", "tls://a b",
            "tls://dns.example/x",
            "http://dns.example", "https://", "9.9.9.300", "tls://1.2.3.400", "tls://a:b:c",
        ]
    )
    func badUpstreams(text: String) { #expect(Upstream(text) == nil) }

    @Test(
        "destinations are read and written",
        arguments: [
            ("git.example.com", "git.example.com:443"), ("Git.example:22", "git.example:22"),
            ("10.0.0.1:53/udp", "10.0.0.1:53/udp"), ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("2001:db8::1", "[2001:db8::1]:443"), ("nas/icmp", "nas/icmp"),
            ("2001:db8::1/icmp", "2001:db8::1/icmp"),
        ]
    )
    func destinations(text: String, canonical: String) throws {
        let destination: Destination = try read(text)
        #expect(destination.description == canonical)
        #expect(Destination(canonical) == destination)
    }

    @Test(
        "what is no destination",
        arguments: [
            "", ":443", "a:x", "a:70000", "a/sctp", "a:8/icmp", "a/b/c", "a b:1", "[::1", "a..b",
        ]
    )
    func badDestinations(text: String) { #expect(Destination(text) == nil) }
}
