import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("Zones with nameservers of their own")
struct StubResolverZoneTests {
    private func zone(_ name: String, _ upstreams: [String]) throws -> ForwardZone {
        ForwardZone(name: try Name(text: name), upstreams: upstreams.compactMap { Upstream($0) })
    }

    private func made(_ upstreams: [String] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) throws -> Stub {
        let stub = try makeStub([("r", "wiki.corp.org")])
        _ = stub.setZones([try zone("corp.org", upstreams)])
        return stub
    }

    private func first(_ stub: Stub, at now: Instant = at(0)) throws -> UpstreamQuery {
        try stub.forwarded(try query("a.corp.org", .a), from: try asker(), at: now)
    }

    private func text(_ query: UpstreamQuery?) -> String? { query?.upstream.description }

    @Test("the more specific zone wins, a protected name beats both")
    func order() throws {
        let stub = try made(["10.0.0.1"])
        let isChanged = stub.setZones([
            try zone("corp.org", ["10.0.0.1"]), try zone("lab.corp.org", ["10.0.0.2"]),
        ])
        #expect(isChanged)
        let expected = [
            "corp.org": "10.0.0.1", "a.b.CORP.org": "10.0.0.1", "lab.corp.org": "10.0.0.2",
            "x.lab.corp.org": "10.0.0.2", "xcorp.org": "192.0.2.53", "org": "192.0.2.53",
        ]
        for name in expected.keys.sorted() {
            let query = try stub.forwarded(try query(name, .mx), from: try streamAsker())
            #expect(text(query) == expected[name])
            #expect(query.transport == .stream)
        }
        #expect(try stub.ask("wiki.corp.org", .a)?.answers.count == 4)
        let isSame = stub.setZones([
            try zone("corp.org", ["10.0.0.1"]), try zone("lab.corp.org", ["10.0.0.2"]),
        ])
        #expect(!isSame)
    }

    @Test("a zone beats what is local else: private addresses, .local")
    func local() throws {
        let stub = try makeStub()
        #expect(try stub.ask("1.0.0.10.in-addr.arpa", .ptr)?.responseCode == .nameError)
        #expect(try stub.ask("dc.corp.local", .a)?.responseCode == .nameError)
        _ = stub.setZones([
            try zone("10.in-addr.arpa", ["10.0.0.53"]), try zone("corp.local", ["10.0.0.53"]),
        ])
        for (name, type) in [("1.0.0.10.in-addr.arpa", RecordType.ptr), ("dc.corp.local", .a)] {
            let query = try stub.forwarded(try query(name, type), from: try asker())
            #expect(text(query) == "10.0.0.53")
        }
        #expect(try stub.ask("printer.local", .a)?.responseCode == .nameError)
    }

    @Test("a sentinel among a zone's nameservers would be a loop")
    func loop() throws {
        let stub = try makeStub()
        let isChanged = stub.setZones([try zone("corp.org", ["100.100.111.1"])])
        #expect(!isChanged)
        #expect(text(try first(stub)) == "192.0.2.53")
    }

    @Test("silence of a second asks the next one too; whoever answers first is heard")
    func silence() throws {
        let stub = try made()
        let one = try first(stub)
        #expect(text(one) == "10.0.0.1")
        #expect(stub.nextDeadline == at(1))
        stub.advance(to: at(1))
        let two = try #require(stub.popQuery())
        #expect(text(two) == "10.0.0.2" && two.token != one.token)
        // The first one was slow, not dead.
        let answer = try upstreamAnswer(to: one.bytes)
        let reply = try #require(stub.finish(one.token, with: answer, at: at(1.5)))
        #expect(try Message(reply.bytes.rawSpan).addressTexts == ["203.0.113.7"])
        #expect(stub.finish(two.token, with: answer, at: at(1.6)) == nil)
        #expect(stub.inFlightCount == 0 && stub.nextDeadline == nil)
    }

    @Test("one that kept silent is asked last for half a minute, or until it answers")
    func health() throws {
        let stub = try made(["10.0.0.1", "10.0.0.2"])
        _ = try first(stub)
        stub.advance(to: at(1))
        let two = try #require(stub.popQuery())
        let answer = try upstreamAnswer(to: two.bytes)
        _ = stub.finish(two.token, with: answer, at: at(1.1))
        stub.isCacheEnabled = false
        #expect(text(try first(stub, at: at(2))) == "10.0.0.2")
        #expect(text(try first(stub, at: at(30.9))) == "10.0.0.2")
        #expect(text(try first(stub, at: at(31))) == "10.0.0.1")
    }

    @Test("SERVFAIL and a refused connection ask the next one at once; the last one's is told")
    func failures() throws {
        let stub = try made()
        let one = try first(stub)
        #expect(stub.finish(one.token, with: nil, at: at(0.1)) == nil)
        let two = try #require(stub.popQuery())
        #expect(text(two) == "10.0.0.2")
        let failure = try upstreamAnswer(to: two.bytes) { message in
            message.responseCode = .serverFailure
            message.answers = []
        }
        #expect(stub.finish(two.token, with: failure, at: at(0.2)) == nil)
        let three = try #require(stub.popQuery())
        #expect(text(three) == "10.0.0.3")
        let refusal = try upstreamAnswer(to: three.bytes) { message in
            message.responseCode = .refused
            message.answers = []
        }
        let reply = try #require(stub.finish(three.token, with: refusal, at: at(0.3)))
        #expect(try Message(reply.bytes.rawSpan).responseCode == .refused)
        #expect(stub.popQuery() == nil && stub.inFlightCount == 0)
    }

