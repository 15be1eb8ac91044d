internal import Bytes
internal import Ciphers
internal import Testing

/// Expected values come from Python's hmac and hashlib.
@Suite struct ChainingKeyTests {
    private let first = "3386e284e63edc5f32df2d0c470ebcd5db42748045a60897cbf50d14b22d3522"
    private let second = "96db296994bf1c7e60fa955add918d6210eafbdbf233bb30592e8e859da56565"
    private let third = "118e42b8b3461ed51ab10a262ec65d362e89720eafd2e1d97855baa4c43ac059"

    @Test func `HMAC-BLAKE2s is that of another implementation`() {
        let code = HMACBLAKE2s.code(of: counting(77).rawSpan, key: counting(32).rawSpan)
        let expected = "de89a82a87de22d03601bf8c56c68b431a55ab3323c2768b3ef100bf4e3a27ba"
        #expect(hexadecimal(code.rawSpan) == expected)
    }

    @Test func `KDF1 replaces the chaining key`() {
        var chain = ChainingKey(Bytes32(copying: counting(32).rawSpan))
        chain.mix(counting(40).rawSpan)
        let key = hexadecimal(chain.bytes)
        #expect(key == first)
    }

    @Test func `KDF2 gives one key besides`() {
        var chain = ChainingKey(Bytes32(copying: counting(32).rawSpan))
        let derived = chain.derive(counting(40).rawSpan)
        let keys = [hexadecimal(chain.bytes), hexadecimal(derived.bytes)]
        #expect(keys == [first, second])
    }

    @Test func `KDF3 gives two keys besides`() {
        var chain = ChainingKey(Bytes32(copying: counting(32).rawSpan))
        var middle = Secret()
        let derived = chain.derive(counting(40).rawSpan, middle: &middle)
        let keys = [
            hexadecimal(chain.bytes), hexadecimal(middle.bytes), hexadecimal(derived.bytes),
        ]
        #expect(keys == [first, second, third])
    }

    @Test func `a copy goes its own way`() {
        var chain = ChainingKey(Bytes32(copying: counting(32).rawSpan))
        let before = chain.copy()
        chain.mix(counting(40).rawSpan)
        let kept = hexadecimal(before.bytes)
        #expect(kept == hexadecimal(counting(32).rawSpan))
    }
}
