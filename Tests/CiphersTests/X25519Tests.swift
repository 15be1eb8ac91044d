internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct X25519Tests {
    @Test(arguments: [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
        ),
    ])
    func `the vectors of RFC 7748 5.2 hold`(scalar: String, point: String, expected: String) {
        let shared = X25519.sharedSecret(secret(bytes(scalar)), bytes(point).rawSpan)
        let text = text(shared)
        #expect(text == expected)
    }

    @Test func `the iterated vectors of RFC 7748 5.2 hold`() {
        var scalar = [9] + [UInt8](repeating: 0, count: 31)
        var point = scalar
        var seen: [Int: String] = [:]
        for step in 1...1_000 {
            guard let shared = X25519.sharedSecret(secret(scalar), point.rawSpan) else { break }
            point = scalar
            scalar = shared.bytes.array
            seen[step] = hexadecimal(scalar.rawSpan)
        }
        #expect(seen[1] == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        #expect(seen[1_000] == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    }

    @Test func `a public key is the base point's multiple`() {
        let own = X25519.publicKey(of: secret(counting(32, from: 1)))
        let expected = "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
        #expect(hexadecimal(own.rawSpan) == expected)
    }

    @Test(arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ])
    func `a point of small order shares no secret`(point: String) {
        let shared = X25519.sharedSecret(secret(counting(32)), bytes(point).rawSpan)
        let text = text(shared)
        #expect(text == nil)
    }

    @Test func `a key of another size shares no secret`() {
        let text = text(X25519.sharedSecret(secret(counting(32)), counting(31).rawSpan))
        #expect(text == nil)
    }

    private func text(_ secret: consuming Secret?) -> String? {
        guard let secret = consume secret else { return nil }
        return hexadecimal(secret.bytes)
    }
}
