internal import Bytes
internal import Ciphers
internal import IP
internal import STUN
internal import Testing

/// RFC 5769, and RFC 8489 appendix B.1 with erratum 6268.
@Suite struct VectorTests {
    static let request = bytes(
        """
        00 01 00 58  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae
        80 22 00 10  53 54 55 4e  20 74 65 73  74 20 63 6c  69 65 6e 74
        00 24 00 04  6e 00 01 ff  80 29 00 08  93 2f f9 b1  51 26 3b 36
        00 06 00 09  65 76 74 6a  3a 68 36 76  59 20 20 20
        00 08 00 14  9a ea a7 0c  bf d8 cb 56  78 1e f2 b5  b2 d3 f2 49  c1 b5 71 a2
        80 28 00 04  e5 7a 3b cf
        """
    )
    static let ipv4Response = bytes(
        """
        01 01 00 3c  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae
        80 22 00 0b  74 65 73 74  20 76 65 63  74 6f 72 20
        00 20 00 08  00 01 a1 47  e1 12 a6 43
        00 08 00 14  2b 91 f5 99  fd 9e 90 c3  8c 74 89 f9  2a f9 ba 53  f0 6b e7 d7
        80 28 00 04  c0 7d 4c 96
        """
    )
    static let ipv6Response = bytes(
        """
        01 01 00 48  21 12 a4 42  b7 e7 a7 01  bc 34 d6 86  fa 87 df ae
        80 22 00 0b  74 65 73 74  20 76 65 63  74 6f 72 20
        00 20 00 14  00 02 a1 47  01 13 a9 fa  a5 d3 f1 79  bc 25 f4 b5  be d2 b9 d9
        00 08 00 14  a3 82 95 4e  4b e6 7b f1  17 84 c9 7c  82 92 c2 75  bf e3 ed 41
        80 28 00 04  c8 fb 0b 4c
        """
    )
    static let longTerm = bytes(
        """
        00 01 00 60  21 12 a4 42  78 ad 34 33  c6 ad 72 c0  29 da 41 2e
        00 06 00 12  e3 83 9e e3  83 88 e3 83  aa e3 83 83  e3 82 af e3  82 b9 00 00
        00 15 00 1c  66 2f 2f 34  39 39 6b 39  35 34 64 36  4f 4c 33 34  6f 4c 39 46
                     53 54 76 79  36 34 73 41
        00 14 00 0b  65 78 61 6d  70 6c 65 2e  6f 72 67 00
        00 08 00 14  f6 70 24 65  6d d6 4a 3e  02 b8 e0 71  2e 85 c9 a2  8c a8 96 66
        """
    )

