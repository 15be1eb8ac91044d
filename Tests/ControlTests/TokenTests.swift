import Control
import Testing

@Suite("Tokens")
struct TokenTests {
    static let secret = (0..<32).map { UInt8($0 &* 7) }
    static let fingerprint = (0..<32).map { UInt8(255 - $0) }

    private func token(
        _ kind: Token.Kind = .gateway,
        fingerprint: [UInt8]? = fingerprint
    ) throws -> Token {
        let url = try #require(PortalURL("https://portal.example.com:8443"))
        return try #require(
            Token(kind: kind, url: url, fingerprint: fingerprint, secret: Self.secret)
        )
    }

    @Test("a token is read back, with white space around it", arguments: Token.Kind.allCases)
    func roundTrip(kind: Token.Kind) throws {
        for fingerprint in [Self.fingerprint, nil] {
            let token = try token(kind, fingerprint: fingerprint)
            #expect(token.text.hasPrefix("culvert_\(kind.rawValue)"))
            #expect(try Token(parsing: " \(token.text)\n") == token)
        }
    }

    @Test("no description shows the secret")
    func description() throws {
        let token = try token()
        var dumped = ""
        dump(token, to: &dumped)
        for text in ["\(token)", "\([token])", String(reflecting: token), dumped] {
            #expect(text.contains("portal.example.com"))
            #expect(!text.contains("28, 35"))
            #expect(!text.contains("culvert_"))
        }
    }

    @Test("every single mistyped or missing character is found")
    func damaged() throws {
        let text = try token().text
        for index in text.indices {
            var short = text
            short.remove(at: index)
            #expect(throws: Token.ParseError.self) { try Token(parsing: short) }
            var other = text
            let replacement = text[index] == "A" ? "B" : "A"
            other.replaceSubrange(index...index, with: replacement)
            #expect(throws: Token.ParseError.self) { try Token(parsing: other) }
        }
    }

    @Test("what is wrong is said in words")
    func sentences() throws {
        let text = try token().text
        #expect(throws: Token.ParseError.notAToken) { try Token(parsing: "") }
        #expect(throws: Token.ParseError.notAToken) { try Token(parsing: "secret") }
        #expect(throws: Token.ParseError.damaged) { try Token(parsing: "culvert_") }
        #expect(throws: Token.ParseError.damaged) { try Token(parsing: "culvert_g") }
        #expect(throws: Token.ParseError.unknownKind("z")) {
            try Token(parsing: text.replacing("culvert_g", with: "culvert_z"))
        }
        #expect(throws: Token.ParseError.badCharacter(position: 13)) {
            try Token(parsing: String(text.prefix(12)) + " " + text.dropFirst(13))
        }
        #expect(throws: Token.ParseError.damaged) { try Token(parsing: String(text.dropLast(3))) }
        let errors: [Token.ParseError] = [
            .notAToken, .unknownKind("z"), .badCharacter(position: 3), .damaged,
            .unknownVersion(2), .badURL,
        ]
        for error in errors { #expect(error.sentence.hasSuffix(".")) }
    }

    @Test("secrets and fingerprints have 32 bytes")
    func sizes() throws {
        let url = try #require(PortalURL("https://p"))
        #expect(Token(kind: .api, url: url, fingerprint: nil, secret: [1]) == nil)
        #expect(Token(kind: .api, url: url, fingerprint: [1], secret: Self.secret) == nil)
    }
}
