internal import Bytes

/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): a nonce of 24 bytes, long enough to be drawn.
public enum XChaCha20Poly1305 {
    /// Seals `plain` and vouches for `additional`; the tag is at the end.
    public static func seal(
        _ plain: RawSpan,
        key: RawSpan,
        nonce: InlineArray<24, UInt8>,
        additional: RawSpan = RawSpan()
    ) -> [UInt8] {
        let subkey = hChaCha20(key, nonce.rawSpan.extracting(first: 16))
        return ChaCha20Poly1305.seal(
            plain,
            key: subkey.bytes,
            nonce: shortNonce(nonce),
            additional: additional
        )
    }

    /// Opens `sealed`, if it and `additional` are what the owner of the key made.
    public static func open(
        _ sealed: RawSpan,
        key: RawSpan,
        nonce: InlineArray<24, UInt8>,
        additional: RawSpan = RawSpan()
    ) throws(AuthenticationError) -> [UInt8] {
        let subkey = hChaCha20(key, nonce.rawSpan.extracting(first: 16))
        return try ChaCha20Poly1305.open(
            sealed,
            key: subkey.bytes,
            nonce: shortNonce(nonce),
            additional: additional
        )
    }

    /// The draft's section 2.3: four zero bytes and the last eight of the nonce.
    private static func shortNonce(_ nonce: InlineArray<24, UInt8>) -> InlineArray<12, UInt8> {
        InlineArray { $0 < 4 ? 0 : nonce[12 + $0] }
    }

    /// The draft's section 2.2: the key that the first 16 bytes of the nonce select.
    static func hChaCha20(_ key: RawSpan, _ nonce: RawSpan) -> Secret {
        var state = InlineArray<16, UInt32>(repeating: 0)
        (state[0], state[1], state[2], state[3]) = (
            0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574
        )
        for index in 0..<8 { state[4 + index] = key.littleEndianUInt32(at: 4 * index) }
        for index in 0..<4 { state[12 + index] = nonce.littleEndianUInt32(at: 4 * index) }
        for _ in 0..<10 {
            for column in 0..<4 {
                quarterRound(&state, column, 4 + column, 8 + column, 12 + column)
            }
            quarterRound(&state, 0, 5, 10, 15)
            quarterRound(&state, 1, 6, 11, 12)
            quarterRound(&state, 2, 7, 8, 13)
            quarterRound(&state, 3, 4, 9, 14)
        }
        var subkey = Secret()
        var bytes = subkey.mutableBytes
        for index in 0..<4 {
            bytes.storeLittleEndian(state[index], at: 4 * index)
            bytes.storeLittleEndian(state[12 + index], at: 16 + 4 * index)
        }
        return subkey
    }

    /// RFC 8439 section 2.1.
    private static func quarterRound(
        _ state: inout InlineArray<16, UInt32>,
        _ a: Int,
        _ b: Int,
        _ c: Int,
        _ d: Int
    ) {
        func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 {
            value << bits | value >> (32 - bits)
        }
        state[a] &+= state[b]
        state[d] = rotate(state[d] ^ state[a], 16)
        state[c] &+= state[d]
        state[b] = rotate(state[b] ^ state[c], 12)
        state[a] &+= state[b]
        state[d] = rotate(state[d] ^ state[a], 8)
        state[c] &+= state[d]
        state[b] = rotate(state[b] ^ state[c], 7)
    }
}
