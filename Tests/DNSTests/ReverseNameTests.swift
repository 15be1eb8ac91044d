import DNS
import IP
import Testing

@Suite struct ReverseNameTests {
    @Test(arguments: [
        ("203.0.113.9", "9.113.0.203.in-addr.arpa"),
        ("0.0.0.0", "0.0.0.0.in-addr.arpa"),
        (
            "2001:db8::567:89ab",
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        ),
    ])
    func `RFC 1035 3.5, RFC 3596 2.5: an address has a name, and back`(
        address: String,
        text: String
    ) throws {
        let address = try #require(IPAddress(address))
        #expect(Name(reverse: address).description == text)
        #expect(try name(text.uppercased()).reverseAddress == address)
    }

    @Test(arguments: [
        "in-addr.arpa", "113.0.203.in-addr.arpa", "x.9.113.0.203.in-addr.arpa",
        "256.0.0.1.in-addr.arpa", "01.0.0.1.in-addr.arpa", "a.0.0.1.in-addr.arpa",
        "0001.0.0.1.in-addr.arpa", "9.113.0.203.in-addr.arpa.example", "9.113.0.203",
        "b.a.9.8.ip6.arpa",
        "g.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "0.b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "ba.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.aa.ip6.arpa",
    ])
    func `any other name stands for no address`(text: String) throws {
        #expect(try name(text).reverseAddress == nil)
    }
}
