import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("Addresses that the host has already")
struct StubResolverConflictTests {
    private func networks(_ texts: [String]) throws -> [IPPrefix] {
        try texts.map { try #require(IPPrefix($0)) }
    }

    private func addresses(_ stub: Stub, _ name: String) throws -> Set<String> {
        let answers = try [RecordType.a, .aaaa].flatMap { type in
            try #require(try stub.ask(name, type)).addressTexts
        }
        return Set(answers)
    }

    @Test("do not become proxy addresses, in either family")
    func proxies() throws {
        let stub = try makeStub([("r", "**.x")])
        // The second and the fourth block of four.
        stub.setConflicts(try networks(["100.96.0.6/32", "fd00:2021:1111:8000::e/128"]))
        var all: Set<String> = []
        for step in 0..<4 { all.formUnion(try addresses(stub, "n\(step).x")) }
        #expect(all.count == 32)
        #expect(all.contains("100.96.0.4") && all.contains("100.96.0.9"))
        #expect(!all.contains("100.96.0.5") && !all.contains("100.96.0.6"))
        #expect(!all.contains("fd00:2021:1111:8000::e") && !all.contains("100.96.0.13"))
    }

    @Test("a name that has one gets others when it is asked for again, and gateways hear of it")
    func moves() throws {
        let stub = try makeStub([("r", "**.x")])
        let before = try addresses(stub, "a.x")
        let others = try addresses(stub, "b.x")
        stub.setConflicts(try networks(["100.96.0.2/32"]))
        let after = try addresses(stub, "a.x")
        #expect(before.isDisjoint(with: after) && after.count == 8)
        #expect(try addresses(stub, "b.x") == others)
        let release = stub.proxies.popRelease()
        #expect(release?.name.description == "a.x")
        #expect(Set(release?.addresses.map(\.description) ?? []) == before)
    }

    @Test("are handed out once they are free again")
    func freed() throws {
        let tiny = try #require(IPPrefix("100.96.0.0/28"))
        let table = ProxyTable(proxies: [tiny], sentinels: Plan.sentinels)
        let stub = try makeStub([("a", "a.x"), ("b", "b.x"), ("c", "c.x")], table: table)
        stub.setConflicts(try networks(["100.96.0.5/32"]))
        let free = try ["a.x", "b.x", "c.x"].map { try stub.ask($0, .a)?.answers.count }
        #expect(free == [4, 4, 0])
        stub.setConflicts([])
        #expect(try stub.ask("c.x", .a)?.addressTexts.contains("100.96.0.5") == true)
    }

    @Test("a network that contains the whole range leaves nothing to choose")
    func whole() throws {
        let stub = try makeStub([("r", "**.x")])
        stub.setConflicts(try networks(["100.64.0.0/10", "100.96.0.0/11"]))
        #expect(try addresses(stub, "a.x").contains("100.96.0.1"))
    }

    @Test("do not become sentinels")
    func sentinels() throws {
        let stub = try makeStub()
        stub.setConflicts(try networks(["100.100.111.0/29"]))
        _ = stub.setUpstreams([try upstream("192.0.2.1:53")])
        #expect(stub.sentinels.addresses == [try address("100.100.111.8")])
    }
}
