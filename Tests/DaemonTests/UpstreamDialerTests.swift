internal import Bytes
internal import DNS
internal import Foundation
internal import IP
internal import NIOCore
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Daemon

/// Asks test nameservers by a dialer, as a core would.
struct TestAsker: Sendable {
    let dialer: UpstreamDialer

    init(
        time: Duration = .seconds(5),
        authority: TestAuthority? = nil,
        lookup: HostLookup = HostLookup(mark: nil) { [] }
    ) {
        dialer = UpstreamDialer(
            mark: nil,
            lookup: lookup,
            authorities: authority?.file ?? "/nonexistent",
            time: time
        )
    }

    func ask(
        _ upstream: String,
        _ name: String = "a.example",
        id: UInt16 = 0x1234,
        transport: Exchange.Transport = .stream,
        edns: EDNS? = EDNS()
    ) async throws -> Message? {
        let upstream = try #require(Upstream(upstream))
        let question = Question(try #require(Name(name)), .a)
        let query = UpstreamQuery(
            token: 1,
            upstream: upstream,
            transport: transport,
            isInTunnel: true,
            bytes: Message(query: question, id: id, edns: edns).wire()
        )
        guard let bytes = await dialer.ask(query) else { return nil }
        let answer = try Message(bytes.rawSpan)
        #expect(answer.header.id == id)
        #expect(answer.questions == [question])
        return answer
    }

    /// Why the nameserver asked last gave no answer.
    var failure: String? { dialer.states.last?.failure }
}

@Suite("Nameservers asked over TCP and by datagrams", .timeLimit(.minutes(1)))
struct UpstreamDialerTests {
    @Test("one connection carries many queries, answered in any order (RFC 7766 7)")
    func outOfOrder() async throws {
        let kept = Mutex<[[UInt8]]>([])
        let server = try await TestNameserver(.stream) { asked in
            kept.withLock { kept in
                kept.append(asked.bytes)
                guard kept.count == 20 else { return [] }
                return kept.reversed().map { .answer(TestNameserver.answer(to: $0)) }
            }
        }
        let asker = TestAsker()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<20 {
                group.addTask {
                    // All with one ID: the connection's own tell them apart.
                    try await asker.ask(server.address, "n\(index).example") != nil
                }
            }
            for try await isAnswered in group { #expect(isAnswered) }
        }
        #expect(server.connectionCount == 1)
        #expect(Set(server.queries.map { [$0.bytes[0], $0.bytes[1]] }).count == 20)
    }

    @Test("answers to something else are passed over, and counted")
    func strangers() async throws {
        let server = try await TestNameserver(.stream) { asked in
            let right = TestNameserver.answer(to: asked.bytes)
            var (wrongID, wrongName) = (right, right)
            wrongID[0] ^= 1
            wrongName[13] ^= 1
            return [.answer([]), .answer(wrongID), .answer(wrongName), .answer(right)]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address)?.answers.count == 1)
        #expect(asker.dialer.counters.reading.garbled == 3)
        #expect(asker.failure == nil)
    }

    @Test("a server that answers nothing that was asked is hung up on")
    func garbage() async throws {
        let server = try await TestNameserver(.stream) { _ in
            [.raw([UInt8](repeating: 0, count: 4_000))]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address) == nil)
        #expect(asker.failure == "127.0.0.1 answers with something that is no answer.")
        #expect(asker.dialer.counters.reading.garbled >= 16)
    }

    @Test("silence and half an answer end in time", arguments: [[], [1, 0, 0x12] as [UInt8]])
    func silence(bytes: [UInt8]) async throws {
        let server = try await TestNameserver(.stream) { _ in [.raw(bytes)] }
        let asker = TestAsker(time: .milliseconds(200))
        #expect(try await asker.ask(server.address) == nil)
        #expect(asker.failure == "127.0.0.1 does not answer in time.")
        #expect(asker.dialer.counters.reading.failures == 1)
    }

    @Test("a server that hangs up at once is asked once")
    func closing() async throws {
        let server = try await TestNameserver(.stream) { _ in [.close] }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address) == nil)
        #expect(server.queries.count == 1)
        #expect(asker.failure == "127.0.0.1 hangs up without an answer.")
    }

    @Test("a query on a kept connection that the server closes is asked once more on a fresh one")
    func retry() async throws {
        let server = try await TestNameserver(.stream) { asked in
            asked.number == 2 ? [.close] : [.answer(TestNameserver.answer(to: asked.bytes))]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address) != nil)
        #expect(try await asker.ask(server.address) != nil)
        #expect(server.queries.map(\.connection) == [1, 1, 2])
        #expect(asker.dialer.counters.reading.retries == 1)
    }

    @Test("after the network changed, connections are made anew")
    func networkChanged() async throws {
        let server = try await TestNameserver(.stream) { asked in
            [.answer(TestNameserver.answer(to: asked.bytes))]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address) != nil)
        asker.dialer.networkChanged()
        #expect(try await asker.ask(server.address) != nil)
        #expect(server.queries.map(\.connection) == [1, 2])
    }

    @Test("an answer as large as can be arrives whole")
    func huge() async throws {
        let server = try await TestNameserver(.stream) { asked in
            let right = TestNameserver.answer(to: asked.bytes)
            return [.answer(right + [UInt8](repeating: 0, count: 65_535 - right.count))]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address)?.answers.count == 1)
    }

    @Test("a port that nobody listens on is said so at once")
    func refused() async throws {
        let asker = TestAsker()
        #expect(try await asker.ask("127.0.0.1:1") == nil)
        #expect(asker.failure == "127.0.0.1 cannot be reached: Connection refused.")
        #expect(try await asker.ask("127.0.0.1:1") == nil)
        #expect(asker.dialer.counters.reading.connections == 1, "not greeted for every query")
    }

    @Test("a connection carries so many queries without an answer and no more")
    func bound() async throws {
        let server = try await TestNameserver(.stream) { _ in [] }
        let asker = TestAsker(time: .seconds(3))
        let most = ConversationLimits.queriesUnderWay
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<most + 50 {
                group.addTask { try await asker.ask(server.address) != nil }
            }
            for try await isAnswered in group { #expect(!isAnswered) }
        }
        #expect(server.queries.count == most)
        #expect(asker.dialer.counters.reading.failures == most + 50)
    }

    @Test("by datagram, strangers' answers are passed over, and a refusal is heard")
    func datagrams() async throws {
        let server = try await TestNameserver(.datagram) { asked in
            let right = TestNameserver.answer(to: asked.bytes)
            var wrong = right
            wrong[1] ^= 0x80
            return [.answer([1]), .answer(wrong), .answer(right)]
        }
        let asker = TestAsker()
        #expect(try await asker.ask(server.address, transport: .datagram)?.answers.count == 1)
        #expect(try await asker.ask("127.0.0.1:1", transport: .datagram) == nil)
        #expect(asker.failure == "127.0.0.1 cannot be reached: Connection refused.")
    }

    @Test("a query that is none is not sent")
    func unreadable() async throws {
        let server = try await TestNameserver(.stream) { _ in [] }
        let upstream = try #require(Upstream(server.address))
        let query = UpstreamQuery(
            token: 1,
            upstream: upstream,
            transport: .stream,
            isInTunnel: true,
            bytes: [1, 2, 3]
        )
        #expect(await TestAsker().dialer.ask(query) == nil)
        #expect(server.connectionCount == 0)
    }
}
