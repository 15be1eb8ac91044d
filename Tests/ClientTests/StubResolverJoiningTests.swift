import Bytes
import Client
import Control
import DNS
import SansIO
import Testing

@Suite struct StubResolverJoiningTests {
    @Test func `who asks what is being asked waits for the same answer, under the own ID and case`()
        throws
    {
        let stub = try makeStub()
        let first = try stub.forwarded(try query("www.example.org", .a, id: 1), from: try asker())
        let second = try query("WWW.example.org", .a, id: 2)
        #expect(stub.resolve(second, from: try asker(port: 2), at: at(0.1)) == .wait)
        #expect(stub.inFlightCount == 1)
        let answer = try upstreamAnswer(to: first.bytes)
        let reply = try #require(stub.finish(first.token, with: answer, at: at(0.2)))
        let other = try #require(stub.popReply())
        #expect(stub.popReply() == nil)
        #expect(reply.asker == (try asker()))
        #expect(other.asker == (try asker(port: 2)))
        let (one, two) = (try Message(reply.bytes.rawSpan), try Message(other.bytes.rawSpan))
        #expect((one.header.id, two.header.id) == (1, 2))
        #expect(two.questions[0].name.description == "WWW.example.org")
        #expect(one.answers == two.answers)
    }

    @Test func `a failure is everybody's; silence is too`() throws {
        for isStream in [false, true] {
            let stub = try makeStub()
            let bytes = try query("a.org", .a)
            let askers =
                isStream
                ? [try streamAsker(1), try streamAsker(2)] : [try asker(), try asker(port: 2)]
            let first = try stub.forwarded(bytes, from: askers[0])
            #expect(stub.resolve(bytes, from: askers[1], at: at(0)) == .wait)
            let reply = try #require(stub.finish(first.token, with: nil, at: at(1)))
            let other = try #require(stub.popReply())
            #expect([reply.asker, other.asker] == askers)
            #expect(try Message(other.bytes.rawSpan).responseCode == .serverFailure)
            // Nothing comes: on a connection that is said.
            _ = try stub.forwarded(bytes, from: askers[0], at: at(2))
            #expect(stub.resolve(bytes, from: askers[1], at: at(2)) == .wait)
            stub.advance(to: at(9))
            let said = [stub.popReply(), stub.popReply()].compactMap(\.?.asker)
            #expect(Set(said) == (isStream ? Set(askers) : []))
            #expect(stub.nextDeadline == nil)
        }
    }

    @Test func `what would be answered otherwise is asked by itself`() throws {
        let stub = try makeStub()
        let edns = EDNS(udpByteCount: 1232)
        let cookie = EDNS(udpByteCount: 1232, options: [.init(code: 10, value: [1, 2, 3])])
        let wanting = EDNS(udpByteCount: 1232, isDNSSECWanted: true)
        let small = EDNS(udpByteCount: 600)
        var count = 0
        for other in [nil, edns, cookie, cookie, wanting, small] as [EDNS?] {
            count += 1
            let bytes = try query("a.org", .a, edns: other)
            _ = try stub.forwarded(bytes, from: try asker(port: UInt16(count)))
        }
        _ = try stub.forwarded(try query("a.org", .aaaa), from: try asker())
        _ = try stub.forwarded(try query("a.org", .a), from: try streamAsker())
        #expect(stub.inFlightCount == 8)
    }

    @Test func `who asks again, because no answer came, is asked for again`() throws {
        let stub = try makeStub()
        let bytes = try query("a.org", .a)
        let first = try stub.forwarded(bytes, from: try asker())
        // The same asker: the first datagram, or its answer, may be lost.
        _ = try stub.forwarded(bytes, from: try asker(), at: at(0.1))
        // Another one: the question may be lost.
        _ = try stub.forwarded(bytes, from: try asker(port: 2), at: at(0.5))
        #expect(stub.resolve(bytes, from: try asker(port: 3), at: at(0.6)) == .wait)
        #expect(stub.inFlightCount == 3)
        let answer = try upstreamAnswer(to: first.bytes)
        #expect(try #require(stub.finish(first.token, with: answer, at: at(0.7))).asker == asker())
        #expect(stub.popReply() == nil)
    }

    @Test func `no more wait for one answer than are allowed, and none after a flush`() throws {
        let stub = try makeStub()
        let bytes = try query("a.org", .a)
        _ = try stub.forwarded(bytes, from: try asker())
        for port in 1...UInt16(StubResolver.Limits.followers) {
            #expect(stub.resolve(bytes, from: try asker(port: port), at: at(0)) == .wait)
        }
        _ = try stub.forwarded(bytes, from: try asker(port: 1_000))
        stub.flushCache()
        _ = try stub.forwarded(bytes, from: try asker(port: 1_001))
    }

    @Test func `a name that a resource took over meanwhile is answered by it, for everybody`()
        throws
    {
        let stub = try makeStub()
        let bytes = try query("git.example.com", .a)
        let first = try stub.forwarded(bytes, from: try asker())
        #expect(stub.resolve(bytes, from: try asker(port: 2), at: at(0)) == .wait)
        _ = stub.setResource(
            ProtectedName(id: ResourceID("git"), pattern: try NamePattern("git.example.com"))
        )
        let answer = try upstreamAnswer(to: first.bytes)
        let reply = try #require(stub.finish(first.token, with: answer, at: at(1)))
        let other = try #require(stub.popReply())
        for one in [reply, other] {
            let texts = try Message(one.bytes.rawSpan).addressTexts
            #expect(texts.count == 4)
            #expect(!texts.contains("203.0.113.7"))
        }
    }
}
