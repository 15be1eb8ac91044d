internal import CLinux
internal import Glibc
public import SansIO

/// What cores are given of the kernel's randomness.
public enum Kernel {
    /// 256 bits that nobody can guess.
    public static func randomSeed() -> (UInt64, UInt64, UInt64, UInt64) {
        (randomWord(), randomWord(), randomWord(), randomWord())
    }

    /// A generator seeded by the kernel.
    public static func randomSource() -> RandomSource { RandomSource(seed: randomSeed()) }

    /// getrandom(2) gives up to 256 bytes whole once the pool is ready, and waits until then.
    private static func randomWord() -> UInt64 {
        var word: UInt64 = 0
        let count = unsafe withUnsafeMutableBytes(of: &word) { bytes in
            var count = 0
            repeat {
                count = unsafe getrandom(bytes.baseAddress, bytes.count, 0)
            } while count < 0 && errno == EINTR
            return count
        }
        precondition(count == MemoryLayout<UInt64>.size, "the kernel gives no random bytes")
        return word
    }
}
