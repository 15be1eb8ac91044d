internal import Synchronization

/// What happened to the queries that a dialer took.
public final class UpstreamCounters: Sendable {
    /// The numbers at one moment.
    public struct Reading: Sendable, Equatable {
        /// Queries taken.
        public var queries = 0
        /// Answers given.
        public var answers = 0
        /// Queries that ended without an answer.
        public var failures = 0
        /// Queries asked again, because a kept connection was closed.
        public var retries = 0
        /// Connections made.
        public var connections = 0
        /// Messages that answered nothing that was asked.
        public var garbled = 0
        /// Queries refused because too many were under way.
        public var refused = 0
    }

    private let counts = Mutex(Reading())

    init() {}

    /// The numbers now.
    public var reading: Reading { counts.withLock { $0 } }

    func add(_ change: (inout Reading) -> Void) { counts.withLock { change(&$0) } }
}
