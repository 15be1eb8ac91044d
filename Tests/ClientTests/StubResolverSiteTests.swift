import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("Records of protected names that are no addresses")
struct StubResolverSiteTests {
    private func question(
        _ stub: Stub,
        _ edns: EDNS? = nil,
        isStream: Bool = false
    ) throws -> SiteQuestion {
        let bytes = try query("wWw.Example.com", .txt, id: 7, edns: edns)
        return try stub.askedOfSite(bytes, from: isStream ? try streamAsker() : try asker())
    }

    @Test("the site is asked with an ID and an EDNS of our own, without the asker's options")
    func asks() throws {
        let stub = try makeStub([("b", "*.example.com"), ("a", "*.com")])
        let subnet = EDNS.Option(code: 8, value: [0, 1, 24, 0, 192, 0, 2])
        let edns = EDNS(udpByteCount: 4096, isDNSSECWanted: true, options: [subnet])
        var ids: Set<UInt16> = []
        for _ in 0..<50 {
            let asked = try question(stub, edns)
            let message = try Message(asked.bytes.rawSpan)
            ids.insert(message.header.id)
            #expect(asked.resources == ["b", "a"])
            #expect(asked.name == (try Name(text: "www.example.com")))
            #expect(!asked.isStream)
            #expect(message.edns == EDNS(isDNSSECWanted: true))
            #expect(message.questions == [Question(asked.name, .txt)])
        }
        #expect(ids.count > 40)
        #expect(try question(stub, isStream: true).isStream)
    }

    @Test("the answer comes back with the asker's ID and case, no AD, and nothing additional")
    func answer() throws {
        let stub = try makeStub([("r", "*.example.com")])
        let asked = try question(stub)
        let answer = try upstreamAnswer(to: asked.bytes) { message in
            message.header.isAuthentic = true
            message.questions[0].name = try Name(text: "www.example.com")
            message.edns = EDNS()
            message.answers = [
                Record(asked.name, timeToLive: 86_400, .txt([Array("hello".utf8)]))
            ]
            message.additionals = [
                Record(asked.name, timeToLive: 5, .a(try address("10.0.0.1")))
            ]
        }
        let reply = try #require(stub.finish(asked.token, with: answer, at: at(1)))
        let message = try Message(reply.bytes.rawSpan)
        #expect(reply.asker == (try asker()))
        #expect(message.header.id == 7)
        #expect(!message.header.isAuthentic)
        #expect(message.questions[0].name.description == "wWw.Example.com")
        #expect(message.answers.map(\.data) == [.txt([Array("hello".utf8)])])
        #expect(message.answers[0].timeToLive == 30)
        #expect(message.additionals.isEmpty && message.edns == nil)
        // Once.
        #expect(stub.finish(asked.token, with: answer, at: at(1)) == nil)
    }

    @Test("an answer too large for the asker is cut, and he comes back by TCP")
    func size() throws {
        let stub = try makeStub([("r", "*.example.com")])
        let text = Array(repeating: UInt8(97), count: 200)
        for isStream in [false, true] {
            let asked = try question(stub, isStream: isStream)
            let answer = try upstreamAnswer(to: asked.bytes) { message in
                message.answers = [Record(asked.name, timeToLive: 9, .txt([text, text, text]))]
            }
            let reply = try #require(stub.finish(asked.token, with: answer, at: at(1)))
            let message = try Message(reply.bytes.rawSpan)
            #expect(message.header.isTruncated == !isStream)
            #expect(message.answers.count == (isStream ? 1 : 0))
        }
    }

    @Test("what is no answer, or none at all, is SERVFAIL with the reason")
    func failures() throws {
        let stub = try makeStub([("r", "*.example.com")])
        func code(_ reply: StubResolver.Reply?) throws -> UInt16? {
            let bytes = try #require(reply).bytes
            let message = try Message(bytes.rawSpan)
            #expect(message.responseCode == .serverFailure)
            return message.edns?.extendedErrors.first?.code
        }
        var asked = try question(stub, EDNS())
        #expect(try code(stub.finish(asked.token, with: [1, 2, 3], at: at(0))) == 23)
        asked = try question(stub, EDNS())
        #expect(try code(stub.finish(asked.token, with: nil, at: at(0))) == 23)
        asked = try question(stub, EDNS())
        #expect(try code(stub.refuse(asked.token, .prohibited, at: at(0))) == 18)
        asked = try question(stub, EDNS())
        #expect(stub.nextDeadline == at(4))
        stub.advance(to: at(4))
        #expect(try code(stub.popReply()) == 22)
        #expect(stub.refuse(asked.token, .prohibited, at: at(5)) == nil)
        #expect(stub.nextDeadline == nil)
    }

    @Test("a question for a site waits shorter than one for an upstream asked before it")
    func order() throws {
        let stub = try makeStub([("r", "*.example.com")])
        _ = try stub.forwarded(try query("a.org", .a), from: try streamAsker(2))
        _ = try question(stub)
        #expect(stub.nextDeadline == at(4))
        stub.advance(to: at(4.5))
        #expect(stub.popReply()?.asker == (try asker()))
        #expect(stub.nextDeadline == at(5))
    }

    @Test("extended errors of the site come through, upper response bits need EDNS")
    func errors() throws {
        let stub = try makeStub([("r", "*.example.com")])
        for edns in [EDNS(), nil] {
            let asked = try question(stub, edns)
            let answer = try upstreamAnswer(to: asked.bytes) { message in
                message.answers = []
                message.edns = EDNS(options: [ExtendedError(code: 6, text: "bogus").option])
                message.responseCode = .badVersion
            }
            let reply = try #require(stub.finish(asked.token, with: answer, at: at(0)))
            let message = try Message(reply.bytes.rawSpan)
            #expect(message.responseCode == (edns == nil ? .serverFailure : .badVersion))
            #expect(message.edns?.extendedErrors.map(\.code) == (edns == nil ? nil : [6]))
        }
    }
}
