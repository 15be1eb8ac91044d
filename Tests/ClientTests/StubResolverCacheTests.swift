import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("Kept answers of nameservers")
struct StubResolverCacheTests {
    /// Asks; where a nameserver is asked, it answers so.
    private func ask(
        _ stub: Stub,
        _ bytes: [UInt8],
        from asker: Asker? = nil,
        at now: Instant = at(0),
        _ change: (inout Message) throws -> Void = { _ in }
    ) throws -> (message: Message, isKept: Bool) {
        switch stub.resolve(bytes, from: try asker ?? (try ClientTests.asker()), at: now) {
        case .answer(let answer): return (try Message(answer.rawSpan), true)
        case .forward(let query):
            let answer = try upstreamAnswer(to: query.bytes, change)
            let reply = try #require(stub.finish(query.token, with: answer, at: now))
            return (try Message(reply.bytes.rawSpan), false)
        default: throw NotForwarded()
        }
    }

    private func isKept(_ stub: Stub, _ bytes: [UInt8], at now: Instant) throws -> Bool {
        try ask(stub, bytes, at: now).isKept
    }

    private func startOfAuthority(minimum: UInt32) throws -> RecordData {
        let name = try Name(text: "ns.org")
        return .soa(
            StartOfAuthority(
                server: name,
                mailbox: name,
                serial: 1,
                refresh: 2,
                retry: 3,
                expire: 4,
                minimum: minimum
            )
        )
    }

    @Test("are given for their time to live, which counts down; ID and case are the asker's")
    func positive() throws {
        let stub = try makeStub()
        #expect(try !ask(stub, try query("a.org", .a, id: 1)).isKept)
        let (message, isKept) = try ask(stub, try query("A.Org", .a, id: 2), at: at(100.9))
        #expect(isKept)
        #expect(message.header.id == 2)
        #expect(message.questions[0].name.description == "A.Org")
        #expect(message.answers[0].timeToLive == 200)
        #expect(message.addressTexts == ["203.0.113.7"])
        #expect(try !ask(stub, try query("a.org", .aaaa), at: at(101)).isKept)
        #expect(try !ask(stub, try query("a.org", .a), at: at(301.5)).isKept)
        let status = stub.cacheStatus
        #expect(status.hits == 1 && status.misses == 3 && status.count == 1)
    }

    @Test("RFC 2308 5: absence is kept by the SOA, and not without one")
    func negative() throws {
        for code in [ResponseCode.nameError, .noError] {
            let stub = try makeStub()
            let zone = try Name(text: "org")
            let soa = Record(zone, timeToLive: 900, try startOfAuthority(minimum: 60))
            let asked = try query("no.org", .a)
            _ = try ask(stub, asked) { message in
                message.responseCode = code
                (message.answers, message.authorities) = ([], [soa])
            }
            let (message, isKept) = try ask(stub, asked, at: at(59))
            #expect(isKept && message.responseCode == code && message.authorities.count == 1)
            #expect(try !ask(stub, asked, at: at(62)).isKept)
            _ = try ask(stub, try query("no2.org", .a)) { message in
                message.responseCode = code
                message.answers = []
            }
            #expect(try !self.isKept(stub, try query("no2.org", .a), at: at(1)))
        }
    }

    @Test("an alias without the records asked for is an absence")
    func danglingAlias() throws {
        let stub = try makeStub()
        let asked = try query("a.org", .a)
        _ = try ask(stub, asked) { message in
            message.answers = [
                Record(message.questions[0].name, timeToLive: 300, .cname(try Name(text: "b.org")))
            ]
        }
        #expect(try !isKept(stub, asked, at: at(1)))
    }

    @Test("errors, cut answers and those without lifetime are not kept")
    func unkept() throws {
        let changes: [(inout Message) throws -> Void] = [
            { $0.responseCode = .serverFailure }, { $0.responseCode = .refused },
            { $0.header.isTruncated = true }, { $0.answers[0].timeToLive = 0 },
            { $0.answers[0].timeToLive = 0x8000_0001 },
            { message in
                message.edns = EDNS()
                message.responseCode = .badVersion
            },
        ]
        for change in changes {
            let stub = try makeStub()
            let asked = try query("a.org", .a, edns: EDNS())
            _ = try ask(stub, asked, change)
            #expect(try !isKept(stub, asked, at: at(0.1)))
        }
    }

