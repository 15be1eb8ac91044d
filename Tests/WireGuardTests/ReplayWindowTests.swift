internal import SansIO
internal import Testing

@testable internal import WireGuard

@Suite struct ReplayWindowTests {
    @Test func `a window agrees with a set of counters, at random`() {
        for seed in 0..<12 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            var window = ReplayWindow()
            var model = Model()
            var center: UInt64 =
                seed.isMultiple(of: 2) ? 0 : .random(in: 0...1 << 60, using: &random)
            for step in 0..<3_000 {
                let counter = draw(around: &center, using: &random)
                let isExpected = model.insert(counter)
                guard isExpected == window.take(counter) else {
                    Issue.record("seed \(seed), step \(step), counter \(counter)")
                    return
                }
            }
        }
    }

    @Test func `the window is exactly 65,536 wide`() {
        var window = ReplayWindow()
        let isHighest = window.take(65_536)
        let isFirst = window.take(0)
        let isSecond = window.take(1)
        let isSecondAgain = window.take(1)
        #expect([isHighest, isFirst, isSecond, isSecondAgain] == [true, false, true, false])
    }

    @Test(arguments: [63, 64, 65_535, 65_536, 65_537, 131_072, 1 << 40] as [UInt64])
    func `after a jump everything between is open once`(jump: UInt64) {
        var window = ReplayWindow()
        for counter in 0..<100 as Range<UInt64> { _ = window.take(counter) }
        let high = 99 + jump
        let isJumped = window.take(high)
        #expect(isJumped)
        for counter in max(100, high.saturatingSubtract(65_535))..<high {
            let isOpen = window.take(counter)
            let isClosed = !window.take(counter)
            guard isOpen, isClosed else {
                Issue.record("counter \(counter)")
                return
            }
        }
    }

    /// Counters near the highest one, near the window's edges, and jumps past it.
    private func draw(around center: inout UInt64, using random: inout RandomSource) -> UInt64 {
        let kind = Int.random(in: 0..<100, using: &random)
        let offset: UInt64
        switch kind {
        case 0..<60: offset = .random(in: 0...3, using: &random)
        case 60..<80: return center.saturatingSubtract(.random(in: 0...200, using: &random))
        case 80..<88: return center.saturatingSubtract(.random(in: 65_400...65_700, using: &random))
        case 88..<95: offset = .random(in: 0...300, using: &random)
        case 95..<99: offset = .random(in: 65_000...66_000, using: &random)
        default: offset = .random(in: 65_537...1 << 33, using: &random)
        }
        center += offset
        return center
    }

    /// All counters received, and the highest.
    private struct Model {
        private var seen: Set<UInt64> = []
        private var highest: UInt64?

        mutating func insert(_ counter: UInt64) -> Bool {
            if let highest, counter < highest, highest - counter >= 65_536 { return false }
            guard seen.insert(counter).inserted else { return false }
            highest = max(highest ?? 0, counter)
            return true
        }
    }
}

extension ReplayWindow {
    /// As a session uses it: false for what is not admitted.
    fileprivate mutating func take(_ counter: UInt64) -> Bool {
        guard admits(counter) else { return false }
        insert(counter)
        return true
    }
}

extension UInt64 {
    fileprivate func saturatingSubtract(_ other: UInt64) -> UInt64 { self - Swift.min(self, other) }
}