    @Test("a failure waits for those that may answer still")
    func outstanding() throws {
        let stub = try made(["10.0.0.1", "10.0.0.2"])
        let one = try first(stub)
        stub.advance(to: at(1))
        let two = try #require(stub.popQuery())
        #expect(stub.finish(two.token, with: nil, at: at(1.1)) == nil)
        #expect(stub.inFlightCount == 1)
        let answer = try upstreamAnswer(to: one.bytes)
        #expect(stub.finish(one.token, with: answer, at: at(1.2)) != nil)
    }

    @Test("all silent is SERVFAIL after five seconds: another sentinel would not help")
    func allSilent() throws {
        for upstreams in [["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]] {
            let stub = try made(upstreams)
            let bytes = try query("a.corp.org", .a, edns: EDNS())
            var asked = [text(try stub.forwarded(bytes, from: try asker()))]
            for second in 1...5 {
                stub.advance(to: at(Double(second)))
                if let query = stub.popQuery() { asked.append(text(query)) }
            }
            #expect(asked == (0..<5).map { upstreams[$0 % upstreams.count] })
            let reply = try #require(stub.popReply())
            let message = try Message(reply.bytes.rawSpan)
            #expect(message.responseCode == .serverFailure)
            #expect(message.edns?.extendedErrors.map(\.code) == [22])
            #expect(stub.inFlightCount == 0 && stub.nextDeadline == nil)
        }
    }

    @Test("zones that change while a query is under way end it in good order")
    func changed() throws {
        let stub = try made()
        let one = try first(stub)
        _ = stub.setZones([])
        #expect(stub.finish(one.token, with: nil, at: at(0.5)) != nil)
        let two = try first(stub)
        #expect(text(two) == "192.0.2.53")
        _ = stub.setZones([try zone("corp.org", ["10.0.0.9"])])
        let three = try first(stub)
        _ = stub.setZones([])
        stub.advance(to: at(1))
        #expect(stub.popQuery() == nil)
        #expect(stub.popReply() != nil)
        #expect(stub.finish(three.token, with: nil, at: at(2)) == nil)
    }

    @Test("the admin's zones come before those of the host's links, which go around the tunnel")
    func links() throws {
        let stub = try made(["10.0.0.1"])
        let upstreams = ["10.0.0.1", "10.8.0.1"].compactMap { Upstream($0) }
        let zones = try ["lab.corp.org", "vpn.net"].map {
            ForwardZone(name: try Name(text: $0), upstreams: upstreams, isHosts: true)
        }
        _ = stub.setZones([try zone("corp.org", ["10.0.0.1"])] + zones)
        stub.setTunnelUpstreams(Set(upstreams))
        let admins = try stub.forwarded(try query("a.lab.corp.org", .a), from: try asker())
        #expect(text(admins) == "10.0.0.1" && admins.isInTunnel)
        let links = try stub.forwarded(try query("a.vpn.net", .a), from: try asker())
        #expect(text(links) == "10.0.0.1" && !links.isInTunnel)
        #expect(try stub.explain("a.lab.corp.org").rule == .zone)
        #expect(try stub.explain("vpn.net").rule == .link)
        #expect(try stub.explain("vpn.net").nameservers.allSatisfy { !$0.isInTunnel })
    }

    @Test("a name that is taken over on its round is told to no further nameserver")
    func takenOver() throws {
        for isSilent in [true, false] {
            let stub = try made()
            let one = try first(stub)
            _ = stub.setResource(ProtectedName(id: "a", pattern: try NamePattern("a.corp.org")))
            var reply: StubResolver.Reply?
            if isSilent {
                stub.advance(to: at(1))
                reply = stub.popReply()
            } else {
                reply = stub.finish(one.token, with: nil, at: at(0.1))
            }
            #expect(stub.popQuery() == nil && stub.inFlightCount == 0)
            let bytes = try #require(reply).bytes
            #expect(try Message(bytes.rawSpan).answers.count == 4)
        }
    }

    @Test("an answer of a zone is kept for the zone, whoever of its nameservers gave it")
    func kept() throws {
        let stub = try made(["10.0.0.1", "10.0.0.2"])
        let one = try first(stub)
        _ = stub.finish(one.token, with: try upstreamAnswer(to: one.bytes), at: at(0))
        #expect(try stub.ask("a.corp.org", .a, at: at(1))?.addressTexts == ["203.0.113.7"])
    }

    @Test("nameservers in resources are asked through the tunnel")
    func tunnel() throws {
        let stub = try made(["10.0.0.1", "tls://dns.corp.org"])
        let upstream = try #require(Upstream("10.0.0.1"))
        stub.setTunnelUpstreams([upstream])
        #expect(try first(stub).isInTunnel)
        stub.advance(to: at(1))
        #expect(stub.popQuery()?.isInTunnel == false)
        #expect(try !stub.forwarded(try query("b.org", .a), from: try asker()).isInTunnel)
    }
}