    @Test("OPT comes only to who sent one; cookies, padding and client-subnet to nobody else")
    func options() throws {
        let stub = try makeStub()
        let subnet = EDNS.Option(code: 8, value: [0, 1, 24, 24, 192, 0, 2])
        let cookie = EDNS.Option(code: 10, value: Array(1...16))
        let blocked = ExtendedError(code: 15, text: "blocked")
        _ = try ask(stub, try query("a.org", .a, edns: EDNS(options: [cookie]))) { message in
            let padding = EDNS.Option(code: 12, value: [0, 0])
            message.edns = EDNS(options: [subnet, cookie, padding, blocked.option])
        }
        let plain = try ask(stub, try query("a.org", .a))
        #expect(plain.isKept && plain.message.edns == nil)
        let extended = try ask(stub, try query("a.org", .a, edns: EDNS()))
        #expect(extended.isKept && extended.message.edns == EDNS(options: [blocked.option]))
        // Who tells where he is asks for himself.
        let located = try query("a.org", .a, edns: EDNS(options: [subnet]))
        for _ in 0..<2 { #expect(try !ask(stub, located).isKept) }
        #expect(stub.cacheStatus.count == 1)
    }

    @Test("DO, CD and AD have answers of their own, and no recursion is no cache")
    func flags() throws {
        let stub = try makeStub()
        var asked: [[UInt8]] = []
        for isWanted in [false, true] {
            for bits in [UInt8(0), 0x10, 0x20, 0x30] {
                var bytes = try query("a.org", .a, edns: EDNS(isDNSSECWanted: isWanted))
                bytes[3] |= bits
                asked.append(bytes)
            }
        }
        for bytes in asked {
            #expect(try !isKept(stub, bytes, at: at(0)))
            #expect(try isKept(stub, bytes, at: at(0)))
        }
        var bytes = try query("a.org", .a)
        bytes[2] &= ~1
        for _ in 0..<2 { #expect(try !isKept(stub, bytes, at: at(0))) }
    }

    @Test("a signed query asks for itself")
    func signed() throws {
        let stub = try makeStub()
        let plain = try query("a.org", .a)
        #expect(try !isKept(stub, plain, at: at(0)))
        let signature = Record(
            try Name(text: "key"),
            timeToLive: 0,
            .other(RecordType(rawValue: 250), [1, 2, 3]),
            recordClass: .any
        )
        var message = try Message(plain.rawSpan)
        message.additionals = [signature]
        for _ in 0..<2 { #expect(try !isKept(stub, message.wire(), at: at(1))) }
        #expect(try isKept(stub, plain, at: at(1)))
    }

    @Test("each nameserver has its own: what one says is not told as another's")
    func routes() throws {
        let stub = try makeStub()
        _ = stub.setUpstreams(try ["192.0.2.1:53", "192.0.2.2:53"].map(upstream))
        let path = try asker().path
        let askers = stub.sentinels.addresses.map { Asker(sentinel: $0, path: path) }
        let asked = try query("a.org", .a)
        for (index, asker) in askers.enumerated() {
            _ = try ask(stub, asked, from: asker) { message in
                message.answers[0].data = .a(try address("203.0.113.\(index)"))
            }
        }
        for (index, asker) in askers.enumerated() {
            let (message, isKept) = try ask(stub, asked, from: asker)
            #expect(isKept && message.addressTexts == ["203.0.113.\(index)"])
        }
    }

    @Test("a large one is cut for the asker by UDP, and whole for the one by TCP")
    func sizes() throws {
        let stub = try makeStub()
        let text = Array(repeating: UInt8(97), count: 250)
        let asked = try query("a.org", .txt)
        _ = try ask(stub, asked, from: try streamAsker()) { message in
            let name = message.questions[0].name
            message.answers = [Record(name, timeToLive: 9, .txt([text, text, text]))]
        }
        let datagram = try ask(stub, asked)
        #expect(datagram.isKept && datagram.message.header.isTruncated)
        #expect(datagram.message.answers.isEmpty)
        let stream = try ask(stub, asked, from: try streamAsker())
        #expect(stream.isKept && stream.message.answers.count == 1)
    }

    @Test("for one second after its end it is given once more, while it is asked for anew")
    func stale() throws {
        let stub = try makeStub()
        let asked = try query("a.org", .a)
        _ = try ask(stub, asked)
        let first = try ask(stub, asked, at: at(300.4))
        #expect(first.isKept && first.message.answers[0].timeToLive == 0)
        #expect(stub.nextDeadline == Instant(nanoseconds: 0))
        let refresh = try #require(stub.popQuery())
        // Others hear the same, and ask nobody.
        #expect(try isKept(stub, asked, at: at(300.5)))
        #expect(stub.popQuery() == nil)
        let answer = try upstreamAnswer(to: refresh.bytes) { message in
            message.answers[0].data = .a(try address("203.0.113.99"))
        }
        #expect(stub.finish(refresh.token, with: answer, at: at(300.6)) == nil)
        let next = try ask(stub, asked, at: at(301.5))
        #expect(next.isKept && next.message.addressTexts == ["203.0.113.99"])
        #expect(stub.cacheStatus.staleHits == 2)
    }

    @Test("a dead nameserver ends that, and is silent as before")
    func staleEnds() throws {
        let stub = try makeStub()
        let asked = try query("a.org", .a)
        _ = try ask(stub, asked)
        #expect(try isKept(stub, asked, at: at(300)))
        let refresh = try #require(stub.popQuery())
        #expect(stub.finish(refresh.token, with: nil, at: at(300)) == nil)
        _ = try stub.forwarded(asked, from: try asker(), at: at(301.1))
        stub.advance(to: at(400))
        #expect(stub.popReply() == nil && stub.inFlightCount == 0)
    }

    @Test("changes of resources and nameservers, a flush and the switch empty it")
    func emptied() throws {
        let stub = try makeStub()
        let asked = try query("a.org", .a)
        let resource = ProtectedName(id: "r", pattern: try NamePattern("b.org"))
        let changes: [() throws -> Void] = [
            { _ = stub.setResource(resource) }, { _ = stub.removeResource("r") },
            { _ = stub.setResources([resource]) },
            { _ = stub.setUpstreams([try upstream("192.0.2.53:53"), try upstream("1.2.3.4:53")]) },
            { _ = stub.setUpstreams([try upstream("192.0.2.53:53")]) },
            { stub.setTunnelUpstreams([Upstream(try endpoint("192.0.2.53:53"))]) },
            { stub.flushCache() },
            {
                stub.isCacheEnabled = false
                stub.isCacheEnabled = true
            },
        ]
        for change in changes {
            let sentinel = try #require(stub.sentinels.addresses.first)
            let asker = Asker(sentinel: sentinel, path: try asker().path)
            _ = try ask(stub, asked, from: asker)
            #expect(try ask(stub, asked, from: asker).isKept)
            // An answer on its way belongs to the time before.
            let late = try stub.forwarded(try query("c.org", .a), from: asker)
            try change()
            #expect(stub.cacheStatus.count == 0)
            _ = stub.finish(late.token, with: try upstreamAnswer(to: late.bytes), at: at(0))
            #expect(stub.cacheStatus.count == 0)
        }
        stub.isCacheEnabled = false
        let sentinel = try #require(stub.sentinels.addresses.first)
        let asker = Asker(sentinel: sentinel, path: try asker().path)
        for _ in 0..<2 { #expect(try !ask(stub, asked, from: asker).isKept) }
    }

    @Test("its bytes are bounded, and what is asked for again outlives what is not")
    func bound() throws {
        let stub = try makeStub()
        let text = Array(repeating: UInt8(97), count: 250)
        let data = RecordData.txt(Array(repeating: text, count: 40))
        for step in 0..<1_500 {
            let asked = try query("n\(step).org", .txt)
            _ = try ask(stub, asked, from: try streamAsker()) { message in
                message.answers = [Record(message.questions[0].name, timeToLive: 9_999, data)]
            }
            let favourite = try query("n7.org", .txt)
            if step >= 7 { _ = try isKept(stub, favourite, at: at(1)) }
            #expect(stub.cacheStatus.byteCount <= 8 << 20)
        }
        let status = stub.cacheStatus
        #expect(status.evictions > 500 && status.count > 700)
        #expect(try isKept(stub, try query("n7.org", .txt), at: at(2)))
        #expect(try isKept(stub, try query("n1499.org", .txt), at: at(2)))
        #expect(try !isKept(stub, try query("n8.org", .txt), at: at(2)))
    }

    @Test("an OPT that is not the last record stays where it is: such answers are not kept")
    func misplacedOPT() throws {
        let stub = try makeStub()
        let asked = try query("a.org", .a, edns: EDNS())
        let sent = try stub.forwarded(asked, from: try asker())
        var answer = try upstreamAnswer(to: sent.bytes)
        answer[11] = 2
        answer += [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
        answer += [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]
        #expect(stub.finish(sent.token, with: answer, at: at(0)) != nil)
        #expect(stub.cacheStatus.count == 0)
    }
}
