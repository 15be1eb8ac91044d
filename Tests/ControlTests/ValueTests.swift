import Control
import IP
import Testing

@Suite("Values in messages")
struct ValueTests {
    @Test("versions compare as numbers")
    func versions() {
        #expect(ProtocolVersion(major: 1, minor: 10) > ProtocolVersion(major: 1, minor: 9))
        #expect(ProtocolVersion("1.1") == .current)
        for text in ["", "1", "1.", ".1", "1.1.1", "01.1", "1.x", "-1.1", "1.+1", "1.65536"] {
            #expect(ProtocolVersion(text) == nil, "\(text)")
        }
    }

    @Test("the version agreed on is the highest that both speak")
    func agreed() {
        let old = ProtocolVersion(major: 1, minor: 0)
        let new = ProtocolVersion(major: 2, minor: 0)
        #expect(ProtocolVersion.agreed(offered: [old, .current, new]) == .current)
        #expect(ProtocolVersion.agreed(offered: [old]) == nil)
        #expect(Refusal.versionMismatch(offered: [old]).sentence.contains("upgrade this client"))
        #expect(Refusal.versionMismatch(offered: [new]).sentence.contains("upgrade the portal"))
        #expect(Refusal.versionMismatch(offered: []).kind == .mend)
    }

    @Test("a refusal of an unknown kind ends nothing")
    func unknownRefusal() throws {
        let text = #"{"code":"new-code","kind":"new-kind","sentence":"x"}"#
        let refusal = try JSON.decode(Refusal.self, text)
        #expect(refusal.kind == .retry)
        #expect(refusal.code.rawValue == "new-code")
    }

    @Test(
        "a filter is read and written",
        arguments: [
            ("tcp/443", Filter(.tcp, ports: 443...443)), ("tcp", Filter(.tcp)),
            ("icmp", Filter(.icmp)),
            ("udp/8000-8010", Filter(.udp, ports: 8000...8010)),
            ("tcp/0-1", Filter(.tcp, ports: 0...1)),
        ]
    )
    func filters(text: String, filter: Filter) throws {
        #expect(try Filter(parsing: text) == filter)
        #expect(filter.description == text)
    }

    @Test(
        "a filter that cannot be read says why",
        arguments: [
            ("", .unknownProtocol("")), ("sctp/1", .unknownProtocol("sctp")),
            ("TCP/1", .unknownProtocol("TCP")), ("tcp/", .badPorts("")),
            ("tcp/65536", .badPorts("65536")), ("tcp/2-1", .badPorts("2-1")),
            ("tcp/1-2-3", .badPorts("1-2-3")), ("udp/-1", .badPorts("-1")),
            ("udp/+1", .badPorts("+1")), ("icmp/8", .portsOfICMP),
        ] as [(String, Filter.ParseError)]
    )
    func badFilters(text: String, error: Filter.ParseError) {
        #expect(throws: error) { try Filter(parsing: text) }
        #expect(!error.sentence.isEmpty)
    }

    @Test("an empty list of filters permits everything, another one only what it names")
    func permit() throws {
        #expect([Filter]().permit(.udp, port: 53))
        let web = try ["tcp/80", "tcp/440-443", "icmp"].map { try Filter(parsing: $0) }
        #expect(web.permit(.tcp, port: 441))
        #expect(web.permit(.icmp, port: 99))
        #expect(!web.permit(.tcp, port: 444))
        #expect(!web.permit(.udp, port: 80))
    }

    @Test("a key has 32 bytes; a preshared key is not shown")
    func keys() throws {
        let bytes = (0..<32).map { UInt8($0) }
        let key = try #require(KeyText(bytes: bytes))
        #expect(KeyText(key.description) == key)
        #expect(KeyText(bytes: Array(bytes.dropLast())) == nil)
        let secret = try #require(PresharedKeyText(bytes: bytes))
        #expect("\([secret])" == "[(secret)]")
        #expect(try JSON.decode(PresharedKeyText.self, JSON.encode(secret)) == secret)
    }

    @Test("the standard ranges are all there")
    func addressPlan() {
        #expect(AddressPlan.standard.all.count == 6)
        #expect(AddressPlan.standard.proxies.allSatisfy { $0.bitCount == 11 || $0.bitCount == 107 })
    }

    @Test(
        "a portal's URL",
        arguments: [
            ("https://Portal.Example.com", "portal.example.com", 443, "https://portal.example.com"),
            ("https://p:8443/", "p", 8443, "https://p:8443"),
            ("https://[2001:db8::1]:8443", "2001:db8::1", 8443, "https://[2001:db8::1]:8443"),
            ("https://[::1]", "::1", 443, "https://[::1]"),
        ]
    )
    func portalURL(text: String, host: String, port: UInt16, canonical: String) throws {
        let url = try #require(PortalURL(text))
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.description == canonical)
    }

    @Test(
        "what is no portal's URL",
        arguments: [
            "", "http://p", "https://", "https://:1", "https://p:0", "https://p:x", "https://p/x",
            "https://u@p", "https://p?q", "https://[::1", "https://::1", "https://[::1]x",
            "https://p:65536", "https://a b",
        ]
    )
    func badPortalURL(text: String) {
        #expect(PortalURL(text) == nil)
    }
}