    private let password = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)
    private let matrix = LongTermCredentials(username: "マトリックス", password: "TheMatrIX")

    @Test func `the sample request is read, and shows its integrity`() throws {
        let message = try STUNMessage(Self.request.rawSpan)
        #expect(message.method == .binding)
        #expect(message.messageClass == .request)
        #expect(message.transaction == TransactionID(high: 0xb7e7_a701, low: 0xbc34_d686_fa87_dfae))
        #expect(message.text(.software) == "STUN test client")
        #expect(message.text(.username) == "evtj:h6vY")
        #expect(message.isAuthentic(.sha1, key: password.rawSpan) == true)
        #expect(message.isAuthentic(.sha256, key: password.rawSpan) == false)
        #expect(message.isAuthentic(.sha1, key: Array("other".utf8).rawSpan) == false)
        let priority = STUNAttributeType(rawValue: 0x24)
        #expect(message.unknownAttributes(besides: [.username]) == [priority])
    }

    @Test func `the sample responses tell the mapped address of either family`() throws {
        let four = try STUNMessage(Self.ipv4Response.rawSpan)
        #expect(four.messageClass == .success)
        #expect(four.mappedAddress == endpoint("192.0.2.1:32853"))
        #expect(four.isAuthentic(.sha1, key: password.rawSpan) == true)
        let six = try STUNMessage(Self.ipv6Response.rawSpan)
        #expect(six.mappedAddress == endpoint("[2001:db8:1234:5678:11:2233:4455:6677]:32853"))
        #expect(six.isAuthentic(.sha1, key: password.rawSpan) == true)
    }

    @Test func `the long-term sample shows its integrity under the MD5 key`() throws {
        let message = try STUNMessage(Self.longTerm.rawSpan)
        #expect(message.text(.username) == matrix.username)
        #expect(message.text(.realm) == "example.org")
        let key = try #require(matrix.key(realm: "example.org", .md5))
        #expect(message.isAuthentic(.sha1, key: key.rawSpan) == true)
    }

    @Test func `the sample with user hash and SHA-256 is written byte by byte`() throws {
        var writer = STUNWriter(
            .request,
            .binding,
            TransactionID(high: 0x78ad_3433, low: 0xc6ad_72c0_29da_412e)
        )
        let realm = "example.org"
        writer.append(
            .userHash,
            LongTermCredentials.userHash(matrix.username, realm: realm)
        )
        writer.append(.nonce, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
        writer.append(.realm, realm)
        writer.append(PasswordAlgorithm.sha256)
        let key = try #require(matrix.key(realm: realm, .sha256))
        writer.seal(.sha256, key: key.rawSpan)
        let userHash = bytes(
            """
            4a 3c f3 8f ef 69 92 bd a9 52 c6 78 04 17 da 0f
            24 81 94 15 56 9e 60 b2 05 c4 6e 41 40 7f 17 04
            """
        )
        let integrity = bytes(
            """
            b5 c7 bf 00 5b 6c 52 a2 1c 51 c5 e8 92 f8 19 24
            13 62 96 cb 92 7c 43 14 93 09 27 8c c6 51 8e 65
            """
        )
        #expect(writer.bytes.count == 164)
        #expect(Array(writer.bytes[2..<4]) == [0, 0x90])
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.array(.userHash) == userHash)
        #expect(Array(writer.bytes.suffix(32)) == integrity)
        #expect(message.isAuthentic(.sha256, key: key.rawSpan) == true)
        #expect(message.passwordAlgorithm == .sha256)
    }

    @Test func `the long-term sample is written byte by byte`() throws {
        let sample = try STUNMessage(Self.longTerm.rawSpan)
        var writer = STUNWriter(.request, .binding, sample.transaction)
        writer.append(.username, matrix.username)
        writer.append(.nonce, "f//499k954d6OL34oL9FSTvy64sA")
        writer.append(.realm, "example.org")
        let key = try #require(matrix.key(realm: "example.org", .md5))
        writer.seal(.sha1, key: key.rawSpan)
        #expect(writer.bytes == Self.longTerm)
    }

    /// The samples pad with blanks, so only what the padding has no part in is compared.
    @Test func `a fingerprint is that of the samples`() throws {
        for sample in [Self.request, Self.ipv4Response, Self.ipv6Response] {
            var changed = sample
            changed[30] ^= 1
            #expect(throws: STUNError.badFingerprint) {
                _ = try STUNMessage(changed.rawSpan).method
            }
        }
    }

    @Test func `credentials of a shared secret are those of common relays`() {
        // As anybody can see: echo -n NAME | openssl dgst -binary -sha1 -hmac SECRET.
        let credentials = SharedSecret("north").credentials(
            for: "ninefingers",
            until: 1_433_895_918
        )
        #expect(credentials.username == "1433895918:ninefingers")
        #expect(credentials.password == "jy8hTxmOO7UtEKXqSkSlvakPVYA=")
        let name = TimeLimitedName(credentials.username)
        #expect(name?.expiry == 1_433_895_918)
        #expect(name?.name == "ninefingers")
        for bad in ["", ":", "x:y", "-1:y", "99999999999999999999:y", "12 :y"] {
            #expect(TimeLimitedName(bad) == nil, "\(bad)")
        }
        #expect(TimeLimitedName("12")?.name == "")
        #expect(TimeLimitedName("12:a:b")?.name == "a:b")
    }
}
