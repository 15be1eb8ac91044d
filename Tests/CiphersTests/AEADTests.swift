internal import Bytes
@testable internal import Ciphers
internal import Testing

@Suite struct AEADTests {
    private let sunscreen = [UInt8](
        """
        Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
        future, sunscreen would be it.
        """.utf8
    )
    private let additional = bytes("50515253c0c1c2c3c4c5c6c7")

    @Test func `the vector of RFC 8439 2.8.2 seals and opens`() throws {
        let key = counting(32, from: 0x80)
        let nonce = InlineArray<12, UInt8>(copying: bytes("070000004041424344454647").rawSpan)
        let sealed = ChaCha20Poly1305.seal(
            sunscreen.rawSpan,
            key: key.rawSpan,
            nonce: nonce,
            additional: additional.rawSpan
        )
        let expected = """
            d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
            3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
            92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
            3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691
            """
        #expect(hexadecimal(sealed.rawSpan) == expected)
        let opened = try ChaCha20Poly1305.open(
            sealed.rawSpan,
            key: key.rawSpan,
            nonce: nonce,
            additional: additional.rawSpan
        )
        #expect(opened == sunscreen)
    }

    @Test func `the vector of RFC 8439 A.5 opens`() throws {
        let sealed = bytes(
            """
            64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2\
            4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf\
            332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855\
            9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4\
            b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e\
            af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a\
            0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10\
            49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29\
            a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38
            """
        )
        let key = bytes("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
        let opened = try ChaCha20Poly1305.open(
            sealed.rawSpan,
            key: key.rawSpan,
            nonce: InlineArray(copying: bytes("000000000102030405060708").rawSpan),
            additional: bytes("f33388860000000000004e91").rawSpan
        )
        let text = String(decoding: opened, as: UTF8.self)
        #expect(text.hasPrefix("Internet-Drafts are draft documents"))
        #expect(text.hasSuffix("/\u{201c}work in progress./\u{201d}"))
    }

    @Test func `HChaCha20 has the vector of the XChaCha draft, 2.2.1`() throws {
        let subkey = XChaCha20Poly1305.hChaCha20(
            counting(32).rawSpan,
            bytes("000000090000004a0000000031415927").rawSpan
        )
        let text = hexadecimal(subkey.bytes)
        #expect(text == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")
    }

    @Test func `the vector of the XChaCha draft, A.3.1, seals and opens`() throws {
        let key = counting(32, from: 0x80)
        let nonce = InlineArray<24, UInt8>(copying: counting(24, from: 0x40).rawSpan)
        let sealed = XChaCha20Poly1305.seal(
            sunscreen.rawSpan,
            key: key.rawSpan,
            nonce: nonce,
            additional: additional.rawSpan
        )
        let expected = """
            bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
            731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
            2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
            21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49
            """
        #expect(hexadecimal(sealed.rawSpan) == expected)
        let opened = try XChaCha20Poly1305.open(
            sealed.rawSpan,
            key: key.rawSpan,
            nonce: nonce,
            additional: additional.rawSpan
        )
        #expect(opened == sunscreen)
    }

    @Test func `one bit changed anywhere is refused`() {
        let key = counting(32)
        let nonce = InlineArray<12, UInt8>(repeating: 7)
        let sealed = ChaCha20Poly1305.seal(
            counting(20).rawSpan,
            key: key.rawSpan,
            nonce: nonce,
            additional: additional.rawSpan
        )
        for bit in 0..<sealed.count * 8 {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: AuthenticationError()) {
                try ChaCha20Poly1305.open(
                    changed.rawSpan,
                    key: key.rawSpan,
                    nonce: nonce,
                    additional: additional.rawSpan
                )
            }
        }
        #expect(throws: AuthenticationError()) {
            try ChaCha20Poly1305.open(sealed.rawSpan, key: key.rawSpan, nonce: nonce)
        }
    }

    @Test func `less than a tag is refused`() {
        #expect(throws: AuthenticationError()) {
            try ChaCha20Poly1305.open(
                counting(15).rawSpan,
                key: counting(32).rawSpan,
                nonce: InlineArray(repeating: 0)
            )
        }
    }
}
