/// A generator whose whole output follows from its seed: ChaCha20 (RFC 8439) as a stream.
///
/// The edge draws the seed from the kernel; a simulation passes a number. Each core owns one, and
/// gives a part one of its own by ``fork()``; a copy would draw the same numbers twice.
public struct RandomSource: RandomNumberGenerator, Sendable {
    private var state: InlineArray<16, UInt32>
    private var block = InlineArray<16, UInt32>(repeating: 0)
    private var used = 16

    /// - Parameter seed: 256 bits; four words.
    public init(seed: (UInt64, UInt64, UInt64, UInt64)) {
        state = InlineArray<16, UInt32>(repeating: 0)
        (state[0], state[1], state[2], state[3]) = (
            0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574
        )
        let words = [seed.0, seed.1, seed.2, seed.3]
        for index in 0..<4 {
            state[4 + 2 * index] = UInt32(truncatingIfNeeded: words[index])
            state[5 + 2 * index] = UInt32(truncatingIfNeeded: words[index] >> 32)
        }
    }

    /// A generator for tests and simulation.
    public init(seed: UInt64) { self.init(seed: (seed, 0, 0, 0)) }

    /// A generator of its own for a part, seeded from this one.
    public mutating func fork() -> RandomSource {
        RandomSource(seed: (next(), next(), next(), next()))
    }

    public mutating func next() -> UInt64 {
        if used >= 16 { refill() }
        defer { used += 2 }
        return UInt64(block[used]) | UInt64(block[used + 1]) << 32
    }

    /// `count` random bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(count)
        while all.count < count {
            var word = next()
            for _ in 0..<min(8, count - all.count) {
                all.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return all
    }

    private mutating func refill() {
        block = state
        for _ in 0..<10 {
            quarterRound(0, 4, 8, 12)
            quarterRound(1, 5, 9, 13)
            quarterRound(2, 6, 10, 14)
            quarterRound(3, 7, 11, 15)
            quarterRound(0, 5, 10, 15)
            quarterRound(1, 6, 11, 12)
            quarterRound(2, 7, 8, 13)
            quarterRound(3, 4, 9, 14)
        }
        for index in 0..<16 { block[index] &+= state[index] }
        state[12] &+= 1
        if state[12] == 0 { state[13] &+= 1 }
        used = 0
    }

    /// RFC 8439 section 2.1.
    private mutating func quarterRound(_ a: Int, _ b: Int, _ c: Int, _ d: Int) {
        func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 {
            value << bits | value >> (32 - bits)
        }
        block[a] &+= block[b]
        block[d] = rotate(block[d] ^ block[a], 16)
        block[c] &+= block[d]
        block[b] = rotate(block[b] ^ block[c], 12)
        block[a] &+= block[b]
        block[d] = rotate(block[d] ^ block[a], 8)
        block[c] &+= block[d]
        block[b] = rotate(block[b] ^ block[c], 7)
    }
}
