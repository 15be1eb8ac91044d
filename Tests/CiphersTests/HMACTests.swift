internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct HMACTests {
    private let message = [UInt8]("what do ya want for nothing?".utf8)
    private let key = [UInt8]("Jefe".utf8)

    @Test func `HMAC-SHA1 has the vectors of RFC 2202`() {
        let code = HMAC.sha1(message.rawSpan, key: key.rawSpan)
        #expect(hexadecimal(code.rawSpan) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        let long = HMAC.sha1(
            [UInt8]("Test Using Larger Than Block-Size Key - Hash Key First".utf8).rawSpan,
            key: [UInt8](repeating: 0xaa, count: 80).rawSpan
        )
        #expect(hexadecimal(long.rawSpan) == "aa4ae5e15272d00e95705637ce8a3b55ed402112")
    }

    @Test func `HMAC-SHA256 has the vector of RFC 4231`() {
        let code = HMAC.sha256(message.rawSpan, key: key.rawSpan)
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        #expect(hexadecimal(code.rawSpan) == expected)
    }

    @Test func `an empty key and message have a code of their own`() {
        _ = HMAC.sha1(message.rawSpan, key: key.rawSpan)
        let code = HMAC.sha1(RawSpan(), key: RawSpan())
        #expect(hexadecimal(code.rawSpan) == "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d")
    }
}
