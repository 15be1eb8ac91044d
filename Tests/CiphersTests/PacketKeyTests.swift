internal import Bytes
internal import Ciphers
internal import Testing

@Suite struct PacketKeyTests {
    /// The engines that this machine has.
    private static let engines = PacketKey.Engine.allCases.filter(\.isAvailable)
    private let counter: UInt64 = 0x0102_0304_0506_0708

    /// Tags of messages of these sizes, whose bytes are their offsets modulo 251, from Python's
    /// cryptography.
    @Test(
        arguments: engines,
        [
            (0, "2752c39e5b6b57e6b8f924db3698b1ba"), (1, "bd7d3026c65a64c2c836f0e815d51b91"),
            (15, "16ae7ca48990c750140a23b9c5a75db9"), (16, "f5e6880422c677d9d38f733eef6fb53d"),
            (64, "509e0f009b369da8c35e7d9441dcba75"), (255, "870424c00cd39213b96fd40a9d6bd90f"),
            (1424, "9f72da4bec0715e51ea82ac124bcee0b"),
        ]
    )
    func `tags are those of another implementation`(
        engine: PacketKey.Engine,
        vector: (byteCount: Int, tag: String)
    ) {
        let key = PacketKey(secret(counting(32)), engine: engine)
        var text = message(vector.byteCount) + [UInt8](repeating: 0, count: 16)
        seal(&text, with: key, counter: counter)
        #expect(hexadecimal(text.rawSpan.extracting(last: 16)) == vector.tag)
    }

    @Test func `all engines and both ways of calling give the same bytes`() throws {
        for byteCount in Array(0...130) + [1_279, 1_280, 1_424, 8_192, 65_535] {
            let plain = message(byteCount)
            let reference = ChaCha20Poly1305.seal(
                plain.rawSpan,
                key: counting(32).rawSpan,
                nonce: InlineArray(copying: (bytes("00000000") + bytes("0807060504030201")).rawSpan)
            )
            for engine in Self.engines {
                let key = PacketKey(secret(counting(32)), engine: engine)
                var inPlace = plain + [UInt8](repeating: 0, count: 16)
                seal(&inPlace, with: key, counter: counter)
                #expect(inPlace == reference, "\(engine), \(byteCount) bytes in place")

                var apart = Block(byteCount: byteCount + 20)
                var room = apart.mutableBytes(0..<byteCount + 20)
                key.seal(plain.rawSpan, into: &room, counter: counter)
                let sealed = apart.bytes(0..<byteCount + 16).array
                #expect(sealed == reference, "\(engine), \(byteCount) bytes apart")
            }
        }
    }

    @Test(arguments: engines)
    func `what is sealed opens, in place and apart`(engine: PacketKey.Engine) throws {
        let key = PacketKey(secret(counting(32)), engine: engine)
        for byteCount in [0, 1, 16, 31, 64, 100, 1_280] {
            var text = message(byteCount) + [UInt8](repeating: 0, count: 16)
            seal(&text, with: key, counter: 3)
            var room = Block(byteCount: byteCount)
            var plain = room.mutableBytes(0..<byteCount)
            try key.open(text.rawSpan, into: &plain, counter: 3)
            let apart = room.bytes(0..<byteCount).array
            #expect(apart == message(byteCount))

            try open(&text, with: key, counter: 3)
            #expect(Array(text.prefix(byteCount)) == message(byteCount))
        }
    }

    @Test(arguments: engines)
    func `refused bytes leave nothing behind`(engine: PacketKey.Engine) {
        let key = PacketKey(secret(counting(32)), engine: engine)
        var sealed = message(100) + [UInt8](repeating: 0, count: 16)
        seal(&sealed, with: key, counter: 9)
        for offset in [0, 50, 99, 100, 115] {
            var changed = sealed
            changed[offset] ^= 0x40
            var room = Block(byteCount: 100)
            var plain = room.mutableBytes(0..<100)
            let isOpened = (try? key.open(changed.rawSpan, into: &plain, counter: 9)) != nil
            let left = room.bytes(0..<100).array
            #expect(!isOpened)
            #expect(left.allSatisfy { $0 == 0 })
        }
        var text = sealed
        #expect(throws: AuthenticationError()) { try open(&text, with: key, counter: 8) }
        #expect(text.prefix(100).allSatisfy { $0 == 0 })
        #expect(throws: AuthenticationError()) {
            var short = [UInt8](repeating: 0, count: 15)
            try open(&short, with: key, counter: 0)
        }
    }

    @Test(arguments: engines)
    func `one key seals and opens by turns`(engine: PacketKey.Engine) throws {
        let key = PacketKey(secret(counting(32)), engine: engine)
        for counter in 0..<20 as Range<UInt64> {
            var text = message(77) + [UInt8](repeating: 0, count: 16)
            seal(&text, with: key, counter: counter)
            try open(&text, with: key, counter: counter)
            #expect(Array(text.prefix(77)) == message(77))
        }
    }

    private func message(_ byteCount: Int) -> [UInt8] { (0..<byteCount).map { UInt8($0 % 251) } }

    private func seal(_ text: inout [UInt8], with key: borrowing PacketKey, counter: UInt64) {
        var block = Block(byteCount: text.count)
        var span = block.mutableBytes(0..<text.count)
        span.write(text.rawSpan, at: 0)
        key.seal(&span, counter: counter)
        text = block.bytes(0..<text.count).array
    }

    private func open(
        _ text: inout [UInt8],
        with key: borrowing PacketKey,
        counter: UInt64
    ) throws(AuthenticationError) {
        var block = Block(byteCount: text.count)
        var span = block.mutableBytes(0..<text.count)
        span.write(text.rawSpan, at: 0)
        defer { text = block.bytes(0..<block.byteCount).array }
        try key.open(&span, counter: counter)
    }
}
