internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// A service until SIGTERM or SIGINT, ended gracefully.
enum RunningService {
    static func run(_ service: any Service, logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .error)
        let group = ServiceGroup(
            services: [service],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet
        )
        try await group.run()
    }
}
