internal import Synchronization

/// What the streams of a role have done so far; for metrics.
public final class StreamCounters: Sendable {
    /// A reading of all counters.
    public struct Reading: Sendable, Equatable {
        /// Connections accepted or made.
        public var opened: UInt64 = 0
        /// Connections over.
        public var closed: UInt64 = 0
        /// Connections that were too many.
        public var refused: UInt64 = 0
        /// Connections ended because what came was neither STUN nor channel data.
        public var garbled: UInt64 = 0
        /// Messages from streams to the loop.
        public var messagesIn: UInt64 = 0
        /// Messages from the loop to streams.
        public var messagesOut: UInt64 = 0
        /// Messages dropped, either way, because the other end took none.
        public var drops: UInt64 = 0

        /// Connections that are there now.
        public var open: Int { Int(opened - min(opened, closed)) }
    }

    private let opened = Atomic<UInt64>(0)
    private let closed = Atomic<UInt64>(0)
    private let refused = Atomic<UInt64>(0)
    private let garbled = Atomic<UInt64>(0)
    private let messagesIn = Atomic<UInt64>(0)
    private let messagesOut = Atomic<UInt64>(0)
    private let drops = Atomic<UInt64>(0)

    public init() {}

    /// The values now.
    public var reading: Reading {
        Reading(
            opened: opened.load(ordering: .relaxed),
            closed: closed.load(ordering: .relaxed),
            refused: refused.load(ordering: .relaxed),
            garbled: garbled.load(ordering: .relaxed),
            messagesIn: messagesIn.load(ordering: .relaxed),
            messagesOut: messagesOut.load(ordering: .relaxed),
            drops: drops.load(ordering: .relaxed)
        )
    }

    func countOpened() { opened.add(1, ordering: .relaxed) }
    func countClosed() { closed.add(1, ordering: .relaxed) }
    func countRefused() { refused.add(1, ordering: .relaxed) }
    func countGarbled() { garbled.add(1, ordering: .relaxed) }
    func countIn(_ count: Int) { messagesIn.add(UInt64(count), ordering: .relaxed) }
    func countOut(_ count: Int) { messagesOut.add(UInt64(count), ordering: .relaxed) }
    func countDrops(_ count: Int) { drops.add(UInt64(count), ordering: .relaxed) }
}
