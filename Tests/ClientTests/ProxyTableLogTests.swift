import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite struct ProxyTableLogTests {
    private func empty() -> ProxyTable {
        ProxyTable(proxies: Plan.proxies, sentinels: Plan.sentinels)
    }

    private func reading(_ log: [UInt8], proxies: [IPPrefix] = Plan.proxies) -> ProxyTable {
        ProxyTable(reading: log.rawSpan, proxies: proxies, sentinels: Plan.sentinels, at: at(0))
    }

    private func name(_ index: Int) throws -> Name { try Name(text: "n\(index).example.com") }

    /// All records that wait, as one log; and how many of them are synced.
    private func drain(_ table: inout ProxyTable) -> (log: [UInt8], synced: Int) {
        var (log, synced) = ([UInt8](), 0)
        while let record = table.popRecord() {
            log += record.bytes
            synced += record.isSynced ? 1 : 0
        }
        return (log, synced)
    }

    @Test func `a restart keeps names, addresses and families`() throws {
        var table = empty()
        for index in 0..<20 { _ = table.assign(try name(index), to: .wildcard("w"), at: at(0)) }
        table.setFamilies(of: 3, ipv4: true, ipv6: false)
        let log = drain(&table).log
        for log in [log, table.write()] {
            var again = reading(log)
            #expect(again.count == 20)
            for index in 0..<20 { #expect(again.slot(of: try name(index)) == index) }
            #expect(again.isAbsent(.ipv6, at: 3))
            #expect(!again.isAbsent(.ipv6, at: 4))
            #expect(again.popRecord() == nil)
        }
    }

    @Test func `one record for each new name, none for another query`() throws {
        var table = empty()
        _ = table.assign(try name(1), to: .exact, at: at(0))
        _ = drain(&table)
        _ = table.assign(try name(1), to: .exact, at: at(1))
        #expect(table.popRecord() == nil)
        _ = table.assign(try name(2), to: .exact, at: at(1))
        #expect(table.popRecord()?.isSynced == false)
        #expect(table.popRecord() == nil)
    }

    @Test func `after a power loss nothing below the mark is handed out anew`() throws {
        var table = empty()
        for index in 0..<1_500 { _ = table.assign(try name(index), to: .exact, at: at(0)) }
        var survived: [UInt8] = []
        var synced = 0
        // The disk keeps what was synced, and by chance the name that came first.
        var names = 0
        while let record = table.popRecord() {
            let isName = record.bytes[1] == 3
            names += isName ? 1 : 0
            if record.isSynced || !isName || names == 1 { survived += record.bytes }
            synced += record.isSynced ? 1 : 0
        }
        #expect(synced == 2)
        var again = reading(survived)
        #expect(again.slot(of: try name(0)) == 0)
        let fresh = try #require(again.assign(try name(7), to: .exact, at: at(1)))
        #expect(fresh >= 1_500)
        #expect(again.addresses(of: fresh, .ipv4)[0].description == "100.96.32.1")
        // What was lost rests, and is not lost for good.
        #expect(again.restingCount == 2_047)
    }

    @Test func `a torn last record is passed over, and what is appended behind it counts`() throws {
        var table = empty()
        for index in 0..<3 { _ = table.assign(try name(index), to: .exact, at: at(0)) }
        let whole = drain(&table).log
        _ = table.assign(try name(3), to: .exact, at: at(0))
        let last = drain(&table).log
        for cut in 0..<last.count {
            let again = reading(whole + last.prefix(cut))
            #expect(again.count == 3)
            #expect(reading(whole + last.prefix(cut) + last).count == 4)
        }
    }

    @Test func `a log about other ranges is void`() throws {
        var table = empty()
        _ = table.assign(try name(1), to: .exact, at: at(0))
        let log = drain(&table).log
        let other = [try #require(IPPrefix("198.18.0.0/15")), Plan.proxies[1]]
        var again = reading(log, proxies: other)
        #expect(again.count == 0)
        _ = again.assign(try name(2), to: .exact, at: at(0))
        // Appended to the same file, the new ranges' header makes the old names void.
        let appended = log + drain(&again).log
        let third = reading(appended, proxies: other)
        #expect(third.count == 1)
        #expect(third.slot(of: try name(2)) == 0)
        #expect(reading(appended).count == 0)
    }

    @Test func `a recycled name is gone after a restart, and its addresses rest again`() throws {
        let proxies = [try #require(IPPrefix("100.96.0.0/27")), Plan.proxies[1]]
        var table = ProxyTable(proxies: proxies, sentinels: Plan.sentinels)
        for index in 0..<7 { _ = table.assign(try name(index), to: .exact, at: at(0)) }
        table.advance(to: at(90_000))
        let log = drain(&table).log
        var again = reading(log, proxies: proxies)
        #expect(again.count == 3)
        #expect(again.slot(of: try name(0)) == nil)
        let resting = again.assign(try name(0), to: .exact, at: at(86_399))
        #expect(resting == nil)
        let rested = again.assign(try name(0), to: .exact, at: at(86_401))
        #expect(rested == 0)
    }

    @Test func `any bytes and any mutation of a log read as a table that works`() throws {
        var table = empty()
        for index in 0..<30 { _ = table.assign(try name(index), to: .exact, at: at(0)) }
        let log = drain(&table).log
        var random = RandomSource(seed: 11)
        for _ in 0..<300 {
            var mutant = log
            for _ in 0..<5 {
                mutant[Int(random.next() % UInt64(mutant.count))] = UInt8(
                    truncatingIfNeeded: random.next()
                )
            }
            var again = reading(mutant)
            let slot = again.assign(try name(999), to: .exact, at: at(1))
            #expect(slot != nil)
            #expect(again.count <= 31)
        }
        #expect(reading(random.bytes(4_000)).count == 0)
        #expect(reading([]).count == 0)
    }
}
