import Client
import Control
import DNS
import IP
import Testing

@Suite("Which rule decides about a question")
struct StubResolverExplanationTests {
    @Test("is said for each of them, and nothing is changed by asking")
    func rules() throws {
        let stub = try makeStub([("b", "*.example.com"), ("a", "git.example.com")])
        let zone = ForwardZone(
            name: try Name(text: "corp.org"),
            upstreams: ["10.0.0.1", "tls://dns.corp.org"].compactMap { Upstream($0) }
        )
        _ = stub.setZones([zone])
        stub.setTunnelUpstreams(Set(zone.upstreams.prefix(1)))
        stub.setTunnelAddresses([try address("100.64.0.9")])
        let expected: [(String, RecordType, QueryExplanation.Rule)] = [
            ("localhost", .a, .special), ("use-application-dns.net", .a, .special),
            ("1.111.100.100.in-addr.arpa", .ptr, .ownAddress),
            ("9.0.64.100.in-addr.arpa", .ptr, .ownAddress),
            ("1.0.0.10.in-addr.arpa", .ptr, .privateReverse),
            ("git.example.com", .aaaa, .protected), ("git.example.com", .https, .protected),
            ("git.example.com", .txt, .site), ("a.corp.org", .a, .zone),
            ("printer.local", .a, .unserved), ("example.org", .mx, .upstream),
            ("example.org", RecordType(rawValue: 252), .refused),
        ]
        for (name, type, rule) in expected {
            #expect(try stub.explain(name, type).rule == rule, "\(name) \(type)")
        }
        #expect(stub.proxies.count == 0 && stub.cacheStatus.misses == 0)
    }

    @Test("with what it rests on")
    func grounds() throws {
        let stub = try makeStub([("b", "*.example.com"), ("a", "git.example.com")])
        var explanation = try stub.explain("git.example.com")
        #expect(explanation.resources == ["a", "b"] && explanation.pattern == "git.example.com")
        #expect(explanation.proxies.isEmpty)
        _ = try stub.ask("git.example.com", .a)
        explanation = try stub.explain("git.example.com")
        #expect(explanation.proxies.count == 8)

        let sent = try stub.forwarded(try query("a.org", .a), from: try asker())
        #expect(try stub.explain("a.org").keptSeconds == nil)
        _ = stub.finish(sent.token, with: try upstreamAnswer(to: sent.bytes), at: at(0))
        explanation = try stub.explain("A.org", at: at(100))
        #expect(explanation.keptSeconds == 200)
        #expect(explanation.nameservers.map(\.upstream) == ["192.0.2.53"])
        #expect(explanation.sentinel == (try address("100.100.111.1")))
        #expect(explanation.nameservers.allSatisfy { !$0.isDown && !$0.isInTunnel })
    }

    @Test("a silent nameserver of a zone is shown as such, and last")
    func zone() throws {
        let stub = try makeStub()
        let upstreams = ["10.0.0.1", "10.0.0.2"].compactMap { Upstream($0) }
        _ = stub.setZones([ForwardZone(name: try Name(text: "corp.org"), upstreams: upstreams)])
        stub.setTunnelUpstreams(Set(upstreams.prefix(1)))
        _ = try stub.forwarded(try query("a.corp.org", .a), from: try asker())
        stub.advance(to: at(1))
        let explanation = try stub.explain("b.corp.org", at: at(2))
        #expect(explanation.zone == "corp.org")
        #expect(explanation.nameservers.map(\.upstream) == ["10.0.0.2", "10.0.0.1"])
        #expect(explanation.nameservers.map(\.isDown) == [false, true])
        #expect(explanation.nameservers.map(\.isInTunnel) == [false, true])
    }

    @Test("without any nameserver nobody answers")
    func nobody() throws {
        let stub = try makeStub()
        _ = stub.setUpstreams([])
        #expect(try stub.explain("example.org").rule == .nobody)
    }
}
