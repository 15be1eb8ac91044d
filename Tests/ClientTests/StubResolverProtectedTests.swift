import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite struct StubResolverProtectedTests {
    @Test func `the four addresses are rotated, for each family by itself`() throws {
        let stub = try makeStub([("r", "example.com")])
        var firsts: [[String]] = [[], []]
        // Hosts ask for both families together.
        for step in 0..<8 {
            for (index, type) in [RecordType.a, .aaaa].enumerated() {
                let answer = try stub.ask("example.com", type, at: at(Double(step)))
                let addresses = try #require(answer).addressTexts
                #expect(Set(addresses).count == 4)
                firsts[index].append(addresses[0])
            }
        }
        for all in firsts {
            #expect(Set(all).count == 4)
            #expect(all[..<4] == all[4...])
        }
    }

    @Test func `a name that a resource joins or leaves changes sides at once`() throws {
        let stub = try makeStub()
        #expect(try stub.ask("a.example.com", .a) == nil)
        let resource = ProtectedName(id: "r", pattern: try NamePattern("*.example.com"))
        let isAdded = stub.setResource(resource)
        #expect(isAdded)
        let addresses = try stub.ask("a.example.com", .a)?.addressTexts
        let isAgain = stub.setResource(resource)
        #expect(!isAgain)
        let isRemoved = stub.removeResource("r")
        #expect(isRemoved)
        #expect(try stub.ask("a.example.com", .a) == nil)
        #expect(stub.resources(of: 0).isEmpty)
        // The mapping is kept for the case that it comes back (anchor 10104).
        _ = stub.setResources([resource])
        let again = try stub.ask("a.example.com", .a)?.addressTexts
        #expect(Set(try #require(again)) == Set(try #require(addresses)))
    }

    @Test func `a resource with another pattern takes other names (anchor 14545)`() throws {
        let stub = try makeStub([("r", "a.example.com")])
        _ = try stub.ask("a.example.com", .a)
        #expect(stub.resources(of: 0) == ["r"])
        _ = stub.setResources([ProtectedName(id: "r", pattern: try NamePattern("b.example.com"))])
        #expect(stub.resources(of: 0).isEmpty)
        #expect(try stub.ask("a.example.com", .a) == nil)
        #expect(try stub.ask("b.example.com", .a)?.answers.count == 4)
    }

    @Test func `another table brings its own names`() throws {
        let stub = try makeStub([("a", "a.x"), ("b", "b.x")])
        _ = try stub.ask("a.x", .a)
        #expect(stub.resources(of: 0) == ["a"])
        var table = ProxyTable(proxies: Plan.proxies, sentinels: Plan.sentinels)
        _ = table.assign(try Name(text: "b.x"), to: .exact, at: at(0))
        stub.replaceProxies(with: table)
        #expect(stub.resources(of: 0) == ["b"])
    }

    @Test func `all resources of a name are known, the most specific first`() throws {
        let stub = try makeStub([("c", "*.example.com"), ("b", "www.example.com"), ("a", "*.com")])
        _ = try stub.ask("www.example.com", .a)
        #expect(stub.resources(of: 0) == ["b", "c", "a"])
        _ = stub.removeResource("b")
        #expect(stub.resources(of: 0) == ["c", "a"])
        _ = stub.setResource(ProtectedName(id: "0", pattern: try NamePattern("*.example.com")))
        #expect(stub.resources(of: 0) == ["0", "c", "a"])
    }

    @Test func `the families of all resources of a name count together (anchor 14530)`() throws {
        let stub = try makeStub()
        let pattern = try NamePattern("example.com")
        let ipv4 = ProtectedName(id: "4", pattern: pattern, families: .ipv4)
        let ipv6 = ProtectedName(id: "6", pattern: try NamePattern("*.com"), families: .ipv6)
        _ = stub.setResources([ipv4])
        #expect(try stub.ask("example.com", .a)?.answers.count == 4)
        #expect(try stub.ask("example.com", .aaaa)?.answers.count == 0)
        // For names that are known already too (anchor 11891).
        _ = stub.setResources([ipv4, ipv6])
        #expect(try stub.ask("example.com", .a)?.answers.count == 4)
        #expect(try stub.ask("example.com", .aaaa)?.answers.count == 4)
        _ = stub.setResources([ipv6])
        #expect(try stub.ask("example.com", .a)?.answers.count == 0)
    }

    @Test func `no room for a name is SERVFAIL, and says so`() throws {
        let tiny = try #require(IPPrefix("100.96.0.0/29"))
        let table = ProxyTable(proxies: [tiny], sentinels: Plan.sentinels)
        let stub = try makeStub([("r", "a.x"), ("s", "b.x")], table: table)
        #expect(try stub.ask("a.x", .a)?.answers.count == 4)
        let refused = try #require(try stub.ask("b.x", .a, edns: EDNS()))
        #expect(refused.responseCode == .serverFailure)
        #expect(refused.edns?.extendedErrors.map(\.code) == [0])
    }

    @Test func `changes one by one and all at once end in the same resources`() throws {
        var random = RandomSource(seed: 5)
        let (whole, single) = (try makeStub(), try makeStub())
        let patterns = try ["*.x", "a.x", "b.x", "?.x", "**", "a.b.x"].map { try NamePattern($0) }
        let names = try ["a.x", "b.x", "a.b.x", "x", "y"].map { try Name(text: $0) }
        var current: [ProtectedName] = []
        for _ in 0..<200 {
            let id = ResourceID(String(random.next() % 8))
            let before = current
            current.removeAll { $0.id == id }
            if random.next() % 3 == 0 {
                let removed = single.removeResource(id)
                #expect(removed == (before.count != current.count))
            } else {
                let pattern = patterns[Int(random.next() % UInt64(patterns.count))]
                current.append(ProtectedName(id: id, pattern: pattern))
                _ = single.setResource(current[current.count - 1])
            }
            _ = whole.setResources(current)
            for name in names {
                let expected = whole.resources(of: name)
                #expect(single.resources(of: name) == expected)
                #expect(expected.count == current.count { $0.pattern.matches(name) })
            }
        }
    }
}
