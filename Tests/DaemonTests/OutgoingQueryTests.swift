internal import Bytes
internal import DNS
internal import Testing

@testable internal import Daemon

@Suite("Queries on their way to a nameserver")
struct OutgoingQueryTests {
    private static func query(_ name: String = "a.example", edns: EDNS? = EDNS()) throws -> [UInt8]
    {
        let question = Question(try #require(Name(name)), .a)
        return Message(query: question, id: 0x1234, edns: edns).wire()
    }

    @Test("padded queries are whole blocks of 128 bytes, whatever the name (RFC 8467 4.1)")
    func blocks() throws {
        for count in 1...60 {
            let name = String(repeating: "x", count: count) + ".example"
            for edns in [nil, EDNS(), EDNS(options: [.init(code: 10, value: [1, 2, 3])])] {
                let bytes = try Self.query(name, edns: edns)
                let outgoing = try #require(OutgoingQuery(bytes))
                let wire = outgoing.wire(under: 7, isPadded: true)
                #expect(wire.count % 128 == 0)
                let message = try Message(wire.rawSpan)
                #expect(message.header.id == 7)
                let original = try Message(bytes.rawSpan)
                #expect(message.questions == original.questions)
                let options = message.edns?.options ?? []
                #expect(options.filter { $0.code == 12 }.count == 1)
                #expect(options.filter { $0.code != 12 } == edns?.options ?? [])
            }
        }
    }

    @Test("a query that is padded already is padded anew, not twice")
    func paddedByAsker() throws {
        let edns = EDNS(isDNSSECWanted: true, options: [.init(code: 12, value: [0, 0, 0])])
        let outgoing = try #require(OutgoingQuery(try Self.query(edns: edns)))
        let message = try Message(outgoing.wire(under: 1, isPadded: true).rawSpan)
        #expect(message.edns?.options.count == 1)
        #expect(message.edns?.isDNSSECWanted == true)
    }

    @Test("without encryption a query is sent as it is, but for the ID")
    func plain() throws {
        let bytes = try Self.query(edns: nil)
        let wire = try #require(OutgoingQuery(bytes)).wire(under: 0xabcd, isPadded: false)
        #expect(wire == [0xab, 0xcd] + bytes[2...])
    }

    @Test("the asker gets no OPT that it did not send, and no padding that it did not ask for")
    func stripped() throws {
        let padding = EDNS.Option(code: 12, value: [UInt8](repeating: 0, count: 100))
        let error = ExtendedError.prohibited.option
        for edns in [nil, EDNS()] {
            let bytes = try Self.query(edns: edns)
            let outgoing = try #require(OutgoingQuery(bytes))
            var theirs = try Message(TestNameserver.answer(to: bytes).rawSpan)
            theirs.header.id = 9
            theirs.edns = EDNS(options: [error, padding])
            let wire = theirs.wire()
            #expect(outgoing.isAnswered(by: wire, under: 9))
            let answer = try Message(outgoing.answer(wire).rawSpan)
            #expect(answer.header.id == 0x1234)
            #expect(answer.answers == theirs.answers)
            #expect(answer.edns?.options == (edns == nil ? nil : [error]))
        }
    }

    @Test("what has another ID or question, or is no response, is no answer")
    func strangers() throws {
        let bytes = try Self.query()
        let outgoing = try #require(OutgoingQuery(bytes))
        let right = TestNameserver.answer(to: outgoing.wire(under: 5, isPadded: false))
        #expect(outgoing.isAnswered(by: right, under: 5))
        #expect(!outgoing.isAnswered(by: right, under: 6))
        let other = TestNameserver.answer(to: try Self.query("b.example"))
        #expect(!outgoing.isAnswered(by: other, under: 0x1234))
        #expect(!outgoing.isAnswered(by: bytes, under: 0x1234), "the query itself, reflected")
        #expect(!outgoing.isAnswered(by: [0, 5], under: 5))
        #expect(!outgoing.isAnswered(by: [], under: 5))
    }

    @Test("messages are cut out of a stream wherever it is broken")
    func framing() throws {
        let last = [UInt8](repeating: 7, count: 256)
        let stream: [UInt8] = [0, 3, 1, 2, 3, 0, 0, 0, 1, 9, 1, 0] + last
        for cut in 0...stream.count {
            var messages = StreamMessages()
            var found: [[UInt8]] = []
            for part in [stream[..<cut], stream[cut...]] {
                messages.append(part)
                while let message = messages.next() { found.append(message) }
            }
            #expect(found == [[1, 2, 3], [], [9], last])
            #expect(messages.byteCount == 0)
        }
        #expect(StreamMessages.frame([UInt8](repeating: 0, count: 65_536)) == nil)
        #expect(StreamMessages.frame([5]) == [0, 1, 5])
    }
}
