internal import Bytes
internal import SansIO
internal import Testing

@testable internal import WireGuard

@Suite struct KeyTests {
    @Test func `keys are equal when all bytes are`() {
        let bytes = counting(32)
        #expect(key(bytes) == key(bytes))
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 0x80
            #expect(key(bytes) != key(other))
        }
        #expect(Set([key(bytes), key(bytes), key(counting(32, from: 1))]).count == 2)
    }

    @Test func `a key has 32 bytes`() {
        #expect(Key(copying: counting(31).rawSpan) == nil)
        #expect(Key(copying: counting(33).rawSpan) == nil)
        #expect(Key(copying: counting(32).rawSpan)?.array == counting(32))
    }

    @Test func `a description shows no byte of the key`() {
        let key = key([UInt8](repeating: 0xab, count: 32))
        #expect("\(key)" == "Key")
        #expect(String(reflecting: key) == "Key")
    }

    @Test func `identities of one generator differ`() {
        var random = RandomSource(seed: 1)
        let first = Identity(from: &random).publicKey
        let second = Identity(from: &random).publicKey
        #expect(first != second)
    }
}

@Suite struct TimestampTests {
    @Test func `a time stamp is TAI64N, rounded down to 2^24 ns`() {
        let start = WallStart(unixNanoseconds: 1_000_000_000_999_999_999, at: at(0))
        let stamp = start.timestamp(at: at(0))
        // 999,999,999 is 0x3b9a_c9ff.
        #expect(stamp.array == bytes("400000003b9aca0a3b000000"))
        #expect(Timestamp(reading: stamp.array.rawSpan) == stamp)
    }

    @Test func `it goes on with the monotonic clock`() {
        let start = WallStart(unixNanoseconds: 5_900_000_000, at: at(10))
        #expect(start.timestamp(at: at(10.2)).seconds == 0x4000_0000_0000_000a + 6)
        #expect(start.timestamp(at: at(10)) < start.timestamp(at: at(10.1)))
    }

    @Test func `the next one is the next nanosecond, over the second's end`() {
        let last = Timestamp(seconds: 7, nanoseconds: 999_999_999)
        #expect(last.next == Timestamp(seconds: 8, nanoseconds: 0))
        #expect(last.next.next == Timestamp(seconds: 8, nanoseconds: 1))
        #expect(last < last.next)
    }
}
