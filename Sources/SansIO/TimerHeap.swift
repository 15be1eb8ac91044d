/// One deadline for each of many numbered things, the earliest first.
///
/// Numbers are dense, as slots are: memory goes with the largest. Setting, moving and removing are
/// O(log n), so it never holds more than there are things, and nothing in it is outdated.
public struct TimerHeap: Sendable {
    private struct Entry: Sendable {
        var deadline: Instant
        var number: Int
    }

    private static var nowhere: Int { -1 }
    private var heap: [Entry] = []
    /// Where in the heap a number stands.
    private var places: [Int] = []

    public init() {}

    /// The earliest deadline; nil when there is none.
    public var next: Instant? { heap.first?.deadline }

    /// How many have a deadline.
    public var count: Int { heap.count }

    /// The deadline of `number`, a slot of 0 or more; nil takes it away. O(log n) to set.
    public subscript(number: Int) -> Instant? {
        get {
            let place = place(of: number)
            return place == Self.nowhere ? nil : heap[place].deadline
        }
        set {
            if let newValue { set(number, at: newValue) } else { remove(number) }
        }
    }

    /// Takes the earliest if it is due.
    public mutating func popDue(at now: Instant) -> Int? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        remove(first.number)
        return first.number
    }

    private func place(of number: Int) -> Int {
        number < places.count ? places[number] : Self.nowhere
    }

    private mutating func set(_ number: Int, at deadline: Instant) {
        let place = place(of: number)
        guard place == Self.nowhere else {
            heap[place].deadline = deadline
            rise(place)
            return sink(places[number])
        }
        while places.count <= number { places.append(Self.nowhere) }
        heap.append(Entry(deadline: deadline, number: number))
        places[number] = heap.count - 1
        rise(heap.count - 1)
    }

    private mutating func remove(_ number: Int) {
        let place = place(of: number)
        guard place != Self.nowhere else { return }
        places[number] = Self.nowhere
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[last.number] = place
        rise(place)
        sink(places[last.number])
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
        places[heap[one].number] = one
        places[heap[other].number] = other
    }
}
