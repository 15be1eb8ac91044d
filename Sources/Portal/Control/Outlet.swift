internal import Synchronization

/// What waits to be written to one connection, with a bound: who reads too slowly is closed and
/// starts again from welcome, instead of filling the portal's memory.
final class Outlet: Sendable {
    /// Bounds of what may wait.
    enum Limits {
        /// Messages that may wait.
        static let messageCount = 1_000
        /// How long the oldest may wait.
        static let lag = Duration.seconds(10)
    }

    /// One thing to be written.
    enum Item: Sendable {
        case message(String)
        case ping
        case pong([UInt8])
        /// The last: a close code, then the connection ends.
        case close(UInt16)
    }

    private struct State {
        var waiting: [(item: Item, since: ContinuousClock.Instant)] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init() {
        (wake, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the other side reads what it is sent.
    enum Outcome: Sendable { case queued, lagging, closed }

    /// Adds at the end; the caller closes the connection of one that lags.
    @discardableResult
    func send(_ item: Item) -> Outcome {
        let now = ContinuousClock.now
        let outcome: Outcome = state.withLock { state in
            guard !state.isClosed else { return .closed }
            if case .close = item { state.isClosed = true }
            let isLate =
                state.waiting.first.map { $0.since.duration(to: now) > Limits.lag } ?? false
            guard !isLate, state.waiting.count < Limits.messageCount else {
                state.isClosed = true
                state.waiting = []
                return .lagging
            }
            state.waiting.append((item, now))
            return .queued
        }
        waker.yield()
        return outcome
    }

    /// Nothing more is taken, and what waits is forgotten.
    func discard() {
        state.withLock { state in
            state.isClosed = true
            state.waiting = []
        }
        waker.finish()
    }

    /// Hands everything to `write` in order, until a close item, a discard, or an error of `write`.
    func drain(_ write: (Item) async throws -> Void) async throws {
        for await _ in wake {
            while let item = next() {
                try await write(item)
                finished()
                if case .close = item { return }
            }
            if isDiscarded { return }
        }
    }

    /// The first stays in place while it is written, so that its age counts.
    private func next() -> Item? { state.withLock { $0.waiting.first?.item } }

    private func finished() {
        state.withLock { state in
            if !state.waiting.isEmpty { state.waiting.removeFirst() }
        }
    }

    private var isDiscarded: Bool { state.withLock { $0.isClosed && $0.waiting.isEmpty } }
}
