internal import Logging
internal import Synchronization

/// What the HTTP servers log, until the portal ends: how each then finds that it is over says
/// nothing to anybody.
struct ServerLog: LogHandler {
    /// Whether the portal ends, for all its servers.
    final class Ending: Sendable {
        private let flag = Atomic(false)

        var hasBegun: Bool { flag.load(ordering: .relaxed) }

        func begin() { flag.store(true, ordering: .relaxed) }
    }

    private var inner: any LogHandler
    private let ending: Ending

    /// Notices and worse of `logger`'s.
    static func logger(_ logger: Logger, until ending: Ending) -> Logger {
        var inner = logger.handler
        inner.logLevel = max(logger.logLevel, .notice)
        return Logger(label: logger.label) { _ in ServerLog(inner: inner, ending: ending) }
    }

    private init(inner: any LogHandler, ending: Ending) {
        (self.inner, self.ending) = (inner, ending)
    }

    var metadata: Logger.Metadata {
        get { inner.metadata }
        set { inner.metadata = newValue }
    }

    var logLevel: Logger.Level {
        get { inner.logLevel }
        set { inner.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { inner[metadataKey: key] }
        set { inner[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        if !ending.hasBegun { inner.log(event: event) }
    }
}
