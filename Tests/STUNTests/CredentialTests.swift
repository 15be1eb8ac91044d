internal import Bytes
internal import STUN
internal import Testing

@Suite struct CredentialTests {
    @Test func `a nonce tells features in its first 13 bytes, the first bit to the left`() {
        #expect(SecurityFeatures.passwordAlgorithms.noncePrefix == "obMatJos2gAAA")
        #expect(
            SecurityFeatures([.passwordAlgorithms, .userAnonymity]).noncePrefix == "obMatJos2wAAA"
        )
        #expect(SecurityFeatures([]).noncePrefix == "obMatJos2AAAA")
        for features: SecurityFeatures in [[], .passwordAlgorithms, .userAnonymity] {
            let nonce = Array((features.noncePrefix + "rest").utf8)
            #expect(SecurityFeatures(nonce: nonce) == features)
        }
        for bad in ["", "obMatJos", "obMatJos2AAA", "obMatJos2AA-A", "obmatJos2AAAA"] {
            #expect(SecurityFeatures(nonce: Array(bad.utf8)) == nil, "\(bad)")
        }
    }

    /// RFC 8489 9.2.4: what was offered must come back, or somebody on the way took it out.
    @Test(
        arguments: [
            ("told, nothing said: MD5", true, nil, nil, PasswordAlgorithm.md5),
            ("told, as offered", true, [2, 1], 2, .sha256),
            ("told, the other", true, [2, 1], 1, .md5),
            ("told, only the choice", true, nil, 2, nil),
            ("told, only the offer", true, [2, 1], nil, nil),
            ("told, another offer", true, [1], 1, nil),
            ("told, not on offer", true, [2, 1], 9, nil),
            ("not told: MD5", false, nil, nil, .md5),
        ] as [(String, Bool, [UInt16]?, UInt16?, PasswordAlgorithm?)]
    )
    func `an algorithm counts only as it was offered`(
        name: String,
        isTold: Bool,
        offer: [UInt16]?,
        choice: UInt16?,
        expected: PasswordAlgorithm?
    ) throws {
        var writer = STUNWriter(.request, .allocate, TransactionID(high: 0, low: 0))
        writer.append(.nonce, isTold ? SecurityFeatures.passwordAlgorithms.noncePrefix : "nonce")
        if let offer { writer.append(offer.map { PasswordAlgorithm(rawValue: $0) }) }
        if let choice { writer.append(PasswordAlgorithm(rawValue: choice)) }
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.algorithm(offered: [.sha256, .md5]) == expected, "\(name)")
    }

    @Test(arguments: [[0, 1, 0], [0, 2, 0, 4, 1], [0, 2, 0, 4, 0, 0, 0, 0, 0, 1, 0]])
    func `a list of algorithms that is cut is none`(list: [UInt8]) throws {
        var writer = STUNWriter(.failure, .allocate, TransactionID(high: 0, low: 0))
        writer.append(.passwordAlgorithms, list)
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.passwordAlgorithms == nil)
    }

    @Test func `parameters of an algorithm are skipped`() throws {
        var writer = STUNWriter(.failure, .allocate, TransactionID(high: 0, low: 0))
        writer.append(.passwordAlgorithms, [0, 9, 0, 1, 7, 0, 0, 0, 0, 2, 0, 0])
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.passwordAlgorithms == [PasswordAlgorithm(rawValue: 9), .sha256])
    }

    @Test func `a password is never printed`() {
        let credentials = LongTermCredentials(username: "alice", password: "hidden")
        #expect(!"\(credentials)".contains("hidden"))
        #expect(!"\(SharedSecret("hidden"))".contains("hidden"))
    }

    @Test func `an unknown algorithm makes no key`() {
        let credentials = LongTermCredentials(username: "alice", password: "x")
        #expect(credentials.key(realm: "r", PasswordAlgorithm(rawValue: 7)) == nil)
        #expect(credentials.key(realm: "r", .md5)?.count == 16)
        #expect(credentials.key(realm: "r", .sha256)?.count == 32)
    }
}
