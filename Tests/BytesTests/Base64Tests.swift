import Bytes
import Testing

@Suite("Base64")
struct Base64Tests {
    @Test("base64 follows RFC 4648 section 10, and each text is the only one for its bytes")
    func base64() throws {
        let vectors = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ]
        for (plain, text) in vectors {
            #expect(Base64.encode(plain.utf8, as: .standard) == text)
            #expect(try Base64.decode(text, as: .standard) == Array(plain.utf8))
        }
        #expect(Base64.encode([0xfb, 0xff], as: .standard) == "+/8=")
        #expect(Base64.encode([0xfb, 0xff], as: .url) == "-_8")
        #expect(throws: Base64.DecodingError.badLength(4)) {
            try Base64.decode("Zh==", as: .standard)
        }
        #expect(throws: Base64.DecodingError.badCharacter(offset: 1)) {
            try Base64.decode("Z_8=", as: .standard)
        }
        for text in ["Z", "Zg", "Zg=", "=", "====", "Zg==Zg=="] {
            #expect(throws: Base64.DecodingError.self, "\(text)") {
                try Base64.decode(text, as: .standard)
            }
        }
    }
}
