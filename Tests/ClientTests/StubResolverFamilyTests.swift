import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

/// A family that a name lacks is left out where the host asks for both.
@Suite struct StubResolverFamilyTests {
    private func stub() throws -> Stub {
        let stub = try makeStub([("r", "example.com")])
        _ = try stub.ask("example.com", .a, at: at(-100))
        stub.proxies.setFamilies(of: 0, ipv4: true, ipv6: false)
        return stub
    }

    private func resolve(
        _ stub: Stub,
        _ type: RecordType,
        at now: Instant
    ) throws -> StubResolver.Outcome {
        let bytes = try query("example.com", type)
        return stub.resolve(bytes, from: try asker(), at: now)
    }

    @Test func `asked after its sister it has no records`() throws {
        for delay in [0, 1, 5] as [Double] {
            let stub = try stub()
            #expect(try stub.ask("example.com", .a, at: at(0))?.answers.count == 4)
            let answer = try #require(try stub.ask("example.com", .aaaa, at: at(delay)))
            #expect(answer.responseCode == .noError)
            #expect(answer.answers.isEmpty)
        }
    }

    @Test func `asked just before its sister it waits, and has no records`() throws {
        let stub = try stub()
        #expect(try resolve(stub, .aaaa, at: at(0)) == .wait)
        #expect(stub.popReply() == nil)
        #expect(try stub.ask("example.com", .a, at: at(0.001))?.answers.count == 4)
        let reply = try #require(stub.popReply())
        #expect(reply.asker == (try asker()))
        #expect(try Message(reply.bytes.rawSpan).answers.isEmpty)
        #expect(stub.nextDeadline == nil)
    }

    @Test func `asked alone it is served, and translated`() throws {
        let stub = try stub()
        #expect(try resolve(stub, .aaaa, at: at(0)) == .wait)
        let deadline = try #require(stub.nextDeadline)
        #expect(deadline == at(0.025))
        stub.advance(to: deadline)
        #expect(stub.nextDeadline == Instant(nanoseconds: 0))
        let reply = try #require(stub.popReply())
        let message = try Message(reply.bytes.rawSpan)
        #expect(message.answers.count == 4)
        #expect(message.header.id == 0x1234)
    }

    @Test func `a sister long ago does not count`() throws {
        let stub = try stub()
        _ = try stub.ask("example.com", .a, at: at(0))
        #expect(try resolve(stub, .aaaa, at: at(5.001)) == .wait)
    }

    @Test func `where the resource serves only the absent family, it is served at once`() throws {
        let stub = try stub()
        let resource = ProtectedName(
            id: "r",
            pattern: try NamePattern("example.com"),
            families: .ipv6
        )
        _ = stub.setResource(resource)
        #expect(try stub.ask("example.com", .a, at: at(0))?.answers.count == 0)
        #expect(try stub.ask("example.com", .aaaa, at: at(0))?.answers.count == 4)
    }

    @Test func `an unknown name has both families`() throws {
        let stub = try makeStub([("r", "example.com")])
        #expect(try stub.ask("example.com", .a)?.answers.count == 4)
        #expect(try stub.ask("example.com", .aaaa)?.answers.count == 4)
    }

    @Test func `a resource that goes meanwhile leaves no address`() throws {
        let stub = try stub()
        #expect(try resolve(stub, .aaaa, at: at(0)) == .wait)
        _ = stub.removeResource("r")
        stub.advance(to: at(1))
        let reply = try #require(stub.popReply())
        #expect(try Message(reply.bytes.rawSpan).responseCode == .serverFailure)
    }

    @Test func `more than the limit do not wait`() throws {
        let stub = try stub()
        for _ in 0..<StubResolver.Limits.held {
            #expect(try resolve(stub, .aaaa, at: at(0)) == .wait)
        }
        #expect(try stub.ask("example.com", .aaaa, at: at(0))?.answers.count == 4)
    }
}
