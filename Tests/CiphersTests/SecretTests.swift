internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct SecretTests {
    @Test func `taking bytes over wipes where they were`() {
        var bytes = Bytes32(repeating: 0xab)
        let secret = Secret(moving: &bytes)
        let kept = secret.bytes.array
        #expect(kept == [UInt8](repeating: 0xab, count: 32))
        #expect(bytes.rawSpan.array == [UInt8](repeating: 0, count: 32))
    }

    @Test func `a copy has the same bytes`() {
        let secret = Secret(copying: counting(32).rawSpan)
        let copy = secret.copy()
        let isSame = copy.bytes.isEqualInConstantTime(to: secret.bytes)
        #expect(isSame)
    }

    @Test func `comparison sees each byte and the size`() {
        let bytes = counting(32)
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 1
            #expect(!areEqual(bytes, other))
        }
        #expect(areEqual(bytes, bytes))
        #expect(!areEqual(bytes, counting(31)))
        #expect(areEqual([], []))
    }

    private func areEqual(_ first: [UInt8], _ second: [UInt8]) -> Bool {
        first.rawSpan.isEqualInConstantTime(to: second.rawSpan)
    }
}
