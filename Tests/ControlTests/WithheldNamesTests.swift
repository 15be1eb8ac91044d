import Testing

@testable import Control

@Suite("Withheld names")
struct WithheldNamesTests {
    @Test("SipHash-2-4 of 128 bits gives the reference implementation's first vectors")
    func vectors() {
        let key = (UInt64(0x0706_0504_0302_0100), UInt64(0x0f0e_0d0c_0b0a_0908))
        #expect(
            SipHash.hash([], key: key) == [
                0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93,
            ]
        )
        #expect(
            SipHash.hash([0], key: key) == [
                0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45,
            ]
        )
    }

    @Test("a name, everything below it, and another account's have fingerprints of their own")
    func fingerprints() throws {
        let salt = try #require(KeyText(bytes: Array(repeating: 7, count: 32)))
        let other = try #require(KeyText(bytes: Array(repeating: 8, count: 32)))
        let name = WithheldNames.fingerprint(of: "git.example", isSuffix: false, salt: salt)
        #expect(name != WithheldNames.fingerprint(of: "git.example", isSuffix: true, salt: salt))
        #expect(name != WithheldNames.fingerprint(of: "git.example", isSuffix: false, salt: other))
        #expect(WithheldNames.fingerprint(in: WithheldNames.resource(name)) == name)
        #expect(WithheldNames.fingerprint(in: "r1") == nil)
    }
}
