import Foundation
import IDNA
import Testing

/// A label that no form makes short enough.
private let long = String(repeating: "üaböc", count: 30)

@Suite("International names in the form that DNS carries")
struct IDNATests {
    @Test(
        "names and patterns are turned label by label",
        arguments: [
            ("bücher.example", "xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("**.MÜNCHEN.?*.example", "**.xn--mnchen-3ya.?*.example"),
            ("faß.de", "xn--fa-hia.de"),
            ("ΒΌΛΟΣ.com", "xn--nxasmq6b.com"),
            ("βόλος.com", "xn--nxasmm1c.com"),
            ("bücher。example．com｡", "xn--bcher-kva.example.com."),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("ＡＢＣ.example", "abc.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
            ("Git.Example.com", "Git.Example.com"),
            ("xn--ls8h.la", "xn--ls8h.la"),
        ]
    )
    func turned(text: String, ascii: String) throws {
        #expect(try IDNA.ascii(text) == ascii)
    }

    @Test(
        "what has no form in DNS is named, with the reason",
        arguments: [
            ("*-bücher.example", "*-bücher", IDNAError.Reason.wildcard),
            ("b?cher-ü.example", "b?cher-ü", .wildcard),
            ("a.💩.la", "💩", .disallowed),
            ("＊.example", "＊", .disallowed),
            ("a⒈b.example", "a⒈b", .disallowed),
            ("\u{301}x.example", "\u{301}x", .combining),
            ("aא.example", "aא", .direction),
            ("ü-.example", "ü-", .hyphen),
            (long + ".example", long, .tooLong),
        ]
    )
    func refused(text: String, label: String, reason: IDNAError.Reason) {
        let error = #expect(throws: IDNAError.self) { try IDNA.ascii(text) }
        #expect(error?.label == label)
        #expect(error?.reason == reason)
        #expect(error?.words.isEmpty == false)
    }
}
