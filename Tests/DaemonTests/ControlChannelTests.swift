internal import Control
internal import Logging
internal import NIOCore
internal import Testing

@testable internal import Daemon

@Suite("The channel to the portal", .timeLimit(.minutes(1)))
struct ControlChannelTests {
    /// A role with its channel, and what the channel told it.
    private final class Role: Sendable {
        enum Told: Equatable { case opened, closed, other }

        let channel: ControlChannel<ToGateway>
        private let told: AsyncStream<Told>
        private let running: Task<Void, Never>

        init(_ portal: TestPortal) throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let channel = ControlChannel<ToGateway>(
                token: try portal.token(),
                mark: nil,
                lookup: HostLookup(mark: nil) { [] },
                logger: logger
            )
            self.channel = channel
            let (stream, continuation) = AsyncStream.makeStream(of: Told.self)
            told = stream
            running = Task {
                await channel.run { event in
                    switch event {
                    case .opened: continuation.yield(.opened)
                    case .closed: continuation.yield(.closed)
                    case .message, .unreadable, .refusedForGood: continuation.yield(.other)
                    }
                }
                continuation.finish()
            }
        }

        deinit { running.cancel() }

        func next() async -> Told? {
            for await told in told { return told }
            return nil
        }
    }

    private static let message = FromRole.resync(.init(reason: "test"))

    @Test("who leaves says so after what was queued, and hears nothing more")
    func leaving() async throws {
        let portal = try await TestPortal()
        let role = try Role(portal)
        #expect(await role.next() == .opened)
        role.channel.send(Self.message)
        role.channel.leave()
        #expect(await portal.next() == .opened)
        guard case .text = await portal.next() else {
            Issue.record("the message was lost")
            return
        }
        #expect(await portal.next() == .close(1_001))
        #expect(await role.next() == nil)
    }

    @Test("who has something new to say of himself connects anew")
    func reconnecting() async throws {
        let portal = try await TestPortal()
        let role = try Role(portal)
        #expect(await role.next() == .opened)
        role.channel.reconnect()
        #expect(await role.next() == .closed)
        #expect(await role.next() == .opened)
        #expect(await portal.next() == .opened)
        #expect(await portal.next() == .close(1_001))
        #expect(await portal.next() == .opened)
        role.channel.leave()
    }

    @Test("a connection that answers outlives a change of the network")
    func alive() async throws {
        let portal = try await TestPortal()
        let role = try Role(portal)
        #expect(await role.next() == .opened)
        #expect(await portal.next() == .opened)
        role.channel.networkChanged()
        #expect(await portal.next() == .ping)
        // The next one comes when the first answer's time is over.
        role.channel.networkChanged()
        #expect(await portal.next() == .ping)
        role.channel.leave()
    }

    @Test("one that does not answer is made anew within two seconds")
    func dead() async throws {
        let portal = try await TestPortal()
        let role = try Role(portal)
        #expect(await role.next() == .opened)
        portal.fallSilent()
        let start = ContinuousClock.now
        role.channel.networkChanged()
        #expect(await role.next() == .closed)
        portal.wake()
        #expect(await role.next() == .opened)
        #expect(ContinuousClock.now - start < .seconds(2))
        role.channel.leave()
    }
}
