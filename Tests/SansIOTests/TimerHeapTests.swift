import SansIO
import Testing

@Suite("Timer heap")
struct TimerHeapTests {
    @Test("gives what is due in order, whatever was set, moved or removed")
    func model() {
        var random = RandomSource(seed: 4)
        var heap = TimerHeap()
        var model: [Int: UInt64] = [:]
        var now: UInt64 = 0
        for _ in 0..<20_000 {
            let number = Int.random(in: 0..<200, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let deadline = now + UInt64.random(in: 0..<1_000, using: &random)
                heap[number] = Instant(nanoseconds: deadline)
                model[number] = deadline
            case 2:
                heap[number] = nil
                model[number] = nil
            default:
                now += UInt64.random(in: 0..<100, using: &random)
                while let due = heap.popDue(at: Instant(nanoseconds: now)) {
                    #expect(model[due] == model.values.min())
                    #expect((model[due] ?? .max) <= now)
                    model[due] = nil
                }
            }
            #expect(heap.next?.nanoseconds == model.values.min())
            #expect(heap[number]?.nanoseconds == model[number])
            #expect(heap.count == model.count)
        }
    }

    @Test("a number that was never set has no deadline, and may be taken away")
    func unknown() {
        var heap = TimerHeap()
        #expect(heap[1_000] == nil)
        heap[1_000] = nil
        #expect(heap.next == nil)
        #expect(heap.popDue(at: Instant(nanoseconds: .max)) == nil)
    }
}
