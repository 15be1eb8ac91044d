internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct BLAKE2sTests {
    @Test func `abc has the digest of RFC 7693, appendix B`() {
        let digest = BLAKE2s.hash([UInt8]("abc".utf8).rawSpan)
        let expected = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"
        #expect(hexadecimal(digest.rawSpan) == expected)
    }

    /// Hashes of many sizes, with and without key, hashed together.
    @Test func `the self-test of RFC 7693, appendix E, passes`() {
        var whole = BLAKE2s()
        for digestByteCount in [16, 20, 28, 32] {
            for byteCount in [0, 3, 64, 65, 255, 1024] {
                let message = sequence(byteCount, seed: UInt32(byteCount))
                let key = sequence(digestByteCount, seed: UInt32(digestByteCount))
                for key in [[], key] {
                    var hash = BLAKE2s(digestByteCount: digestByteCount, key: key.rawSpan)
                    hash.update(message.rawSpan)
                    let digest = hash.finish()
                    whole.update(digest.rawSpan.extracting(first: digestByteCount))
                }
            }
        }
        let digest = whole.finish()
        let expected = "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe"
        #expect(hexadecimal(digest.rawSpan) == expected)
    }

    @Test(arguments: [
        (0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49"),
        (1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1"),
        (64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4"),
        (65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8"),
        (255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd"),
    ])
    func `keyed digests are those of the reference vectors`(byteCount: Int, expected: String) {
        var hash = BLAKE2s(key: counting(32).rawSpan)
        hash.update(counting(byteCount).rawSpan)
        let digest = hash.finish()
        #expect(hexadecimal(digest.rawSpan) == expected)
    }

    @Test func `a message in pieces has the digest of the whole`() {
        let message = counting(200)
        let whole = BLAKE2s.hash(message.rawSpan)
        for cut in [1, 63, 64, 65, 128, 199] {
            let pieces = BLAKE2s.hash(
                message.rawSpan.extracting(first: cut),
                message.rawSpan.extracting(droppingFirst: cut)
            )
            #expect(hexadecimal(pieces.rawSpan) == hexadecimal(whole.rawSpan), "cut at \(cut)")
        }
    }

    @Test func `a code of 16 bytes is that of another implementation`() {
        let code = BLAKE2s.mac(counting(100).rawSpan, key: counting(32).rawSpan)
        #expect(hexadecimal(code.rawSpan) == "0b67d33f8b859c3157fbabd9e6e47ed0")
    }

    /// `selftest_seq` of the RFC.
    private func sequence(_ count: Int, seed: UInt32) -> [UInt8] {
        var (a, b) = (0xdead_4bad &* seed, UInt32(1))
        return (0..<count).map { _ in
            (a, b) = (b, a &+ b)
            return UInt8(b >> 24)
        }
    }
}
