internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct DigestTests {
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a"
        ),
    ])
    func `MD5 has the digests of RFC 1321, appendix A.5`(message: String, expected: String) {
        let digest = MD5.hash([UInt8](message.utf8).rawSpan)
        #expect(hexadecimal(digest.rawSpan) == expected)
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 has the digests of RFC 6234, section 8.5`(message: String, expected: String) {
        let digest = SHA256.hash([UInt8](message.utf8).rawSpan)
        #expect(hexadecimal(digest.rawSpan) == expected)
    }
}
