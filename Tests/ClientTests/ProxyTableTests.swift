import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite struct ProxyTableTests {
    private func table() -> ProxyTable {
        ProxyTable(proxies: Plan.proxies, sentinels: Plan.sentinels)
    }

    private func name(_ index: Int) throws -> Name { try Name(text: "n\(index).example.com") }

    @Test func `a name gets four addresses of each family, in sequence, and keeps them`() throws {
        var table = table()
        let first = try #require(table.assign(try name(1), to: .exact, at: at(0)))
        let second = try #require(table.assign(try name(2), to: .exact, at: at(0)))
        #expect(
            table.addresses(of: first, .ipv4).map(\.description)
                == ["100.96.0.1", "100.96.0.2", "100.96.0.3", "100.96.0.4"]
        )
        #expect(
            table.addresses(of: second, .ipv6).map(\.description)
                == (5...8).map { "fd00:2021:1111:8000::\($0)" }
        )
        #expect(table.assign(try Name(text: "N1.example.COM"), to: .exact, at: at(9)) == first)
        #expect(table.count == 2)
    }

    @Test func `RFC 4291 2.6.1: the first address of a range stands for nothing`() throws {
        var table = table()
        _ = table.assign(try name(1), to: .exact, at: at(0))
        #expect(table.place(of: try address("fd00:2021:1111:8000::")) == nil)
        #expect(table.place(of: try address("100.96.0.0")) == nil)
        #expect(table.covers(try address("100.96.0.0")))
    }

    @Test func `an address tells its name, family and place`() throws {
        var table = table()
        for index in 0..<9 { _ = table.assign(try name(index), to: .exact, at: at(0)) }
        for slot in 0..<9 {
            for family in IPFamily.allCases {
                for (index, address) in table.addresses(of: slot, family).enumerated() {
                    let place = try #require(table.place(of: address))
                    #expect(place.slot == slot)
                    #expect(place.index == index)
                    #expect(place.family == family)
                    #expect(place.name == (try name(slot)))
                }
            }
        }
        #expect(table.place(of: try address("100.96.0.37")) == nil)
        #expect(table.place(of: try address("100.95.255.255")) == nil)
        #expect(table.place(of: try address("203.0.113.1")) == nil)
    }

    @Test func `no proxy is a sentinel (anchor 4200), and none is handed out twice`() throws {
        // The sentinels lie in the middle.
        let proxies = [try #require(IPPrefix("100.100.96.0/19")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        var seen = Set<IPAddress>()
        for index in 0..<3_000 {
            guard let slot = table.assign(try name(index), to: .exact, at: at(0)) else { break }
            for address in table.addresses(of: slot, .ipv4) + table.addresses(of: slot, .ipv6) {
                if Plan.sentinels.contains(where: { $0.contains(address) })
                    || seen.contains(address)
                {
                    Issue.record("\(address) was handed out")
                }
                seen.insert(address)
            }
        }
        // 8,192 addresses less first and last make 2,047 blocks; 65 of them touch a sentinel.
        #expect(table.count == 2_047 - 65)
        #expect(table.capacity == 2_047 - 65)
        #expect(table.refusedCount == 1)
        #expect(table.place(of: try address("100.100.111.77")) == nil)
    }

    @Test func `a release is told, and the addresses rest unanswered for a day`() throws {
        let proxies = [try #require(IPPrefix("100.96.0.0/27")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        #expect(table.capacity == 7)
        for index in 0..<7 { _ = table.assign(try name(index), to: .exact, at: at(Double(index))) }
        let noRoom = table.assign(try name(7), to: .exact, at: at(10))
        #expect(noRoom == nil)
        // A day later, while room is scarce, the oldest go until half is free.
        let deadline = try #require(table.nextDeadline)
        table.notePacket(0, at: at(86_400))
        table.advance(to: max(deadline, at(90_000)))
        var released: [Int] = []
        while let release = table.popRelease() {
            released.append(release.slot)
            #expect(release.addresses.count == 8)
            #expect(table.place(of: release.addresses[0]) == nil)
        }
        #expect(released == [1, 2, 3, 4])
        #expect(table.restingCount == 4)
        let resting = table.assign(try name(7), to: .exact, at: at(90_000 + 86_399))
        #expect(resting == nil)
        let rested = table.assign(try name(7), to: .exact, at: at(90_000 + 86_401))
        #expect(rested == 1)
        #expect(table.slot(of: try name(0)) == 0)
    }

    @Test func `while room is ample a name keeps its addresses for good`() throws {
        var table = table()
        let slot = try #require(table.assign(try name(1), to: .exact, at: at(0)))
        #expect(table.nextDeadline == nil)
        table.advance(to: at(400 * 86_400))
        #expect(table.assign(try name(1), to: .exact, at: at(400 * 86_400)) == slot)
    }

    @Test func `one wildcard holds a quarter at most, its least recently used name goes`() throws {
        let proxies = [try #require(IPPrefix("100.96.0.0/24")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        #expect(table.capacity == 63)
        for index in 0..<15 { _ = table.assign(try name(index), to: .wildcard("w"), at: at(0)) }
        #expect(table.count == 15)
        // Name 0 has a flow, name 1 is asked for again: name 2 goes.
        table.notePacket(0, at: at(1))
        table.touch(1, at: at(1))
        let slot = table.assign(try name(15), to: .wildcard("w"), at: at(2))
        #expect(slot == 15)
        #expect(table.slot(of: try name(2)) == nil)
        #expect(table.popRelease()?.name == (try name(2)))
        #expect(table.count == 15)
    }

    @Test func `a hammered wildcard leaves room for other ones and for exact names`() throws {
        let proxies = [try #require(IPPrefix("100.96.0.0/24")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        var answered = 0
        for index in 0..<5_000
        where table.assign(try name(index), to: .wildcard("w"), at: at(1)) != nil {
            answered += 1
        }
        // A quarter in use and as much at rest.
        #expect(answered == 30)
        #expect(table.count + table.restingCount == 30)
        for index in 5_000..<9_000 {
            _ = table.assign(try name(index), to: .wildcard("v"), at: at(1))
        }
        #expect(table.count + table.restingCount == 63 - 15)
        for index in 0..<15 {
            let exact = try Name(text: "exact\(index).example")
            #expect(table.assign(exact, to: .exact, at: at(2)) != nil)
        }
    }

    @Test func `names with flows do not go, the new one is refused`() throws {
        let proxies = [try #require(IPPrefix("100.96.0.0/24")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        for index in 0..<15 {
            let slot = try #require(table.assign(try name(index), to: .wildcard("w"), at: at(0)))
            table.notePacket(slot, at: at(0))
        }
        let refused = table.assign(try name(99), to: .wildcard("w"), at: at(7_439))
        #expect(refused == nil)
        let taken = table.assign(try name(99), to: .wildcard("w"), at: at(7_441))
        #expect(taken != nil)
    }

    @Test func `a family counts as absent only when the other one is known`() throws {
        var table = table()
        let slot = try #require(table.assign(try name(1), to: .exact, at: at(0)))
        #expect(!table.isAbsent(.ipv6, at: slot))
        table.setFamilies(of: slot, ipv4: true, ipv6: false)
        #expect(table.isAbsent(.ipv6, at: slot))
        #expect(!table.isAbsent(.ipv4, at: slot))
        table.setFamilies(of: slot, ipv4: false, ipv6: false)
        #expect(!table.isAbsent(.ipv6, at: slot))
    }
}
