internal import Control
internal import Logging
internal import NIOCore
internal import NIOPosix
@testable internal import Portal
internal import ServiceLifecycle
internal import Synchronization
internal import Testing

/// A portal that cannot start says why, and nothing else.
@Suite struct StartTests {
    private struct Recorder: LogHandler {
        final class Lines: Sendable { let all = Mutex<[String]>([]) }

        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.notice

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.all.withLock { $0.append("\(event.message)") }
        }
    }

    @Test func `a port that is taken is one sentence, and nothing is logged`() async throws {
        let taken = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(taken.localAddress?.port)
        var configuration = PortalConfiguration(
            listen: ["127.0.0.1:0", "127.0.0.1:\(port)"],
            url: try #require(PortalURL("https://localhost:8443")),
            stateFolder: PortalUnderTest.freshFolder()
        )
        configuration.names = ["localhost"]
        let lines = Recorder.Lines()
        let server = PortalServer(
            configuration: configuration,
            logger: Logger(label: "portal") { _ in Recorder(lines: lines) }
        )
        let group = ServiceGroup(
            configuration: .init(services: [server], logger: PortalUnderTest.logger)
        )
        await #expect(throws: PortalStartError.portTaken("127.0.0.1:\(port)")) {
            try await group.run()
        }
        #expect(lines.all.withLock { $0 } == [])
        try await taken.close()
    }
}
