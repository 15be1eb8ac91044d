internal import CLinux
internal import Glibc
public import SansIO

/// What a process asks of the kernel as a whole: randomness, room for descriptors.
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

    /// Raises how many descriptors this process may have open to `count`, or as near as it may.
    ///
    /// - Returns: The limit from now on.
    public static func raiseDescriptorLimit(to count: Int) -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 0
        }
        let wanted = rlim_t(count)
        guard limit.rlim_cur < wanted else { return Int(clamping: limit.rlim_cur) }
        // More than the hard limit needs privilege.
        var raised = rlimit(rlim_cur: wanted, rlim_max: max(wanted, limit.rlim_max))
        if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 {
            return count
        }
        raised = rlimit(rlim_cur: min(wanted, limit.rlim_max), rlim_max: limit.rlim_max)
        let isRaised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0
        return Int(clamping: isRaised ? raised.rlim_cur : limit.rlim_cur)
    }
}
