import DNS
import Testing

@Suite struct NameTests {
    @Test(arguments: [
        ("example.com", "07 'example' 03 'com' 00"),
        ("example.com.", "07 'example' 03 'com' 00"),
        (".", "00"),
        (#"a\.b.c"#, "03 'a.b' 01 'c' 00"),
        (#"a\046b.c"#, "03 'a.b' 01 'c' 00"),
        (#"\000\255"#, "02 00 ff 00"),
        (#"_sip._tcp.x"#, "04 '_sip' 04 '_tcp' 01 'x' 00"),
    ])
    func `RFC 1035 5.1: a text becomes its wire form`(text: String, wire: String) throws {
        #expect(try Name(text: text).wire == bytes(wire))
    }

    @Test(arguments: [
        ("", NameError.emptyLabel(offset: 0)),
        ("a..b", .emptyLabel(offset: 2)),
        (".a", .emptyLabel(offset: 0)),
        (#"a\"#, .badEscape(offset: 1)),
        (#"a\256"#, .badEscape(offset: 1)),
        (#"a\12"#, .badEscape(offset: 1)),
        (#"a\1x2"#, .badEscape(offset: 1)),
        ("bücher.example", .notASCII(offset: 1)),
    ])
    func `a text that is no name says where`(text: String, error: NameError) {
        #expect(throws: error) { try Name(text: text) }
    }

    @Test func `RFC 1035 2.3.4: labels end at 63 bytes and names at 255`() throws {
        let label = String(repeating: "a", count: 63)
        #expect(try Name(text: label).wire.count == 65)
        #expect(throws: NameError.labelTooLong(offset: 63)) { try Name(text: label + "a") }
        let longest = [label, label, label, String(repeating: "b", count: 61)].joined(
            separator: "."
        )
        #expect(try Name(text: longest).wire.count == 255)
        #expect(throws: NameError.tooLong(byteCount: 256)) { try Name(text: longest + "b") }
        #expect(try Name(text: longest + ".").wire.count == 255)
    }

    @Test func `RFC 4343: names differ not in the case of ASCII letters, and keep it`() throws {
        let (lower, upper) = (try name("mail.example.com"), try name("MAIL.Example.cOm"))
        #expect(lower == upper)
        #expect(Set([lower]).contains(upper))
        #expect(upper.description == "MAIL.Example.cOm")
        // '[' and '{' differ by the same bit as letters of two cases do.
        #expect(try name("a[") != name("a{"))
        #expect(try name("@") != name("`"))
        #expect(try name("ab.c") != name(#"ab\.c"#))
    }

    @Test func `RFC 4343: every byte is compared as one byte alone would be, at every place`()
        throws
    {
        func folded(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte + 32 : byte }
        for place in 0..<20 {
            for byte in UInt8.min...UInt8.max {
                var label = (0..<20).map { UInt8(97 + $0) }
                label[place] = byte
                let one = try Name(labels: [label])
                for other in [byte ^ 0x20, byte ^ 0x80, byte &+ 1, byte] {
                    label[place] = other
                    let two = try Name(labels: [label])
                    let isSame = folded(byte) == folded(other)
                    #expect((one == two) == isSame)
                    #expect((one.hashValue == two.hashValue) == isSame)
                }
            }
        }
    }

    @Test func `a text read back is the same name`() throws {
        let odd = try Name(labels: [
            Array(0...62), Array(63...125), Array(126...188), [0x2e, 0x5c],
        ])
        #expect(try Name(text: odd.description).wire == odd.wire)
        #expect(Name(odd.description)?.wire == odd.wire)
        #expect(Name.root.description == ".")
    }

    @Test func `a wire form is taken only whole`() {
        #expect(throws: NameError.truncated(offset: 0)) { try Name(wire: []) }
        #expect(throws: NameError.truncated(offset: 2)) { try Name(wire: [1, 97]) }
        #expect(throws: NameError.truncated(offset: 5)) { try Name(wire: [4, 97]) }
        #expect(throws: NameError.badLabelType(offset: 0)) { try Name(wire: [0xc0, 12]) }
        #expect(throws: NameError.trailingBytes(offset: 1)) { try Name(wire: [0, 0]) }
    }

    @Test func `a name lies below its parents by whole labels`() throws {
        let parent = try name("Example.com")
        #expect(try name("a.b.example.COM").isAtOrBelow(parent))
        #expect(try name("example.com").isAtOrBelow(parent))
        #expect(try !name("notexample.com").isAtOrBelow(parent))
        #expect(try !name("com").isAtOrBelow(parent))
        #expect(try name("a.b").isAtOrBelow(.root))
        // The bytes of "\007example.com" end as those of "example.com" do.
        #expect(try !name(#"a\007example.com"#).isAtOrBelow(parent))
        #expect(try name("a.b.c").parent == name("b.c"))
        #expect(Name.root.parent == nil)
    }

    @Test func `RFC 4034 6.1: names sort by labels from the right`() throws {
        let sorted = try [
            "example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE",
            "z.example", #"\001.z.example"#, "*.z.example", #"\200.z.example"#,
        ].map(name)
        #expect(sorted.reversed().sorted() == sorted)
    }
}
