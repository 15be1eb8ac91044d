internal import Bytes

/// Which of the last 65,536 counters of a session were received (5.4.6; RFC 6479's idea with a ring
/// of bits of exactly that size).
struct ReplayWindow: ~Copyable {
    /// Counters that the window covers: the highest one and those below.
    static var counterCount: UInt64 { 65_536 }

    private var bits = Block(byteCount: Int(ReplayWindow.counterCount / 8))
    /// The counter above the highest one received.
    private(set) var upperBound: UInt64 = 0

    /// A window that no counter was received in.
    init() {}

    /// A window in which every counter below `upperBound` counts as received: who goes on with a
    /// session and does not know which ones were.
    init(closedBelow upperBound: UInt64) {
        var all = bits.mutableBytes(0..<bits.byteCount)
        for offset in stride(from: 0, to: all.byteCount, by: 8) {
            all.storeLittleEndian(UInt64.max, at: offset)
        }
        self.upperBound = upperBound
    }

    /// Whether `counter` is neither received nor below the window.
    func admits(_ counter: UInt64) -> Bool {
        if counter >= upperBound { return true }
        guard upperBound - counter <= Self.counterCount else { return false }
        return word(at: counter) & mask(of: counter) == 0
    }

    /// Takes note of `counter`, which the window ``admits(_:)``, once its packet was authentic.
    ///
    /// One word changes while counters come one after the other, and at most 1,025 after a jump.
    mutating func insert(_ counter: UInt64) {
        if counter >= upperBound {
            forget(from: upperBound, to: counter)
            upperBound = counter + 1
        }
        setWord(at: counter, to: word(at: counter) | mask(of: counter))
    }

    /// Clears the bits of `first` to `last`, which enter the window.
    private mutating func forget(from first: UInt64, to last: UInt64) {
        var counter = first
        if last - first >= Self.counterCount { counter = last - Self.counterCount + 1 }
        while true {
            let wordLast = counter | 63
            var cleared = UInt64.max << (counter & 63)
            if wordLast > last { cleared &= UInt64.max >> (wordLast - last) }
            setWord(at: counter, to: word(at: counter) & ~cleared)
            if wordLast >= last { return }
            counter = wordLast + 1
        }
    }

    private func mask(of counter: UInt64) -> UInt64 { 1 << (counter & 63) }

    private func offset(of counter: UInt64) -> Int {
        Int(truncatingIfNeeded: counter % Self.counterCount / 64) * 8
    }

    private func word(at counter: UInt64) -> UInt64 {
        bits.bytes(0..<bits.byteCount).littleEndianUInt64(at: offset(of: counter))
    }

    private mutating func setWord(at counter: UInt64, to word: UInt64) {
        let offset = offset(of: counter)
        var bytes = bits.mutableBytes(0..<bits.byteCount)
        bytes.storeLittleEndian(word, at: offset)
    }
}
