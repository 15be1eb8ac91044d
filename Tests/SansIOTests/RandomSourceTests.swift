import Testing

@testable import SansIO

@Suite("Random source (ChaCha20 as a stream)")
struct RandomSourceTests {
    @Test("RFC 8439 appendix A.1, vector 1: the key and nonce of zeros")
    func zeroKeyStream() {
        var source = RandomSource(seed: (0, 0, 0, 0))
        #expect(
            source.bytes(16) == [
                0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
            ]
        )
    }

    @Test("RFC 8439 appendix A.1, vector 2: the second block follows the first")
    func secondBlock() {
        var source = RandomSource(seed: (0, 0, 0, 0))
        _ = source.bytes(64)
        #expect(source.bytes(4) == [0x9f, 0x07, 0xe7, 0xbe])
    }

    @Test("a fork draws other numbers than its origin")
    func fork() {
        var source = RandomSource(seed: 7)
        var fork = source.fork()
        #expect(source.bytes(32) != fork.bytes(32))
    }
}
