import SansIO
import Testing

@Suite("Places by hash")
struct PlaceIndexTests {
    @Test("an index finds what a dictionary would, however many hashes fall together")
    func model() {
        var source = RandomSource(seed: 11)
        for spread in [1, 7, 64, 1 << 20] as [UInt64] {
            var index = PlaceIndex()
            var model: [Int: UInt32] = [:]
            for _ in 0..<4_000 {
                let place = Int(source.next() % 300)
                if let hash = model[place] {
                    index.remove(place, hash)
                    model[place] = nil
                } else {
                    let hash = UInt32(source.next() % spread) &* 0x9e37_79b9
                    index.insert(place, hash)
                    model[place] = hash
                }
                #expect(index.count == model.count)
                let sought = Int(source.next() % 300)
                let hash = model[sought] ?? UInt32(source.next() % spread)
                #expect((index.first(hash) { $0 == sought } == sought) == (model[sought] != nil))
            }
        }
    }

    @Test("what is not there is not taken out")
    func absent() {
        var index = PlaceIndex()
        index.remove(1, 2)
        index.insert(5, 9)
        index.remove(6, 9)
        #expect(index.first(9) { _ in true } == 5)
        #expect(index.count == 1)
    }
}
