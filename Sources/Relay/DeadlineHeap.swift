internal import SansIO

/// One deadline for each of many numbered things, the earliest first. Setting, moving and removing
/// are O(log n), so that it never holds more than there are things.
struct DeadlineHeap: Sendable {
    private struct Entry: Sendable {
        var deadline: Instant
        var number: UInt32
    }

    private static var nowhere: Int32 { -1 }
    private var heap: [Entry] = []
    /// Where in the heap a number stands.
    private var places: [Int32] = []

    /// The earliest deadline.
    var next: Instant? { heap.first?.deadline }

    /// How many have a deadline.
    var count: Int { heap.count }

    /// Sets the deadline of `number`, or moves it.
    mutating func set(_ number: UInt32, at deadline: Instant) {
        while places.count <= Int(number) { places.append(Self.nowhere) }
        let place = Int(places[Int(number)])
        guard place >= 0 else {
            heap.append(Entry(deadline: deadline, number: number))
            places[Int(number)] = Int32(heap.count - 1)
            rise(heap.count - 1)
            return
        }
        heap[place].deadline = deadline
        rise(place)
        sink(Int(places[Int(number)]))
    }

    /// Takes the deadline of `number` away, if it has one.
    mutating func remove(_ number: UInt32) {
        guard Int(number) < places.count, places[Int(number)] >= 0 else { return }
        let place = Int(places[Int(number)])
        places[Int(number)] = Self.nowhere
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[Int(last.number)] = Int32(place)
        rise(place)
        sink(Int(places[Int(last.number)]))
    }

    /// Takes the earliest if it is due.
    mutating func popDue(at now: Instant) -> UInt32? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        remove(first.number)
        return first.number
    }

    private mutating func rise(_ place: Int) {
        var child = place
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func sink(_ place: Int) {
        var parent = place
        while true {
            let left = 2 * parent + 1
            guard left < heap.count else { return }
            let right = left + 1
            let isRightEarlier =
                right < heap.count && heap[right].deadline < heap[left].deadline
            let child = isRightEarlier ? right : left
            guard heap[child].deadline < heap[parent].deadline else { return }
            swap(child, parent)
            parent = child
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        heap.swapAt(one, other)
        places[Int(heap[one].number)] = Int32(one)
        places[Int(heap[other].number)] = Int32(other)
    }
}
