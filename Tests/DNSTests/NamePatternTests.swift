import DNS
import Testing

@Suite struct NamePatternTests {
    @Test(arguments: [
        ("example.com", ["example.com", "EXAMPLE.com"], ["a.example.com", "com", "xexample.com"]),
        (
            "*.example.com", ["example.com", "a.example.com", "b.a.Example.com"],
            ["com", "xexample.com", "example.org"]
        ),
        (
            "**.example.com", ["example.com", "a.example.com", "b.a.example.com"], ["example.org"]
        ),
        (
            "?*.example.com", ["a.example.com", "abc.example.com"],
            ["example.com", "b.a.example.com"]
        ),
        (
            "db-?.example.com", ["db-1.example.com", "DB-x.example.com"],
            ["db-.example.com", "db-12.example.com"]
        ),
        (
            "app.*.eu.example.com", ["app.x.eu.example.com"],
            ["app.eu.example.com", "app.x.y.eu.example.com", "a.app.x.eu.example.com"]
        ),
        (
            "app.**.example.com", ["app.example.com", "app.x.example.com", "app.x.y.example.com"],
            ["x.app.example.com", "example.com", "xapp.example.com"]
        ),
        (
            "app.**.web.**.com", ["app.web.com", "app.x.web.y.z.com", "app.web.web.com"],
            ["app.x.com"]
        ),
        ("a*c*e.x", ["ace.x", "abcde.x", "acecece.x"], ["ac.x", "acd.x", "a.c.e.x", "aceb.x"]),
        ("*?*.x", ["a.x", "ab.x"], ["x", "a.b.x"]),
        ("example.*", ["example.com", "example.org"], ["example", "example.co.uk"]),
        ("**", ["com", "a.b.c"], []),
        ("*", ["com"], ["a.b"]),
        (#"\*.example.com"#, [#"\*.example.com"#], ["a.example.com", "example.com"]),
        ("example.com.", ["example.com"], ["com"]),
    ])
    func `a pattern matches what behaviour 3.3 says`(
        text: String,
        matching: [String],
        other: [String]
    ) throws {
        let pattern = try pattern(text)
        for text in matching { #expect(try pattern.matches(name(text)), "\(text)") }
        for text in other { #expect(try !pattern.matches(name(text)), "\(text)") }
    }

    @Test func `a wildcard never matches a dot inside a label as one between labels`() throws {
        #expect(try pattern("a?b.x").matches(name(#"a\.b.x"#)))
        #expect(try !pattern("a?b.x").matches(name("a.b.x")))
        #expect(try !pattern("a.b.x").matches(name(#"a\.b.x"#)))
    }

    @Test(arguments: [
        ("", PatternError.empty),
        (".", .emptyLabel(offset: 0)),
        ("a..b", .emptyLabel(offset: 2)),
        (".a", .emptyLabel(offset: 0)),
        ("a**.b", .doubleStarInLabel(offset: 0)),
        ("x.***.b", .doubleStarInLabel(offset: 2)),
        (#"a.b\"#, .badEscape(offset: 3)),
        (#"a\999.b"#, .badEscape(offset: 1)),
        ("bücher.example", .notASCII(offset: 1)),
        ("a b.example", .badCharacter(offset: 1)),
        ("https://example.com", .badCharacter(offset: 5)),
        ("x." + String(repeating: "a", count: 64), .labelTooLong(offset: 2)),
    ])
    func `a pattern that cannot be read is refused, saying where`(text: String, error: PatternError)
    {
        #expect(throws: error) { try NamePattern(text) }
    }

    @Test func `a pattern longer than any name is refused`() throws {
        let label = String(repeating: "a", count: 63)
        let text = "\(label).\(label).\(label).\(label)"
        #expect(throws: PatternError.tooLong(offset: 192)) { try NamePattern(text) }
    }

    @Test func `the most specific comes first, label by label from the right`() throws {
        let rising = try [
            "a.example.com", "a?.example.com", "??.example.com", "a*.example.com",
            "x.*.example.com", "example.com", "x.**.example.com", "*.example.com", "*.com", "*.*om",
        ].map(pattern)
        for (index, one) in rising.enumerated() {
            for other in rising[(index + 1)...] {
                #expect(one.isMoreSpecific(than: other), "\(one) before \(other)")
                #expect(!other.isMoreSpecific(than: one), "\(other) after \(one)")
            }
        }
    }

    @Test func `for the name itself a literal beats the leading wildcard`() throws {
        let (literal, wildcard) = (try pattern("example.com"), try pattern("*.example.com"))
        #expect(literal.isMoreSpecific(than: wildcard))
        #expect(!wildcard.isMoreSpecific(than: literal))
        #expect(!literal.isMoreSpecific(than: literal))
    }

    @Test func `patterns are equal by what they match, not by their case`() throws {
        #expect(try pattern("*.Example.com") == pattern("**.example.COM"))
        #expect(try pattern("a.**.**.b") == pattern("a.**.b"))
        #expect(try pattern("a.b") != pattern("*.a.b"))
    }

    @Test(arguments: [
        ("*.example.com", "example.com"), ("a.*.example.com", "example.com"), ("**", "."),
        ("db-?.corp", "corp"), ("www.example.com", "www.example.com"),
    ])
    func `the literal suffix is what all matching names end with`(text: String, suffix: String)
        throws
    {
        #expect(try pattern(text).literalSuffix == Name(text: suffix))
    }
}
