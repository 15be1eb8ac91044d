import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite struct StubResolverForwardingTests {
    @Test
    func `a foreign name goes to the upstream of its sentinel, changed in nothing but the ID`()
        throws
    {
        let stub = try makeStub()
        _ = stub.setUpstreams(try ["192.0.2.1:53", "192.0.2.2:5353"].map(upstream))
        let mappings = stub.sentinels.mappings
        for mapping in mappings {
            let asker = Asker(sentinel: mapping.sentinel, path: .stream(id: 9))
            let bytes = try query("exAmple.org", .mx, edns: EDNS(isDNSSECWanted: true))
            let exchange = try stub.forwarded(bytes, from: asker)
            #expect(exchange.upstream == mapping.upstream)
            #expect(exchange.transport == .stream)
            #expect(exchange.bytes[2...] == bytes[2...])
        }
        let exchange = try stub.forwarded(
            try query("example.org", .a),
            from: Asker(sentinel: mappings[0].sentinel, path: try asker().path)
        )
        #expect(exchange.transport == .datagram)
    }

    @Test func `by UDP no upstream is asked for more than is passed on`() throws {
        let stub = try makeStub()
        for (asked, isStream, sent) in [
            (UInt16(4096), false, UInt16(1232)), (4096, true, 4096), (1232, false, 1232),
            (600, false, 600),
        ] {
            let edns = EDNS(udpByteCount: asked, options: [EDNS.Option(code: 10, value: [1, 2])])
            let bytes = try query("example.org", .a, edns: edns)
            let asker = isStream ? try streamAsker() : try asker()
            let forwarded = try stub.forwarded(bytes, from: asker).bytes
            let message = try Message(forwarded.rawSpan)
            #expect(message.edns == EDNS(udpByteCount: sent, options: edns.options))
        }
    }

    @Test func `a sentinel that stands for nobody is silent (anchor 14555)`() throws {
        let stub = try makeStub()
        let asker = Asker(sentinel: try address("100.100.111.99"), path: .stream(id: 1))
        let outcome = stub.resolve(try query("example.org", .a), from: asker, at: at(0))
        #expect(outcome == .drop)
    }

    @Test func `an answer comes back with the asker's ID and case, otherwise as it was`() throws {
        let stub = try makeStub()
        let asker = try asker()
        let bytes = try query("wWw.Example.org", .a, id: 7)
        let exchange = try stub.forwarded(bytes, from: asker)
        let answer = try upstreamAnswer(to: exchange.bytes) { message in
            message.questions[0].name = try Name(text: "www.example.org")
            message.header.isAuthentic = true
        }
        let reply = try #require(stub.finish(exchange.token, with: answer, at: at(1)))
        #expect(reply.asker == asker)
        var expected = answer
        expected.replaceSubrange(0..<2, with: [0, 7])
        expected.replaceSubrange(12..<29, with: bytes[12..<29])
        #expect(reply.bytes == expected)
        #expect(stub.inFlightCount == 0)
    }

    @Test func `queries with one ID do not meet (anchor 6233, 7069, 10914, 13664)`() throws {
        let stub = try makeStub()
        var exchanges: [(UpstreamQuery, Asker, String)] = []
        for port in 0..<3 as Range<UInt16> {
            for name in ["a\(port).org", "b\(port).org"] {
                let asker = try asker(port: port)
                let bytes = try query(name, .a, id: 1)
                exchanges.append((try stub.forwarded(bytes, from: asker), asker, name))
            }
        }
        #expect(Set(exchanges.map(\.0.token)).count == 6)
        for (exchange, asker, name) in exchanges.reversed() {
            let answer = try upstreamAnswer(to: exchange.bytes)
            let reply = try #require(stub.finish(exchange.token, with: answer, at: at(1)))
            #expect(reply.asker == asker)
            let message = try Message(reply.bytes.rawSpan)
            #expect(message.questions[0].name == (try Name(text: name)))
            #expect(message.header.id == 1)
        }
    }

    @Test func `forwarded IDs are drawn at random`() throws {
        let stub = try makeStub()
        let ids = try (0..<100).map { _ in
            try stub.forwarded(try query("a.org", .a), from: try asker()).bytes.prefix(2)
        }
        #expect(Set(ids).count > 90)
    }

    @Test func `an answer of another ID, to another question or no response is none`() throws {
        let changes: [(inout Message) throws -> Void] = [
            { $0.header.id &+= 1 }, { $0.header.isResponse = false },
            { $0.questions[0].type = .aaaa }, { $0.questions[0].name = try Name(text: "b.org") },
            { $0.questions = [] }, { $0.questions.append($0.questions[0]) },
            { $0.questions[0].recordClass = .chaos },
        ]
        for change in changes {
            for isStream in [false, true] {
                let stub = try makeStub()
                let exchange = try stub.forwarded(
                    try query("a.org", .a),
                    from: isStream ? try streamAsker() : try asker()
                )
                let answer = try upstreamAnswer(to: exchange.bytes, change)
                let reply = stub.finish(exchange.token, with: answer, at: at(1))
                // On a connection nobody else can have sent it: the upstream is broken.
                let code = try reply.map { try Message($0.bytes.rawSpan).responseCode }
                #expect(code == (isStream ? .serverFailure : nil))
            }
        }
    }

    @Test func `an error without question is passed on`() throws {
        let stub = try makeStub()
        let exchange = try stub.forwarded(try query("a.org", .a, id: 5), from: try asker())
        let answer = Array(exchange.bytes[0..<2]) + [0x80, 0x05, 0, 0, 0, 0, 0, 0, 0, 0]
        let reply = try #require(stub.finish(exchange.token, with: answer, at: at(0)))
        #expect(reply.bytes == [0, 5, 0x80, 0x05, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test(arguments: [
        (nil, false, 512), (EDNS(udpByteCount: 100), false, 512),
        (EDNS(udpByteCount: 900), false, 900), (EDNS(udpByteCount: 4096), false, 1232),
        (nil, true, 65_535),
    ])
    func `RFC 6891 6.2.3, RFC 2181 9: an answer is cut to the asker's size`(
        edns: EDNS?,
        isStream: Bool,
        byteCount: Int
    ) throws {
        for excess in [0, 1] where !isStream || excess == 0 {
            let stub = try makeStub()
            let exchange = try stub.forwarded(
                try query("a.org", .txt, edns: edns),
                from: isStream ? try streamAsker() : try asker()
            )
            // Opaque data of the size that makes the whole as large as it may be.
            let size = byteCount + excess - (12 + 11 + 12)
            let answer = try upstreamAnswer(to: exchange.bytes) { message in
                let data = RecordData.other(
                    RecordType(rawValue: 65_280),
                    Array(repeating: 1, count: size)
                )
                message.answers = [Record(message.questions[0].name, timeToLive: 1, data)]
                message.header.responseCodeBits = 3
            }
            #expect(answer.count == byteCount + excess)
            let reply = try #require(stub.finish(exchange.token, with: answer, at: at(0)))
            let message = try Message(reply.bytes.rawSpan)
            #expect(message.header.isTruncated == (excess == 1))
            #expect(message.answers.count == 1 - excess)
            #expect(message.header.responseCodeBits == 3)
            #expect(message.questions.count == 1)
            if excess == 1 { #expect((message.edns != nil) == (edns != nil)) }
        }
    }

    @Test func `a UDP time-out sends nothing back, on a connection it is SERVFAIL`() throws {
        let stub = try makeStub()
        let datagram = try stub.forwarded(try query("a.org", .a), from: try asker())
        let stream = try stub.forwarded(try query("a.org", .a), from: try streamAsker(), at: at(1))
        let deadline = try #require(stub.nextDeadline)
        #expect(deadline == at(5))
        stub.advance(to: at(4.999))
        #expect(stub.inFlightCount == 2)
        stub.advance(to: at(5))
        #expect(stub.popReply() == nil)
        stub.advance(to: at(6))
        let reply = try #require(stub.popReply())
        #expect(reply.asker == (try streamAsker()))
        #expect(try Message(reply.bytes.rawSpan).responseCode == .serverFailure)
        #expect(stub.nextDeadline == nil)
        // Late answers are swallowed (anchor 14208).
        for exchange in [datagram, stream] {
            let answer = try upstreamAnswer(to: exchange.bytes)
            #expect(stub.finish(exchange.token, with: answer, at: at(7)) == nil)
        }
    }

    @Test func `an upstream that cannot be reached is SERVFAIL at once (anchor 12588)`() throws {
        let stub = try makeStub()
        let bytes = try query("a.org", .a, edns: EDNS())
        let exchange = try stub.forwarded(bytes, from: try asker())
        let reply = try #require(stub.finish(exchange.token, with: nil, at: at(0)))
        let message = try Message(reply.bytes.rawSpan)
        #expect(message.responseCode == .serverFailure)
        #expect(message.edns?.extendedErrors.map(\.code) == [23])
    }

    @Test func `at most a thousand wait, the oldest gives up`() throws {
        let stub = try makeStub()
        let first = try stub.forwarded(try query("a.org", .a), from: try streamAsker(77))
        for step in 0..<5_000 {
            _ = try stub.forwarded(
                try query("a.org", .a),
                from: try asker(),
                at: at(Double(step) / 10_000)
            )
            #expect(stub.inFlightCount <= 1_000)
        }
        let reply = try #require(stub.popReply())
        #expect(reply.asker == (try streamAsker(77)))
        let answer = try upstreamAnswer(to: first.bytes)
        #expect(stub.finish(first.token, with: answer, at: at(1)) == nil)
        stub.advance(to: at(10))
        #expect(stub.inFlightCount == 0)
    }

    @Test func `an answer is taken once`() throws {
        let stub = try makeStub()
        let exchange = try stub.forwarded(try query("a.org", .a), from: try asker())
        let answer = try upstreamAnswer(to: exchange.bytes)
        let first = stub.finish(exchange.token, with: answer, at: at(0))
        #expect(first != nil)
        let second = try stub.forwarded(try query("b.org", .a), from: try asker())
        #expect(second.token != exchange.token)
        #expect(stub.finish(exchange.token, with: answer, at: at(0)) == nil)
        #expect(stub.inFlightCount == 1)
    }
}
