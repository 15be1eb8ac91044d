internal import Bytes

/// BLAKE2s (RFC 7693), plain or keyed, with a digest of 1…32 bytes.
public struct BLAKE2s {
    private static var blockByteCount: Int { 64 }

    private var chain: InlineArray<8, UInt32>
    private var block = InlineArray<64, UInt8>(repeating: 0)
    private var filled = 0
    private var total: UInt64 = 0
    private let digestByteCount: Int

    /// - Parameters:
    ///   - digestByteCount: 1…32.
    ///   - key: At most 32 bytes; empty means a plain hash.
    public init(digestByteCount: Int = 32, key: RawSpan = RawSpan()) {
        precondition((1...32).contains(digestByteCount) && key.byteCount <= 32)
        self.digestByteCount = digestByteCount
        chain = Self.initial
        chain[0] ^= 0x0101_0000 ^ UInt32(key.byteCount) << 8 ^ UInt32(digestByteCount)
        guard key.byteCount > 0 else { return }
        for offset in 0..<key.byteCount { block[offset] = key.byte(at: offset) }
        filled = Self.blockByteCount
    }

    /// Takes in more of the message.
    public mutating func update(_ bytes: RawSpan) {
        var offset = 0
        while offset < bytes.byteCount {
            if filled == Self.blockByteCount {
                total &+= UInt64(Self.blockByteCount)
                compress(isLast: false)
                filled = 0
            }
            let count = min(Self.blockByteCount - filled, bytes.byteCount - offset)
            for index in 0..<count { block[filled + index] = bytes.byte(at: offset + index) }
            filled += count
            offset += count
        }
    }

    /// The digest, its first `digestByteCount` bytes; the rest is zero. Nothing may follow.
    public mutating func finish() -> Bytes32 {
        total &+= UInt64(filled)
        for index in filled..<Self.blockByteCount { block[index] = 0 }
        compress(isLast: true)
        var digest = Bytes32(repeating: 0)
        for index in 0..<digestByteCount {
            digest[index] = UInt8(truncatingIfNeeded: chain[index / 4] >> UInt32(8 * (index % 4)))
        }
        return digest
    }

    /// RFC 7693 section 3.2: the compression function.
    private mutating func compress(isLast: Bool) {
        var words = InlineArray<16, UInt32>(repeating: 0)
        for index in 0..<16 { words[index] = block.rawSpan.littleEndianUInt32(at: 4 * index) }
        var state = InlineArray<16, UInt32>(repeating: 0)
        for index in 0..<8 {
            state[index] = chain[index]
            state[index + 8] = Self.initial[index]
        }
        state[12] ^= UInt32(truncatingIfNeeded: total)
        state[13] ^= UInt32(truncatingIfNeeded: total >> 32)
        if isLast { state[14] = ~state[14] }
        for round in 0..<10 {
            for column in 0..<8 {
                Self.mix(
                    &state,
                    column,
                    words[Self.schedule(round, 2 * column)],
                    words[Self.schedule(round, 2 * column + 1)]
                )
            }
        }
        for index in 0..<8 { chain[index] ^= state[index] ^ state[index + 8] }
    }

    /// RFC 7693 section 3.1: the mixing function, on columns 0…3 and diagonals 4…7.
    @inline(__always)
    private static func mix(
        _ state: inout InlineArray<16, UInt32>,
        _ column: Int,
        _ x: UInt32,
        _ y: UInt32
    ) {
        let shift = column < 4 ? 0 : 1
        let a = column & 3
        let b = 4 + (a + shift) & 3
        let c = 8 + (a + 2 * shift) & 3
        let d = 12 + (a + 3 * shift) & 3
        state[a] = state[a] &+ state[b] &+ x
        state[d] = rotate(state[d] ^ state[a], by: 16)
        state[c] = state[c] &+ state[d]
        state[b] = rotate(state[b] ^ state[c], by: 12)
        state[a] = state[a] &+ state[b] &+ y
        state[d] = rotate(state[d] ^ state[a], by: 8)
        state[c] = state[c] &+ state[d]
        state[b] = rotate(state[b] ^ state[c], by: 7)
    }

    @inline(__always)
    private static func rotate(_ value: UInt32, by bits: UInt32) -> UInt32 {
        value >> bits | value << (32 - bits)
    }

    /// RFC 7693 section 2.6: SHA-256's initial values.
    private static var initial: InlineArray<8, UInt32> {
        [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
            0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]
    }

    /// RFC 7693 section 2.7: which word goes where; one round a row, one hexadecimal digit a word.
    @inline(__always)
    private static func schedule(_ round: Int, _ position: Int) -> Int {
        Int(truncatingIfNeeded: rows[round] >> UInt64(60 - 4 * position) & 15)
    }

    private static let rows: InlineArray<10, UInt64> = [
        0x0123_4567_89ab_cdef, 0xea48_9fd6_1c02_b753, 0xb8c0_52fd_ae36_7194,
        0x7931_dcbe_265a_40f8, 0x9057_24af_e1bc_683d, 0x2c6a_0b83_4d75_fe19,
        0xc51f_ed4a_0763_928b, 0xdb7e_c139_50f4_862a, 0x6fe9_b308_c2d7_14a5,
        0xa284_7615_fb9e_3cd0,
    ]
}

extension BLAKE2s {
    /// BLAKE2s-256 of `bytes`.
    public static func hash(_ bytes: RawSpan) -> Bytes32 {
        var hash = BLAKE2s()
        hash.update(bytes)
        return hash.finish()
    }

    /// BLAKE2s-256 of `first` followed by `second`.
    public static func hash(_ first: RawSpan, _ second: RawSpan) -> Bytes32 {
        var hash = BLAKE2s()
        hash.update(first)
        hash.update(second)
        return hash.finish()
    }

    /// Keyed BLAKE2s with a digest of 16 bytes: WireGuard's `MAC`.
    public static func mac(_ bytes: RawSpan, key: RawSpan) -> InlineArray<16, UInt8> {
        var hash = BLAKE2s(digestByteCount: 16, key: key)
        hash.update(bytes)
        let digest = hash.finish()
        return InlineArray(copying: digest.rawSpan.extracting(first: 16))
    }
}
