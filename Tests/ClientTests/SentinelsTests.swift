import Bytes
import Client
import DNS
import IP
import Testing

@Suite struct SentinelsTests {
    private func made(_ upstreams: [String]) throws -> Sentinels {
        var sentinels = Sentinels(ranges: Plan.sentinels)
        sentinels.update(upstreams: try upstreams.map(upstream))
        return sentinels
    }

    private func texts(_ sentinels: Sentinels) -> [String] {
        sentinels.mappings.map { "\($0.sentinel) \($0.upstream)" }
    }

    @Test func `each upstream has a sentinel of its family, in order, duplicates removed`() throws {
        let sentinels = try made([
            "192.0.2.2:53", "[2001:db8::53]:53", "192.0.2.1:53", "192.0.2.2:53",
        ])
        #expect(
            texts(sentinels) == [
                "100.100.111.1 192.0.2.2",
                "fd00:2021:1111:8000:100:100:111:1 2001:db8::53",
                "100.100.111.2 192.0.2.1",
            ]
        )
        #expect(
            sentinels.upstream(of: try address("100.100.111.2")) == (try upstream("192.0.2.1:53"))
        )
    }

    @Test func `a sentinel is never an upstream (no loops)`() throws {
        let sentinels = try made([
            "100.100.111.7:53", "192.0.2.1:53", "[fd00:2021:1111:8000:100:100:111:9]:53",
        ])
        #expect(texts(sentinels) == ["100.100.111.1 192.0.2.1"])
    }

    @Test func `another set gets addresses that were not in use (anchor 4275)`() throws {
        var sentinels = try made(["192.0.2.1:53", "192.0.2.2:53"])
        let before = Set(sentinels.addresses)
        let changed = sentinels.update(upstreams: [try upstream("192.0.2.1:53")])
        #expect(changed)
        #expect(before.isDisjoint(with: sentinels.addresses))
        #expect(sentinels.upstream(of: try address("100.100.111.1")) == nil)
    }

    @Test func `the same set keeps its addresses, in the new order`() throws {
        var sentinels = try made(["192.0.2.1:53", "192.0.2.2:53"])
        let same = try ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.1:53"].map(upstream)
        let isChanged = sentinels.update(upstreams: same)
        #expect(!isChanged)
        sentinels.update(upstreams: try ["192.0.2.2:53", "192.0.2.1:53"].map(upstream))
        #expect(
            texts(sentinels) == ["100.100.111.2 192.0.2.2", "100.100.111.1 192.0.2.1"]
        )
    }

    @Test func `no more upstreams than the limit are taken, also after a change`() throws {
        var sentinels = Sentinels(ranges: Plan.sentinels)
        for round in 0..<4 as Range<UInt32> {
            let upstreams = (0..<200).map {
                Upstream(Endpoint(IPAddress(ipv4: 0x0a00_0000 + round << 16 + $0), port: 53))
            }
            sentinels.update(upstreams: upstreams)
            #expect(sentinels.mappings.count == Sentinels.Limits.upstreams)
            #expect(Set(sentinels.addresses).count == Sentinels.Limits.upstreams)
        }
    }

    @Test func `an address of the range is covered, in use or not`() throws {
        let sentinels = try made(["192.0.2.1:53"])
        #expect(sentinels.covers(try address("100.100.111.200")))
        #expect(!sentinels.covers(try address("100.100.112.1")))
    }
}
