import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite struct StubResolverFormTests {
    private func outcome(_ bytes: [UInt8]) throws -> StubResolver.Outcome {
        let stub = try makeStub([("r", "*.example.com")])
        return stub.resolve(bytes, from: try asker(), at: at(0))
    }

    private func code(_ outcome: StubResolver.Outcome) throws -> ResponseCode? {
        guard case .answer(let bytes) = outcome else { return nil }
        return try Message(bytes.rawSpan).responseCode
    }

    @Test func `what has no ID is dropped, what has one and no header gets FORMERR`() throws {
        #expect(try outcome([]) == .drop)
        #expect(try outcome([0x12]) == .drop)
        for count in 2..<12 {
            let bytes = Array(try query("a.example.com", .a).prefix(count))
            let answer = try outcome(bytes)
            #expect(try code(answer) == .formatError, "\(count) bytes")
            guard case .answer(let reply) = answer else { continue }
            #expect(reply.count == 12)
            #expect(Array(reply[0..<2]) == [0x12, 0x34])
        }
    }

    @Test func `RFC 1035 4.1.1: a response is never answered, however malformed`() throws {
        var bytes = try query("a.example.com", .a)
        bytes[2] |= 0x80
        #expect(try outcome(bytes) == .drop)
        #expect(try outcome(Array(bytes.prefix(3))) == .drop)
        #expect(try outcome(bytes + [0]) == .drop)
    }

    @Test func `RFC 1035 4.1.1: another opcode gets NOTIMP, with the opcode and RD copied`() throws
    {
        var bytes = try query("a.example.com", .a)
        bytes[2] = 0x29  // UPDATE, RD
        guard case .answer(let reply) = try outcome(bytes) else {
            Issue.record("no answer")
            return
        }
        #expect(reply == [0x12, 0x34, 0xa9, 0x84, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `RFC 9619: no question, or two, get FORMERR`() throws {
        let question = Question(try Name(text: "a.example.com"), .a)
        for questions in [[], [question, question]] {
            let message = Message(header: Header(id: 1), questions: questions)
            #expect(try code(outcome(message.wire())) == .formatError)
        }
    }

    @Test func `a question that cannot be read, a second OPT or bytes behind get FORMERR`() throws {
        let whole = try query("a.example.com", .a, edns: EDNS())
        for count in 12..<whole.count {
            #expect(try code(outcome(Array(whole.prefix(count)))) == .formatError)
        }
        #expect(try code(outcome(whole + [0])) == .formatError)
        var twice = whole + whole.suffix(11)
        twice[11] = 2
        #expect(try code(outcome(twice)) == .formatError)
        var loop = try query("a.example.com", .a)
        (loop[12], loop[13]) = (0xc0, 0x0c)
        #expect(try code(outcome(loop)) == .formatError)
    }

    @Test func `RFC 6891 6.1.3: another version of EDNS gets BADVERS`() throws {
        let bytes = try query("a.example.com", .a, edns: EDNS(version: 1))
        guard case .answer(let reply) = try outcome(bytes) else {
            Issue.record("no answer")
            return
        }
        let message = try Message(reply.rawSpan)
        #expect(message.responseCode == .badVersion)
        #expect(message.edns?.version == 0)
        #expect(message.answers.isEmpty)
    }

    @Test func `RFC 6891 6.1.1, RFC 3225 3: OPT comes only to who sent one, with its DO`() throws {
        let stub = try makeStub([("r", "*.example.com")])
        let plain = try #require(try stub.ask("a.example.com", .a))
        #expect(plain.edns == nil)
        let extended = try #require(
            try stub.ask("a.example.com", .a, edns: EDNS(udpByteCount: 4096))
        )
        #expect(extended.edns == EDNS(udpByteCount: 1232))
        let secure = EDNS(isDNSSECWanted: true)
        #expect(try stub.ask("a.example.com", .a, edns: secure)?.edns?.isDNSSECWanted == true)
        #expect(try stub.ask("a.example.com", .https, edns: secure)?.edns?.isDNSSECWanted == true)
    }

    @Test func `RFC 1035 4.1.1, RFC 4035 3.2.2: ID, question, RD and CD come back, RA is set`()
        throws
    {
        let stub = try makeStub([("r", "*.example.com")])
        for type in [RecordType.a, .https, .any] {
            var bytes = try query("wWw.exAMPLe.com", type, id: 0xbeef)
            bytes[3] |= 0x10
            guard
                case .answer(let reply) = stub.resolve(bytes, from: try asker(), at: at(0))
            else {
                Issue.record("no answer")
                continue
            }
            let message = try Message(reply.rawSpan)
            #expect(message.header.id == 0xbeef)
            #expect(message.header.isResponse && message.header.isRecursionDesired)
            #expect(message.header.isRecursionAvailable && message.header.isCheckingDisabled)
            #expect(!message.header.isAuthoritative && !message.header.isTruncated)
            #expect(message.questions[0].name.description == "wWw.exAMPLe.com")
        }
    }

    @Test func `any bytes and any mutation of a query get an outcome`() throws {
        let stub = try makeStub([("r", "*.example.com"), ("s", "**.x")])
        var random = RandomSource(seed: 3)
        let whole = try query("www.example.com", .aaaa, edns: EDNS(isDNSSECWanted: true))
        for step in 0..<20_000 {
            var bytes = step % 4 == 0 ? random.bytes(Int(random.next() % 64)) : whole
            for _ in 0..<Int(random.next() % 5) where !bytes.isEmpty {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next()
                )
            }
            let asker = step % 2 == 0 ? try asker() : try streamAsker()
            let outcome = stub.resolve(bytes, from: asker, at: at(Double(step) / 100))
            if case .answer(let reply) = outcome {
                let message = try Message(reply.rawSpan)
                #expect(message.header.isResponse)
                #expect(asker.path == .stream(id: 1) || reply.count <= 1232)
            }
            if case .forward(let exchange) = outcome, step % 3 == 0 {
                _ = stub.finish(
                    exchange.token,
                    with: random.bytes(Int(random.next() % 40)),
                    at: at(0)
                )
            }
            stub.advance(to: at(Double(step) / 100))
            while stub.popReply() != nil {}
        }
    }
}
