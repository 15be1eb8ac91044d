import Bytes
import SansIO
import Testing

@testable import Relay

@Suite("Tables against slow models")
struct TableTests {
    @Test("an open table finds what a dictionary finds, through growth and removal")
    func openTable() {
        var random = RandomSource(seed: 3)
        var table = OpenTable<PeerKey>(from: &random)
        var model: [Endpoint: UInt32] = [:]
        for step in 0..<40_000 {
            // Few keys, so that they come and go and collide; at times many.
            let spread: UInt64 = step % 10_000 < 5_000 ? 60 : 2_000
            let word = random.next() % spread
            let place = Endpoint(high: word & 1, low: word, port: UInt16(word % 7))
            let key = PeerKey(allocation: UInt32(word % 3), peer: place)
            switch random.next() % 3 {
            case 0:
                table.insert(UInt32(step), for: key)
                model[place] = UInt32(step)
            case 1:
                table.remove(key)
                model[place] = nil
            default: #expect(table.find(key) == model[place])
            }
        }
        #expect(table.count == model.count)
        for (place, value) in model {
            let key = PeerKey(allocation: UInt32(place.low % 3), peer: place)
            #expect(table.find(key) == value)
        }
    }

    @Test("a pool gives numbers back, and never more than its bound")
    func pool() {
        var pool = Pool<Int>(countMax: 3)
        let numbers = (0..<4).map { pool.insert($0) }
        #expect(numbers == [0, 1, 2, nil])
        #expect(pool.isFull)
        pool.remove(1)
        #expect(pool.count == 2)
        #expect(pool.insert(9) == 1)
        #expect(pool[1] == 9)
        #expect(pool[2] == 2)
    }

    @Test("ports are drawn from the range, each once, the barred one never")
    func ports() {
        var random = RandomSource(seed: 5)
        var table = PortTable(100...199, besides: 150)
        var given: Set<UInt16> = []
        while let port = table.pick(isEven: false, isPair: false, using: &random) {
            #expect((100...199).contains(port))
            #expect(given.insert(port).inserted)
            table.give(port, to: 7)
        }
        #expect(given.count == 99)
        #expect(!given.contains(150))
        table.free(151)
        #expect(table.pick(isEven: true, isPair: false, using: &random) == nil)
        table.free(152)
        #expect(table.pick(isEven: true, isPair: true, using: &random) == nil)
        table.free(153)
        #expect(table.pick(isEven: true, isPair: true, using: &random) == 152)
        table.change(to: 100...199, besides: 99)
        #expect(table.isFree(150))
    }
}
