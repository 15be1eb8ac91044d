import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("A flood of random names under one wildcard")
struct StubResolverFloodTests {
    @Test("takes a quarter of the addresses at most; other names are served as before")
    func flood() throws {
        let range = try #require(IPPrefix("100.96.0.0/22"))
        let table = ProxyTable(proxies: [range], sentinels: Plan.sentinels)
        let resources = [("w", "*.wild.x"), ("o", "*.other.x"), ("e", "git.x")]
        let stub = try makeStub(resources, table: table)
        let quarter = stub.proxies.capacity / 4
        let git = Set(try #require(try stub.ask("git.x", .a)).addressTexts)
        var random = RandomSource(seed: 10)
        var (served, refused, records) = (0, 0, 0)
        for step in 0..<4_000 {
            let now = at(Double(step) / 10)
            switch try stub.ask("n\(random.next()).wild.x", .a, at: now)?.responseCode {
            case .noError: served += 1
            case .serverFailure: refused += 1
            default: Issue.record("neither served nor refused")
            }
            while stub.proxies.popRecord() != nil { records += 1 }
            while stub.proxies.popRelease() != nil {}
            guard step % 100 == 0 else { continue }
            stub.advance(to: now)
            let again = try #require(try stub.ask("git.x", .a, at: now)).addressTexts
            #expect(Set(again) == git)
            #expect(try stub.ask("n\(step).other.x", .a, at: now)?.answers.count == 4)
            #expect(stub.proxies.restingCount <= quarter)
        }
        // A quarter in use, as many at rest, and one record or two for each.
        #expect(served == 2 * quarter && refused == 4_000 - served)
        #expect(stub.proxies.count <= quarter + 41)
        #expect(records < 5 * quarter)
        // What rested for a day serves again.
        let later = at(400 + 86_400)
        #expect(try stub.ask("late.wild.x", .a, at: later)?.answers.count == 4)
    }
}
